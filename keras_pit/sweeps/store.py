"""A sweep on disk: each finished step is a folder that appears whole or not at all.

    runs/kws/
        sweep.json           the plan
        seed.keras           the seed, as it was given
        job.pickle           data and functions, for the processes that work on it
        seed-0/              a step: the seed, trained with random seed 0, and what it is worth
        search-0-1/          a step: what the search for bound 1 exported
        point-0-1/           a step: that model, fine-tuned, quantized and measured
        failed-point-0-2.json      why a step has not been finished; the next call tries it again
        progress-search-0-2.json   how far a running step is

A step is made in a hidden folder beside its place and renamed when all of it is written. Whoever is killed leaves such
a folder, which goes the next time the step is made; of two processes that make the same step, the first one's stands.
"""

from __future__ import annotations

import contextlib
import json
import os
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..folders import temporary

KINDS = ("seed", "search", "point")


@dataclass(frozen=True, order=True)
class Step:
    """A part of a sweep that is done or not; `point` is the number of its bound from 1 (0: the seed)."""

    kind: str
    seed: int
    point: int = 0

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.kind}-{self.seed}" + f"-{self.point}" * bool(self.point)

    @classmethod
    def named(cls, name: str) -> Step:
        """The step of a folder.

        Raises:
            ValueError: if it is none.
        """
        kind, *numbers = name.split("-")
        if kind not in KINDS or len(numbers) != 1 + (kind != "seed"):
            raise ValueError(f"{name!r} is no step of a sweep: expected 'seed-0', 'search-0-1' or 'point-0-1'.")
        return cls(kind, *map(int, numbers))


@dataclass(frozen=True)
class Failure:
    """A step that could not be finished."""

    step: Step
    reason: str
    details: str = ""
    """Where it failed: the traceback, or what the process printed."""


class Store:
    """The directory of a sweep.

    Args:
        directory: where it is, or shall be.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.job, self.seed = directory / "job.pickle", directory / "seed.keras"
        self._plan = directory / "sweep.json"

    def folder(self, step: Step) -> Path:
        """Where a step is, once it is finished."""
        return self.directory / step.name

    def done(self, step: Step) -> bool:
        """Whether a step is finished."""
        return self.folder(step).is_dir()

    def steps(self) -> list[Step]:
        """The finished steps."""
        found = []
        for path in self.directory.iterdir():
            with contextlib.suppress(ValueError):
                found.append(Step.named(path.name))
        return sorted(found)

    @contextlib.contextmanager
    def making(self, step: Step) -> Iterator[Path]:
        """A folder to fill, which becomes that of the step at the end; if that is there by then, it stays."""
        target = self.folder(step)
        with temporary(beside=target) as folder:
            yield folder
            for path in folder.rglob("*"):
                _flush(path)
            _flush(folder)
            folder.chmod(self.directory.stat().st_mode & 0o777)
            try:
                folder.rename(target)
            except OSError:
                if not self.done(step):
                    raise
            _flush(self.directory)
        self._failure(step).unlink(missing_ok=True)

    def read_plan(self) -> dict[str, Any] | None:
        """The plan that was written, if there is one."""
        return _read(self._plan)

    def write_plan(self, plan: dict[str, Any]) -> None:
        """Write the plan down."""
        write(self._plan, _text(plan))

    def figures(self, step: Step) -> dict[str, Any]:
        """The figures of a finished step."""
        return json.loads((self.folder(step) / "figures.json").read_text())

    def fail(self, step: Step, reason: BaseException | str, details: str = "") -> None:
        """Write down why a step has not been finished."""
        if isinstance(reason, BaseException):
            details = details or "".join(traceback.format_exception(reason))
            reason = f"{type(reason).__name__}: {reason}"
        write(self._failure(step), _text({"reason": reason, "details": details}))

    def failed(self, step: Step) -> Failure | None:
        """Why a step has not been finished; None if it has, or was not tried."""
        found = None if self.done(step) else _read(self._failure(step))
        return None if found is None else Failure(step, found["reason"], found["details"])

    def failures(self) -> list[Failure]:
        """Why steps have not been finished."""
        names = [path.stem.removeprefix("failed-") for path in self.directory.glob("failed-*.json")]
        found = [self.failed(Step.named(name)) for name in names]
        return sorted((failure for failure in found if failure is not None), key=lambda failure: failure.step)

    def forgive(self) -> None:
        """Forget what has failed, so that it is tried again."""
        for path in (*self.directory.glob("failed-*.json"), *self.directory.glob("progress-*.json")):
            path.unlink(missing_ok=True)

    def report(self, step: Step, **progress: Any) -> None:
        """Tell how far a running step is."""
        write(self._progress(step), json.dumps(progress))

    def progress(self, step: Step) -> dict[str, Any]:
        """What a running step has told last."""
        return {} if self.done(step) else _read(self._progress(step)) or {}

    def forget(self, step: Step) -> None:
        """Take away what a step has told of its progress."""
        self._progress(step).unlink(missing_ok=True)

    def _failure(self, step: Step) -> Path:
        return self.directory / f"failed-{step.name}.json"

    def _progress(self, step: Step) -> Path:
        return self.directory / f"progress-{step.name}.json"


def write(path: Path, content: str | bytes) -> None:
    """Write a file that is there whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_bytes(content.encode() if isinstance(content, str) else content)
    _flush(part)
    part.replace(path)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def _text(content: Any) -> str:
    return json.dumps(content, indent=2) + "\n"


def _flush(path: Path) -> None:
    """Have the disk keep a file or folder, whatever happens to the machine."""
    with contextlib.suppress(OSError):  # disks that cannot
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
