"""The workflows of the forge: of its schema, and with commands that there are."""

import pathlib
import re
import subprocess
import sys

import pytest
from versions import since

ROOT = pathlib.Path(__file__).parents[1]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@since("click", "8.5", "lacks what check-jsonschema needs of it")
def test_schema():
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    result = subprocess.run([*checker, *map(str, FILES)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_commands(file):
    commands = re.findall(r"^\s*(?:- )?run: (.+)$", file.read_text(), re.MULTILINE)
    assert commands
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    extras = set(re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
    for command in commands:
        for target in re.findall(r"\bmake (\w+)", command):
            assert target in targets
        for path in re.findall(r"(?:^|\s)((?:\.ci|tests|constraints)/[\w/.]+)", command):
            assert (ROOT / path).exists()
        for extra in re.findall(r"\.\[(\w+)\]", command):
            assert extra in extras


def test_every_version_of_python_is_tried():
    told = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    tried = re.search(r"python: \[(.+)\]", (ROOT / ".github/workflows/tests.yml").read_text())[1]
    assert re.findall(r"[\d.]+", tried) == told
