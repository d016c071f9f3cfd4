"""Folders that are ours for a while, and leave nothing behind however a process ends.

    with temporary() as folder:              a folder that is gone afterwards
    with temporary(beside=target) as new:    the same in the folder of `target`, ...
        replace(new, target)                 ... to take the place of `target`, at once
    with alone(folder):                      nobody else works in a folder that stays

A process that is killed cannot tidy up, so the next one does. Whoever uses such a folder holds a lock on it, which the
system takes back when its process ends: a folder of this name that nobody has locked is left over. Unlike the number of
a process, that is sure across containers that share a disk, too, and no number is used twice.

The lock of `alone` is one of the process (`fcntl.lockf`), which no child inherits: workers that outlive their owner do
not hold it. Such locks do not keep a process from itself, so the folders that this one works in are remembered, too. On
disks and systems without locks there is none.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where what dead processes left stays
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
"""The file by which a folder is locked: it says by whom."""
_MARK = "keras_pit.tmp."
_EXCHANGES = {
    "linux": ("renameat2", (-100,), 2),  # AT_FDCWD before each path, RENAME_EXCHANGE
    "darwin": ("renamex_np", (), 2),  # RENAME_SWAP
}
"""The system's call that exchanges two paths."""
_mine: set[Path] = set()
_changing = threading.Lock()


@contextlib.contextmanager
def temporary(beside: Path | None = None) -> Iterator[Path]:
    """A new folder, which is gone afterwards, as are those that dead processes left in the same place.

    Args:
        beside: whose folder it is to be in, hidden and named after it; None for the system's folder for such things.
    """
    place = Path(tempfile.gettempdir()) if beside is None else beside.parent
    prefix = _MARK if beside is None else f".{beside.name}.{_MARK}"
    _tidy(place, prefix)
    folder, lock = _new(place, prefix)
    with contextlib.ExitStack() as stack:
        if lock is not None:
            stack.callback(os.close, lock)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


def replace(new: Path, target: Path) -> None:
    """Put a folder in the place of another: at every moment one of the two stands there.

    Where the system cannot exchange two folders there is a moment in between, and `restore` mends what ends there.

    Args:
        new: a folder on the same disk; afterwards what was at `target`, if that held anything.
        target: a folder, or nothing yet.

    Raises:
        OSError: if it cannot be done; then all is as before.
    """
    if not target.exists() or not any(target.iterdir()):
        new.rename(target)
    elif not _exchange(new, target):
        old = _aside(target)
        target.rename(old)
        try:
            new.rename(target)
        except BaseException:
            old.rename(target)
            raise
        old.rename(new)


def restore(target: Path) -> None:
    """Put back what a `replace` that was killed has left aside."""
    if not target.exists() and _aside(target).exists():
        _aside(target).rename(target)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """A context in which nobody else works in a folder; it is made if it is not there.

    Raises:
        BlockingIOError: if someone does; it says which process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = folder.resolve()
    with _changing:
        if place in _mine:
            raise _taken(folder, "another thread of this one")
        _mine.add(place)
    try:
        with _locked(folder):
            yield
    finally:
        with _changing:
            _mine.discard(place)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    number = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            if fcntl is not None:
                fcntl.lockf(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise _taken(folder, os.read(number, 200).decode(errors="replace").strip()) from error
        except OSError:
            pass  # a disk without locks
        os.ftruncate(number, 0)
        os.write(number, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield
    finally:
        os.close(number)


def _taken(folder: Path, owner: str) -> BlockingIOError:
    return BlockingIOError(
        f"Another process works in {str(folder)!r} ({owner or 'unknown'}): wait for it, or choose another folder."
    )


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.keras_pit.old")


def _exchange(one: Path, two: Path) -> bool:
    """Give two paths each other's content in one step; False if the system, or the disk, cannot."""
    name, here, flags = _EXCHANGES.get(sys.platform, ("", (), 0))
    function = getattr(ctypes.CDLL(None, use_errno=True), name, None) if name else None
    if function is None:
        return False
    if function(*here, os.fsencode(one), *here, os.fsencode(two), flags) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(two))


def _new(place: Path, prefix: str) -> tuple[Path, int | None]:
    """A new folder, and the lock on it."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        if fcntl is None:
            return folder, None
        # Another process may take it for left over until it is locked.
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY)
            with contextlib.suppress(OSError):  # a disk without locks, where nothing is tidied
                fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return folder, lock
            os.close(lock)


def _tidy(place: Path, prefix: str) -> None:
    """Take away the folders of this user that nobody has locked."""
    if fcntl is None:
        return
    form = re.compile(re.escape(prefix) + "[a-z0-9_]{8}")
    for path in (path for path in place.iterdir() if form.fullmatch(path.name)):
        with contextlib.suppress(OSError):  # in use, someone else's, gone by now, or on a disk without locks
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(lock).st_uid == os.getuid():
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)
