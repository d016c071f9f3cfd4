"""Where a bundle is put: what is not its own is never touched, and nothing is left half written."""

import os
import re
import shutil
from pathlib import Path

import pytest

from keras_pit import deploy, folders
from keras_pit.deployment import bundle as writing
from keras_pit.deployment.cpp import sources

OTHERS = {
    "notes.txt": None,
    "build": None,
    "build/notes.txt": None,
    "build/self_test/log": None,
    "build/object/main.o": None,
    "main.cc/mine": "main.cc",
    ".git/HEAD": ".git",
    "arduino/notes.h": None,
    "arduino/my/notes.h": None,
    "arduino/my/my.ino": None,
    "arduino/classifier/build/classifier.elf": None,
}
"""What a user may have put into a bundle, and what of it is named if that is not the file."""


class TestPlaces:
    @pytest.mark.parametrize("extra", OTHERS)
    def test_other_files_are_kept(self, made, tmp_path, extra):
        place = tmp_path / "out"
        shutil.copytree(made("classifier").directory, place)
        path = place / extra
        for parent in path.parents:
            if parent.is_file():
                parent.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
        message = f"holds '{OTHERS[extra] or extra}', not written by keras_pit.deploy; expected a new"
        with pytest.raises(FileExistsError, match=re.escape(message)):
            deploy(made("classifier").tflite, place, overwrite=True)
        assert path.read_text() == "mine"
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    @pytest.mark.parametrize("ours", ["main.cc", "build", "arduino", "arduino/classifier", "report.json"])
    def test_links_are_kept(self, made, tmp_path, ours):
        """A link in the place of a file or folder of ours is the user's."""
        shutil.copytree(made("classifier").directory, tmp_path / "out")
        path, elsewhere = tmp_path / "out" / ours, tmp_path / "elsewhere"
        if path.exists():
            path.rename(elsewhere)
        else:
            elsewhere.mkdir()
        path.symlink_to(elsewhere)
        with pytest.raises(FileExistsError, match=f"holds '{ours}', not written by keras_pit.deploy"):
            deploy(made("classifier").tflite, tmp_path / "out", overwrite=True)
        assert path.is_symlink() and elsewhere.exists()

    def test_files_that_come_during_the_conversion_are_kept(self, made, tmp_path, monkeypatch):
        place = deploy(made("classifier").tflite, tmp_path / "out")
        render = sources.render

        def slow(bundle):
            (place / "notes.txt").write_text("mine")
            return render(bundle)

        monkeypatch.setattr(sources, "render", slow)
        with pytest.raises(FileExistsError, match=r"holds 'notes\.txt'"):
            deploy(made("classifier").tflite, place, overwrite=True)
        assert (place / "notes.txt").read_text() == "mine"
        assert (place / "main.cc").is_file() and [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_only_what_a_bundle_is_made_of_is_ours(self, made):
        place = made("classifier").directory
        files = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
        of_streams = {"stream.h", "arduino/classifier/stream.h"}
        assert files.isdisjoint(of_streams)
        assert files | of_streams | {"build/self_test"} == sources.paths("classifier")
        assert sources.name_of((place / "model_settings.h").read_text()) == "classifier"

    def test_a_folder_that_only_looks_like_one(self, made, tmp_path):
        (tmp_path / "README.md").write_text("mine")
        with pytest.raises(FileExistsError, match="is not empty, and not a bundle"):
            deploy(made("classifier").tflite, tmp_path, overwrite=True)
        assert [path.name for path in tmp_path.iterdir()] == ["README.md"]

    def test_a_bundle_is_replaced_on_demand(self, made, tmp_path):
        place = deploy(made("classifier").tflite, tmp_path / "out", name="old")
        (place / "build").mkdir()
        (place / "build" / "self_test").write_text("")
        with pytest.raises(FileExistsError, match=r"holds an older bundle\. Pass overwrite=True to replace it\."):
            deploy(made("wide").tflite, place)
        deploy(made("wide").tflite, place, name="fresh", overwrite=True)
        assert (place / "model.tflite").read_bytes() == made("wide").tflite
        assert [path.name for path in (place / "arduino").iterdir()] == ["fresh"]
        assert not (place / "build").exists()
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_an_empty_folder_is_taken(self, made, tmp_path):
        (tmp_path / "out").mkdir()
        deploy(made("classifier").tflite, tmp_path / "out")
        assert (tmp_path / "out" / "main.cc").is_file()

    def test_a_link_to_a_folder_is_followed(self, made, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "real")
        deploy(made("classifier").tflite, tmp_path / "link")
        assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / "main.cc").is_file()

    def test_a_file_in_its_place(self, made, tmp_path):
        (tmp_path / "out").write_text("mine")
        with pytest.raises(NotADirectoryError, match=r"out is a file; expected a directory for the bundle\."):
            deploy(made("classifier").tflite, tmp_path / "out", overwrite=True)

    def test_below_a_file(self, made, tmp_path):
        (tmp_path / "out").write_text("mine")
        with pytest.raises(PermissionError, match=r"Cannot write into .*out \(Not a directory\)"):
            deploy(made("classifier").tflite, tmp_path / "out" / "bundle")

    def test_a_folder_that_may_not_be_written_to(self, made, tmp_path, monkeypatch):
        def refuse(*_arguments, **_options):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "mkdir", refuse)
        message = r"Cannot write into .* \(Permission denied\), where 'out' is to be put; expected a place that may be"
        with pytest.raises(PermissionError, match=message):
            deploy(b"never read", tmp_path / "out")


@pytest.mark.parametrize("older", [True, False])
@pytest.mark.parametrize("moment", ["first file", "fifth file", "rename"])
def test_an_interrupted_run_leaves_what_was_there(made, moment, older, tmp_path, monkeypatch):
    place = tmp_path / "out"
    if older:
        deploy(made("classifier").tflite, place)
    write, rename, count = Path.write_bytes, Path.rename, [0]

    def interrupted_write(path, content):
        count[0] += 1
        if count[0] == {"first file": 1, "fifth file": 5}.get(moment):
            write(path, content[: len(content) // 2])
            raise KeyboardInterrupt
        return write(path, content)

    def interrupted_rename(path, target):
        if moment == "rename" and target == place and (path / "main.cc").read_text().count("fresh"):
            raise OSError("disk full")
        return rename(path, target)

    tflite = made("wide").tflite
    with monkeypatch.context() as patch:
        # Its own files are written before.
        files = []
        patch.setattr(writing, "_write", lambda *arguments: files.append(arguments))
        deploy(tflite, place, name="fresh", overwrite=True)
    monkeypatch.setattr(Path, "write_bytes", interrupted_write)
    monkeypatch.setattr(Path, "rename", interrupted_rename)
    monkeypatch.setattr(folders, "_EXCHANGES", {})  # a system that has to rename twice
    with pytest.raises((KeyboardInterrupt, OSError)):
        writing._write(*files[0])
    assert [path.name for path in tmp_path.iterdir()] == (["out"] if older else [])
    if older:
        assert (place / "model.tflite").read_bytes() == made("classifier").tflite
        assert (place / "arduino/model/model.ino").is_file()
