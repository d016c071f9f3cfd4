"""Kills at random moments: `benchmarks/kills.py` in short. In a process of its own, as it forks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")
@pytest.mark.parametrize("kills", [2, pytest.param(50, marks=pytest.mark.slow)])
def test_kills_leave_what_was_there_and_nothing_else(kills, tmp_path):
    output = tmp_path / "kills.json"
    command = [sys.executable, ROOT / "benchmarks" / "kills.py", "--kills", str(kills), "--output", output]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    results = json.loads(output.read_text())
    assert [(result["name"], result["kills"]) for result in results] == [
        (name, kills) for name in ("fit", "to_tflite", "deploy")
    ]
    assert all(result["finished"] for result in results if result["name"] == "fit")
