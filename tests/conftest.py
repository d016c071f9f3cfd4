"""What all tests share: `--runslow`, seeded randomness, and the largest error of an export at the end of the run.

The laws are also tested on networks that are new in each run. Their seeds are drawn from `--fresh-seed`, which is
printed at the top, so that a run can be repeated.
"""

import os
import random

# On a CPU, oneDNN alone computes channels_first and some dilated convolutions, and TensorFlow leaves it out on some.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import keras
import pytest
from exactness import ERROR


def pytest_addoption(parser):
    parser.addoption("--runslow", action="store_true", help="run everything, also what takes hours")
    parser.addoption("--fresh-seed", type=int, help="where the seeds of new random networks are drawn from")


def pytest_configure(config):
    if config.option.fresh_seed is None:
        config.option.fresh_seed = random.SystemRandom().randrange(10**6)
    if hasattr(config, "workerinput"):
        config.option.fresh_seed = config.workerinput["fresh_seed"]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Workers of pytest-xdist must collect the same tests."""
    node.workerinput["fresh_seed"] = node.config.option.fresh_seed


def pytest_report_header(config):
    return f"new random networks: --fresh-seed={config.option.fresh_seed}"


def pytest_collection_modifyitems(config, items):
    if config.option.runslow:
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="needs --runslow"))


def pytest_terminal_summary(terminalreporter):
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    found = [(value, report.nodeid) for report in reports for name, value in report.user_properties if name == ERROR]
    if found:
        worst, where = max(found)
        terminalreporter.write_line(
            f"largest relative error of the exports of {len(found)} tests: {worst:.2e} ({where})"
        )


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)
