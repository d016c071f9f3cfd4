"""Native code on a file, in a process of its own: whatever happens there is an error here.

A .tflite file may come from anywhere, and the runtimes trust it: they crash, hang, or ask for all the memory there is.

    run("LiteRT", tflite, feeds, limits) --folder--> _worker.py --folder--> Ended(results, log, signal)

A worker ends in time and within its memory, or it is killed. It ends with this process, too, even if this one is
killed, and the folder that both share goes then with the next call (`folders.py`).
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import DeploymentError
from ..folders import temporary

SECONDS = 300.0
MEMORY = 4 * 2**30
"""What a runtime may take, in bytes: far more than any file that a microcontroller holds needs."""

_SCRIPT = Path(__file__).with_name("_worker.py")
_GLANCE = 0.05
"""So often, in seconds, the memory is looked at."""


@dataclass(frozen=True)
class Limits:
    """What a run may take, however many workers it needs one after the other: seconds from now, bytes."""

    seconds: float = SECONDS
    memory: int = field(default_factory=lambda: MEMORY)
    _start: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return max(self._start + self.seconds - time.monotonic(), 0.0)


@dataclass(frozen=True)
class Ended:
    """How a worker ended: the arrays that it left, or None; what it printed; the signal that killed it, if any."""

    results: list[np.ndarray] | None
    log: str
    signal: str | None


def run(runtime: str, tflite: bytes, feeds: Sequence[np.ndarray], limits: Limits, *numbers: int) -> Ended:
    """Run a file on a runtime, in a process of its own.

    Args:
        runtime: a name in `_worker.RUNTIMES`.
        tflite: the file's content.
        feeds: per input, an array of shape (samples, *tensor).
        limits: in time and memory.
        *numbers: what else the runtime is given.

    Returns:
        How it ended.

    Raises:
        DeploymentError: if it reached a limit.
    """
    with temporary() as folder:
        (folder / "model.tflite").write_bytes(tflite)
        np.savez(folder / "inputs.npz", *feeds)
        command = [sys.executable, str(_SCRIPT), runtime, str(folder), str(os.getpid()), *map(str, numbers)]
        with (
            (folder / "log").open("wb") as log,
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log) as process,
        ):
            try:
                _wait(process, limits, f"{runtime} did not finish {len(feeds[0])} samples")
            finally:
                process.kill()
        results, killer = None, None
        if process.returncode < 0:
            killer = signal.Signals(-process.returncode).name
        elif process.returncode == 0 and (folder / "results.npz").exists():
            with np.load(folder / "results.npz") as arrays:
                results = [arrays[key] for key in arrays.files]
        return Ended(results, (folder / "log").read_text(errors="replace"), killer)


def _wait(process: subprocess.Popen[bytes], limits: Limits, what: str) -> None:
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(min(_GLANCE, limits.left))
            return
        if limits.left == 0:
            raise DeploymentError(f"{what} within {limits.seconds:g} s. Pass fewer samples, or a longer timeout.")
        if _resident(process.pid) > limits.memory:
            raise DeploymentError(
                f"{what} within {limits.memory / 2**20:,.0f} MiB of memory. Pass fewer samples, or a smaller network."
            )


def _resident(pid: int) -> int:
    """Bytes of memory that a process has in use; 0 where that is not known (elsewhere than on Linux)."""
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * mmap.PAGESIZE
    return 0
