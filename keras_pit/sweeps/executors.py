"""The default executor: some processes of this machine, each of which takes one task after the other.

    with Processes(2) as executor:
        executor.submit(function, *strings).result()

An executor is anything with `submit(function, *arguments)` that returns something with `result()`. Here tasks run in a
fresh Python (`_process.py`), which needs nothing of the script that called: no `if __name__ == "__main__"`, nothing
inherited. It ends when this process does, however that ends, and after `TASKS` tasks, since TensorFlow never gives back
all that it took for one. A task that kills its process fails alone: the next one gets a new process.

Small networks keep no more than one core busy, so processes share the cores: with two, a front takes little more than
half of the time.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

TASKS = 16
"""What one process does before a new one takes its place."""

_SCRIPT = Path(__file__).with_name("_process.py")
_LINES = 30
"""How much of what a process printed is told when it fails."""


class Processes:
    """Runs tasks in processes of its own.

    Args:
        workers: how many. None: two, one where there is one core, or where a GPU is shared.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = _default() if workers is None else workers
        self._threads = ThreadPoolExecutor(self.workers)
        self._own = threading.local()
        """Each thread has a process."""
        self._running: set[_Process] = set()
        self._closed = False

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        """End whatever runs."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in list(self._running):
            process.end()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[None]:
        """Run a function of a module, with arguments that JSON can hold, in a process; what it returns is lost."""
        return self._threads.submit(self._run, f"{function.__module__}:{function.__qualname__}", arguments)

    def _run(self, function: str, arguments: Any) -> None:
        process = getattr(self._own, "process", None)
        if process not in self._running:
            process = self._own.process = _Process(max(1, cores() // self.workers))
            self._running.add(process)
        try:
            if not self._closed:
                process.run(function, arguments)
        finally:
            if process.ended or process.tasks == TASKS or self._closed:
                self._running.discard(process)
                process.end()


class _Process:
    """A process that takes tasks.

    Args:
        threads: how many TensorFlow may use for one operation, unless the user has said so.
    """

    def __init__(self, threads: int) -> None:
        self.tasks = 0
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._process = subprocess.Popen(
            [sys.executable, str(_SCRIPT), str(os.getpid())],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={"TF_NUM_INTRAOP_THREADS": str(threads), **os.environ, "PYTHONPATH": path},
        )

    @property
    def ended(self) -> bool:
        """Whether it is over with it."""
        return self._process.poll() is not None

    def run(self, function: str, arguments: Any) -> None:
        """Run a function, MODULE:NAME, and wait for it.

        Raises:
            RuntimeError: if the function fails or the process is killed; with what it printed last.
        """
        self.tasks += 1
        try:
            self._process.stdin.write(json.dumps([function, arguments]).encode() + b"\n")  # type: ignore[union-attr]
            done = self._process.stdout.readline()  # type: ignore[union-attr]
        except (OSError, ValueError):  # it has ended, or has been ended by another thread
            done = b""
        if not done:
            how, printed = self._last()
            raise RuntimeError(f"The process {how}. It printed: {printed or '(nothing)'}")

    def _last(self) -> tuple[str, str]:
        """How it ended, and what it printed."""
        code = self._process.wait()
        printed = ""
        with contextlib.suppress(ValueError):  # closed by another thread
            self._log.seek(0)
            printed = "\n".join(self._log.read().decode(errors="replace").splitlines()[-_LINES:]).strip()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        cause = " (out of memory?)" * (code == -signal.SIGKILL)
        return how + cause, printed

    def end(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        for file in (self._process.stdin, self._process.stdout, self._log):
            file.close()  # type: ignore[union-attr]


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _default() -> int:
    import tensorflow as tf

    return 1 if cores() == 1 or tf.config.list_physical_devices("GPU") else 2
