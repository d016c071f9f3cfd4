"""The default executor: each task in a process of its own, which takes what TensorFlow keeps of it along when it ends.

    with Processes(2) as executor:
        executor.submit(function, *strings).result()

An executor is anything with `submit(function, *arguments)` that returns something with `result()`. Here a task is a
fresh Python (`_process.py`), which needs nothing of the script that called: no `if __name__ == "__main__"`, nothing
inherited. It ends when its task or this process does, however that ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

_SCRIPT = Path(__file__).with_name("_process.py")
_LINES = 30
"""How much of what a process printed is told when it fails."""


class Processes:
    """Runs each task in a process of its own.

    Args:
        workers: how many at once. TensorFlow uses all cores for one, so more pay off for very small networks only.
    """

    def __init__(self, workers: int = 1) -> None:
        self._threads = ThreadPoolExecutor(workers)
        self._running: set[subprocess.Popen[bytes]] = set()

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        """End whatever runs."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in list(self._running):
            process.kill()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[None]:
        """Run a function of a module, with arguments that JSON can hold, in a process; what it returns is lost."""
        return self._threads.submit(_run, f"{function.__module__}:{function.__qualname__}", arguments, self._running)


def _run(function: str, arguments: Any, running: set[subprocess.Popen[bytes]]) -> None:
    """Run a function in a fresh process.

    Raises:
        RuntimeError: if the process fails or is killed; with what it printed last.
    """
    command = [sys.executable, str(_SCRIPT), str(os.getpid()), function, json.dumps(arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment)
        running.add(process)
        try:
            process.wait()
        finally:
            running.discard(process)
            process.kill()
            process.wait()
            process.stdin.close()  # type: ignore[union-attr]
        if process.returncode == 0:
            return
        log.seek(0)
        printed = "\n".join(log.read().decode(errors="replace").splitlines()[-_LINES:])
    code = process.returncode
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    cause = " (out of memory?)" * (code == -signal.SIGKILL)
    raise RuntimeError(f"The process {how}{cause}. It printed: {printed.strip() or '(nothing)'}")
