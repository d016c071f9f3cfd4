"""One sweep at a time in a directory: a lock that the system takes back when its owner dies.

It is a lock of the process (`fcntl.lockf`), which no child inherits: workers that outlive their owner do not hold it.
Such locks do not keep a process from itself, so the directories that this one works in are remembered, too. On disks
and systems without locks there is none: steps are still made whole (see `store`), only perhaps twice.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_mine: set[Path] = set()
_changing = threading.Lock()


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """A context in which no other sweep works in a directory.

    Raises:
        RuntimeError: if one does; it says which process.
    """
    place = directory.resolve()
    with _changing:
        if place in _mine:
            raise _taken(place, "another thread of this process")
        _mine.add(place)
    try:
        with _file_lock(place):
            yield
    finally:
        with _changing:
            _mine.discard(place)


@contextlib.contextmanager
def _file_lock(place: Path) -> Iterator[None]:
    number = os.open(place / "lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            if fcntl is not None:
                fcntl.lockf(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            owner = os.read(number, 200).decode(errors="replace").strip()
            raise _taken(place, owner or "another process") from error
        except OSError:
            pass  # a disk without locks
        os.ftruncate(number, 0)
        os.write(number, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield
    finally:
        os.close(number)


def _taken(place: Path, owner: str) -> RuntimeError:
    return RuntimeError(
        f"A sweep is at work in directory '{place}': {owner}. Wait for it, or give this one another directory. What "
        "is finished there can be read at any time: keras_pit.Front.load(directory)."
    )
