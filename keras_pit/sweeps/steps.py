"""The steps of a sweep: what a process does for each, and leaves in the step's folder.

    seed-S       train the seed, if it is not      model.keras, model.tflite, figures.json, history.json
    search-S-P   search from the last export       model.keras, history.json
    point-S-P    fine-tune what that exported      model.keras, model.tflite, figures.json, history.json

In a descent a search starts from what the last finished one before it exported, else from the seed. Random numbers of a
step depend on the random seed and the step alone, so that it makes no difference what was done before it, and where.
"""

from __future__ import annotations

import functools
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from ..search.convert import convert
from ..search.cost import cost
from ..search.export import export
from . import measure, training
from .job import Job, load
from .plan import Plan
from .store import Step, Store
from .training import Stage

PAUSE = 0.5
"""Seconds between two files that tell how far a step is."""


class Missing(RuntimeError):
    """A step whose search has failed."""


def run(directory: str, names: list[str]) -> None:
    """Make the named steps of a sweep, one after the other; what fails is written down, and the others go on.

    This is what executors are given: its arguments are strings, and all else is in the directory.

    Args:
        directory: of the sweep.
        names: of the steps.
    """
    _make(directory, names, _opened)


def run_on(directory: str, names: list[str]) -> None:
    """The same in a process that makes steps of this sweep alone: what it has read it keeps for the next ones."""
    _make(directory, names, _kept)


def _make(directory: str, names: list[str], opened: Callable[[str], tuple[Plan, Job, keras.Model]]) -> None:
    store = Store(Path(directory))
    steps = [step for step in map(Step.named, names) if not store.done(step)]
    if not steps:
        return
    plan, job, seed = opened(directory)
    for step in steps:
        _Work(store, plan, job, seed, step).attempt()


def _opened(directory: str) -> tuple[Plan, Job, keras.Model]:
    store = Store(Path(directory))
    return Plan.from_dict(store.read_plan() or {}), load(store.job), _model(store.seed)


_kept = functools.lru_cache(maxsize=1)(_opened)


def _model(path: Path) -> keras.Model:
    """A model of the sweep. Keras warns of an optimizer without state, which is that of a seed before its training."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
        return keras.models.load_model(path)


class _Work:
    """One step."""

    def __init__(self, store: Store, plan: Plan, job: Job, compiled: keras.Model, step: Step) -> None:
        self._store, self._plan, self._job, self._step = store, plan, job, step
        self._compiled = compiled
        self._seconds: dict[str, float] = {}
        self._history: dict[str, Any] = {}
        self._told = 0.0

    def attempt(self) -> None:
        """Do it, and leave the results, or the reason why not."""
        try:
            self._make()
        except Missing:
            pass  # the search has told why
        except Exception as error:  # noqa: BLE001 - whatever it is, the other points shall go on
            self._store.fail(self._step, error)
        finally:
            self._store.forget(self._step)

    def _make(self) -> None:
        step = self._step
        keras.utils.set_random_seed(step.seed * 1000 + step.point * 2 + (step.kind == "point"))
        self._tell(0)
        with self._store.making(step) as folder:
            {"seed": self._seed, "search": self._search, "point": self._point}[step.kind](folder)

    def _seed(self, folder: Path) -> None:
        model = _model(self._store.seed)
        if not self._plan.trained:
            self._train(model, "seed")
        self._measured(model, folder)

    def _search(self, folder: Path) -> None:
        plan, step = self._plan, self._step
        start = _model(self._start())
        bound = plan.bounds[step.point - 1]
        if all(cost(start, name) <= value for name, value in bound.items()):
            slim = start
        else:
            begin = time.perf_counter()
            search = convert(start, target=bound, **plan.options)
            training.compile_as(search, self._compiled)
            self._seconds["convert"] = time.perf_counter() - begin
            self._train(search, "search")
            slim = export(search)
        slim.save(folder / "model.keras")
        (folder / "figures.json").write_text(json.dumps({"seconds": self._seconds}))
        (folder / "history.json").write_text(json.dumps(self._history))

    def _point(self, folder: Path) -> None:
        search = Step("search", self._step.seed, self._step.point)
        if not self._store.done(search):
            raise Missing
        self._seconds |= self._store.figures(search)["seconds"]
        model = _model(self._store.folder(search) / "model.keras")
        training.compile_as(model, self._compiled)
        self._train(model, "fine-tune")
        self._measured(model, folder)

    def _start(self) -> Path:
        """The model that a search starts from."""
        step, store = self._step, self._store
        earlier = range(step.point - 1, 0, -1) if self._plan.descent else ()
        steps = [Step("search", step.seed, point) for point in earlier]
        found = next((one for one in steps if store.done(one)), Step("seed", step.seed))
        if self._plan.trained and found.kind == "seed":
            return store.seed
        if not store.done(found):
            raise Missing
        return store.folder(found) / "model.keras"

    def _train(self, model: keras.Model, kind: str) -> None:
        step, plan = self._step, self._plan
        begin = time.perf_counter()
        bound = plan.bounds[step.point - 1] if step.point else {}
        epochs = plan.length(step)
        progress = training.Progress(self._tell)
        stage = Stage(kind, epochs, step.seed, step.point, dict(bound), (progress,))
        self._history[kind] = {**training.train(model, stage, self._job), "seconds": progress.seconds}
        self._seconds[kind] = time.perf_counter() - begin

    def _measured(self, model: keras.Model, folder: Path) -> None:
        plan, step = self._plan, self._step
        begin = time.perf_counter()
        tflite = measure.quantized(model, self._job.calibration) if plan.quantization else None
        found = measure.figures(model, tflite, self._job.validation, plan)
        self._seconds["measure"] = time.perf_counter() - begin
        model.save(folder / "model.keras")
        if tflite is not None:
            (folder / "model.tflite").write_bytes(tflite)
        bound = plan.bounds[step.point - 1] if step.point else None
        content = {"seed": step.seed, "point": step.point, "bound": bound, **found, "seconds": self._seconds}
        (folder / "figures.json").write_text(json.dumps(content, indent=2) + "\n")
        (folder / "history.json").write_text(json.dumps(self._history))

    def _tell(self, epoch: int) -> None:
        if epoch and time.monotonic() < self._told + PAUSE:
            return
        self._told = time.monotonic()
        self._store.report(self._step, epoch=epoch, epochs=self._plan.length(self._step), time=time.time())
