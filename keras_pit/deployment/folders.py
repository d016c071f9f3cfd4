"""Folders that are ours for a while, and leave nothing behind however a process ends.

    with temporary() as folder:              a folder that is gone afterwards
    with temporary(beside=target) as new:    the same in the folder of `target`, ...
        replace(new, target)                 ... to take the place of `target`, at once

A process that is killed cannot tidy up, so the next one does. Whoever uses such a folder holds a lock on it, which the
system takes back when its process ends: a folder of this name that nobody has locked is left over. Unlike the number of
a process, that is sure across containers that share a disk, too, and no number is used twice.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where what dead processes left stays
    fcntl = None  # type: ignore[assignment]

_MARK = "keras_pit.tmp."
_EXCHANGES = {
    "linux": ("renameat2", (-100,), 2),  # AT_FDCWD before each path, RENAME_EXCHANGE
    "darwin": ("renamex_np", (), 2),  # RENAME_SWAP
}
"""The system's call that exchanges two paths."""


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
