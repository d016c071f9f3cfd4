"""Temporary folders are gone in the end, whoever was killed; a folder is replaced at once; one works in it alone."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from keras_pit import folders
from keras_pit.folders import alone, replace, restore, temporary

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nothing is tidied on Windows")

KILLED = """
import importlib.util, os, pathlib, signal, sys
specification = importlib.util.spec_from_file_location("folders", sys.argv[1])
folders = importlib.util.module_from_spec(specification)
specification.loader.exec_module(folders)
folders.tempfile.tempdir = sys.argv[2]
beside = pathlib.Path(sys.argv[3]) if sys.argv[3:] else None
with folders.temporary(beside) as folder:
    (folder / "inside").mkdir()
    (folder / "inside" / "file").write_text("left over")
    print(folder, flush=True)
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def holder(place, *beside):
    """A process with a temporary folder, which is killed when its input ends, and the folder."""
    command = [sys.executable, "-c", KILLED, folders.__file__, str(place), *map(str, beside)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, Path(process.stdout.readline().strip())


def kill(process):
    process.communicate()
    assert process.returncode == -9


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("beside", [(), ("out",)])
def test_what_the_dead_left_is_tidied_and_what_lives_is_not(place, beside):
    beside = tuple(place / name for name in beside)
    (dead, left), (living, used) = (holder(place, *beside) for _ in range(2))
    kill(dead)
    assert left.parent == used.parent == place and left.is_dir()
    with temporary(*beside) as folder:
        assert not left.exists()
        assert (used / "inside" / "file").read_text() == "left over"
        with temporary(*beside) as another:
            assert folder.is_dir() and another != folder
    assert list(place.iterdir()) == [used]
    kill(living)
    with temporary(*beside):
        assert not used.exists()
    assert list(place.iterdir()) == []


def test_what_only_looks_like_ours_is_kept(place, monkeypatch):
    outside = place / "mine"
    names = ("keras_pit.tmp", "keras_pit.tmp.notes", "my_keras_pit.tmp.abcdefgh", ".other.keras_pit.tmp.abcdefgh")
    for path in (outside, *map(place.joinpath, names)):
        path.mkdir()
        (path / "file").write_text("mine")
    (place / "keras_pit.tmp.abcdefgi").symlink_to(outside)
    (place / "keras_pit.tmp.abcdefgj").write_text("a file")
    before = sorted(place.rglob("*"))
    with temporary():
        pass
    assert sorted(place.rglob("*")) == before
    # Nor what belongs to another user.
    (place / "keras_pit.tmp.abcdefgk").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getuid", lambda: 12345)
        with temporary():
            assert (place / "keras_pit.tmp.abcdefgk").is_dir()
    with temporary():
        assert not (place / "keras_pit.tmp.abcdefgk").exists()


def test_a_folder_taken_for_left_over_before_it_is_locked_is_made_again(place, monkeypatch):
    make, made = folders.tempfile.mkdtemp, []

    def and_gone(**options):
        made.append(Path(make(**options)))
        if len(made) == 1:
            made[0].rmdir()
        return str(made[-1])

    monkeypatch.setattr(folders.tempfile, "mkdtemp", and_gone)
    with temporary() as folder:
        assert folder == made[1] and folder.is_dir()


def filled(path, text):
    path.mkdir()
    (path / "file").write_text(text)
    return path


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_takes_the_place_of_another(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(folders, "_EXCHANGES", {})
    new, target = filled(tmp_path / "new", "new"), tmp_path / "out"
    replace(new, target)
    assert (target / "file").read_text() == "new" and not new.exists()
    replace(filled(new, "newer"), target)
    assert [(path / "file").read_text() for path in (target, new)] == ["newer", "new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "out"]


def text(path):
    try:
        return path.read_text()
    except FileNotFoundError:
        return "nothing"


@pytest.mark.skipif(sys.platform not in folders._EXCHANGES, reason="the system cannot exchange folders")
def test_there_is_one_of_both_at_every_moment(tmp_path):
    new, target = filled(tmp_path / "new", "1"), filled(tmp_path / "out", "0")
    seen, ended = set(), threading.Event()

    def look():
        while not ended.is_set():
            seen.add(text(target / "file"))

    watcher = threading.Thread(target=look)
    watcher.start()
    for _ in range(2000):
        replace(new, target)
    ended.set()
    watcher.join()
    assert seen == {"0", "1"}


def test_what_ends_between_two_renames_is_mended(tmp_path, monkeypatch):
    """Where the system cannot exchange folders."""
    monkeypatch.setattr(folders, "_EXCHANGES", {})
    new, target = filled(tmp_path / "new", "new"), filled(tmp_path / "out", "old")
    rename = Path.rename

    def refuse(path, goal):
        if path == new:
            raise OSError("disk full")
        return rename(path, goal)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="disk full"):
        replace(new, target)
    assert (target / "file").read_text() == "old"
    rename(target, folders._aside(target))  # as a process that was killed leaves it
    restore(target)
    assert (target / "file").read_text() == "old"
    restore(target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "out"]


def test_a_failed_exchange_is_an_error_with_its_reason(tmp_path):
    target = filled(tmp_path / "out", "old")
    with pytest.raises(OSError, match=re.escape(str(target))):
        replace(tmp_path / "nowhere", target)
    assert (target / "file").read_text() == "old"


def test_one_process_is_alone_in_a_folder_once(tmp_path):
    place = tmp_path / "new" / "folder"
    with alone(place):
        assert f"process {os.getpid()} on" in (place / folders.LOCK).read_text()
        with (
            pytest.raises(BlockingIOError, match=r"works in .*another thread of this one.*choose another"),
            alone(place),
        ):
            pass
    with alone(place):
        pass
