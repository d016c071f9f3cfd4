"""The folder of a run: its files, each there as a whole or not at all.

A file is written beside its place and then put there, so whoever is killed leaves the former one, or none. One process
at a time works in a folder (`folders.alone`).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .. import checks
from ..folders import alone

REQUEST, RESULT, HISTORY, BACKUP = "request.json", "result.json", "history.jsonl", "backup"
SEED, SEARCH, SLIM, TFLITE, PAGE = "seed.keras", "search.keras", "slim.keras", "slim.tflite", "report.html"


class Folder:
    """One run.

    Args:
        path: the folder; it need not be there yet.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = checks.path(path, "The folder of a run", 'a path, as "run"')
        if self.path.exists() and not self.path.is_dir():
            raise NotADirectoryError(f"{self.path} is a file; expected a folder for the run. Choose another.")

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def has(self, name: str) -> bool:
        """Whether a file is there."""
        return (self / name).exists()

    def require(self) -> Folder:
        """The folder, if there is a run in it.

        Raises:
            FileNotFoundError: if there is none.
        """
        if not self.has(REQUEST):
            raise FileNotFoundError(
                f"There is no run in {str(self.path)!r} (no {REQUEST}): expected the folder that a search was given."
            )
        return self

    def put(self, name: str, write: Callable[[Path], object]) -> Path:
        """Put a file there at once.

        Args:
            name: of the file.
            write: writes it to a path of the same ending.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        target = self / name
        new = target.with_name(f".new.{name}")
        write(new)
        os.replace(new, target)
        return target

    def put_json(self, name: str, content: Mapping[str, Any]) -> Path:
        """Put a dictionary there, as JSON."""
        text = json.dumps(content, indent=2, allow_nan=False) + "\n"
        return self.put(name, lambda path: path.write_text(text))

    def json(self, name: str) -> dict[str, Any]:
        """A dictionary that was put there."""
        found: dict[str, Any] = json.loads((self / name).read_text())
        return found

    def history(self) -> list[dict[str, Any]]:
        """What was logged, epoch by epoch, in the order of training; of an epoch that was run twice the last one."""
        rows: dict[tuple[str, int], dict[str, Any]] = {}
        if self.has(HISTORY):
            for line in (self / HISTORY).read_text().splitlines():
                with contextlib.suppress(json.JSONDecodeError):  # the line that a kill cut short
                    row = json.loads(line)
                    rows[row["phase"], row["epoch"]] = row
        return [rows[key] for key in sorted(rows, key=lambda key: (key[0] != "search", key[1]))]

    def log(self, row: Mapping[str, Any]) -> None:
        """Add an epoch to the history."""
        with (self / HISTORY).open("a+b") as file:
            if file.tell():  # behind a line that a kill cut short, a new one begins
                file.seek(-1, os.SEEK_END)
                file.write(b"" if file.read() == b"\n" else b"\n")
            file.write(json.dumps(row).encode() + b"\n")

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """A context in which no other process works here.

        Raises:
            BlockingIOError: if one does.
        """
        return alone(self.path)
