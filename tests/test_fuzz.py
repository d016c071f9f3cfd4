"""Damaged files end in a report or in DeploymentError, soon, and in little memory: see mutants.py.

The files are handed over in a process of its own, whose memory is measured.
"""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FILES, NETWORKS = TESTS / "data/files.zip", TESTS / "data/cortex_m_nets.zip"
SEEDS = 3
"""So many of the smallest networks are damaged, beside the files."""


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeds")
    zipfile.ZipFile(FILES).extractall(folder)
    networks = zipfile.ZipFile(NETWORKS)
    for one in sorted(networks.infolist(), key=lambda one: (one.file_size, one.filename))[:SEEDS]:
        networks.extract(one, folder)
    assert len(list(folder.glob("*.tflite"))) == 5 + SEEDS
    return folder


@pytest.mark.parametrize(
    ("first", "count", "options"),
    [
        *(pytest.param(first, 2_500, (), id=f"2500 from {first}") for first in range(0, 10_000, 2_500)),
        pytest.param(0, 12, ("--run",), id="12 that run"),
        pytest.param(10_000, 100_000, (), id="100000", marks=pytest.mark.slow),
        pytest.param(100, 1_000, ("--run",), id="1000 that run", marks=pytest.mark.slow),
    ],
)
def test_damaged_files_end_in_a_report_or_a_deployment_error(seeds, first, count, options):
    command = [sys.executable, TESTS / "mutants.py", seeds, str(first), str(count), *options]
    done = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    print(found)
    assert found["failures"] == []
    assert found["slowest"] < 5 + 15 * bool(options)
    assert found["grown"] < 500
    # The test would prove nothing if all were refused at once, or none.
    shares = [found["counts"].get(f"{name} returns", 0) / count for name in ("profile", "fits")]
    assert all(0.1 < share < 0.9 for share in shares), shares
    assert found["counts"]["deploy refuses"] >= 0.1 * count
