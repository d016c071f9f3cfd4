"""What came out of a run: how well its models do, in float and on TFLite-Micro, and what they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from ..deployment.profile import profile
from ..search.report import summary
from . import folder as files
from . import measure, score
from .data import Data, count
from .folder import Folder
from .layers import layers_of
from .task import Task

CORE = "cortex-m4"
"""Whose memory is told."""


def of_run(
    run: Folder,
    model: Callable[[str], Any],
    data: Data,
    goal: Task,
    board: str | None,
    latency: float | None,
) -> dict[str, Any]:
    """The result of a run that has its slim model.

    Args:
        run: its folder.
        model: gives the model of a file in it.
        data: what it was trained on, and is measured on.
        goal: what for.
        board: whose flash, RAM and time are told.
        latency: milliseconds that boards are asked for.

    Returns:
        A dictionary for JSON: "models" with accuracy and costs, "layers" as `keras_pit.summary`, what of the target is
        "unmet", and if there is a file its "profile", "boards", "memory" and "confusion".
    """
    x, y, what = data.measured
    x, y = measure.samples(x, y)
    seed, slim, found = map(model, (files.SEED, files.SLIM, files.SEARCH))
    models = [_row(name, each, x, y, goal, board) for name, each in (("seed", seed), ("slim", slim))]
    result: dict[str, Any] = {
        "measured on": {"data": what, "samples": count(x), "held out": data.held_out and what == "x_val"},
        "task": goal.kind,
        "told": goal.told,
        "models": models,
        "layers": summary(found).as_dict(),
        "unmet": found.unmet(),
    }
    if not run.has(files.TFLITE):
        return result
    tflite = (run / files.TFLITE).read_bytes()
    row, confusion = _on_device(tflite, slim, x, y, goal)
    models.append({**row, "costs": models[-1]["costs"]})
    report = profile(tflite)
    return {
        **result,
        "profile": report.as_dict(),
        "boards": measure.fitting(tflite, latency),
        "memory": {"core": CORE, "layers": layers_of(slim, report), "rows": report.memory(CORE)},
        "confusion": confusion,
    }


def _row(name: str, model: keras.Model, x: Any, y: Any, goal: Task, board: str | None) -> dict[str, Any]:
    """A model in float; without a score if it has several outputs."""
    outputs = measure.predicted(model, x)
    right = score.score(outputs, y, goal.kind) if outputs is not None and isinstance(y, np.ndarray) else {}
    return {"model": name, **right, "costs": measure.costs_of(model, board)}


def _on_device(tflite: bytes, slim: keras.Model, x: Any, y: Any, goal: Task) -> tuple[dict[str, Any], Any]:
    """A file on TFLite-Micro, and what it took for what."""
    row: dict[str, Any] = {"model": "slim int8 on TFLite-Micro", "file": len(tflite)}
    if len(slim.outputs) > 1 or not isinstance(y, np.ndarray):
        return row, None
    outputs, row["arena"] = measure.computed(tflite, x, tuple(slim.output_shape[1:]))
    return {**row, **score.score(outputs, y, goal.kind)}, score.confusion(outputs, y, goal.kind)
