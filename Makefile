# make demo   the whole way on real sensor data, a few minutes
# make test   lint, type check and all tests
# make lint   lint and type check alone
# make slow   also the tests that take hours
# make docs   build the guides as a site, in build/site
# make clean  remove the environment and all caches
#
# Each makes the environment in .venv first, and again when pyproject.toml has changed. It needs Python 3.10 to 3.13:
# the first one found, or `make test PYTHON=/path/to/python3.12`.

VENV := .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
CANDIDATES := python3 python3.13 python3.12 python3.11 python3.10
SUPPORTED := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))

export KERAS_BACKEND := tensorflow
export TF_CPP_MIN_LOG_LEVEL := 3
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test lint slow docs clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

demo: $(INSTALLED)
	$(RUN) examples/watch.py

test: lint
	$(RUN) -m pytest -n auto --dist worksteal

slow: lint
	$(RUN) -m pytest -n auto --dist worksteal --runslow

# mkdocs-material's notice about its successor is no warning about these pages.
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict
	@echo "Open build/site/index.html"

lint: $(INSTALLED)
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment that works is kept: pip brings it up to date.
$(INSTALLED): pyproject.toml
	@if ! $(RUN) -m pip --version >/dev/null 2>&1; then \
		python='$(PYTHON)'; \
		if [ -z "$$python" ]; then \
			for candidate in $(CANDIDATES); do \
				if $$candidate -c '$(SUPPORTED)' 2>/dev/null; then python=$$candidate; break; fi; \
			done; \
		fi; \
		if [ -z "$$python" ]; then \
			echo "None of $(CANDIDATES) is Python 3.10 to 3.13." \
				"Install one, or say where it is: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
			exit 1; \
		fi; \
		if ! "$$python" -c '$(SUPPORTED)'; then \
			echo "PYTHON=$$python is $$("$$python" --version 2>&1 || echo 'no Python')," \
				"expected Python 3.10 to 3.13." >&2; \
			exit 1; \
		fi; \
		if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
			echo "$$python cannot make virtual environments (no module venv or ensurepip)." \
				"On Debian and Ubuntu: sudo apt install python3-venv" >&2; \
			exit 1; \
		fi; \
		echo "Making $(VENV) with $$("$$python" --version)"; \
		"$$python" -m venv --clear $(VENV); \
	fi
	@echo "Installing keras_pit and what it needs into $(VENV) (a few minutes, about 3 GB)"
	@$(RUN) -m pip install --quiet --editable '.[dev]'
	@touch $@
