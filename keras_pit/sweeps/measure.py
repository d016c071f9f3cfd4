"""What a model is worth and what it costs: the figures of a point.

score      the losses and metrics that the model is compiled with, of the floats and of TFLite-Micro's integers
costs      size and macs of the model; flash, ram and latency of its int8 file on the board; costs of the user's own
layers     its architecture
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import keras
import numpy as np

from .. import costs
from ..deployment import run_tflite_micro, to_tflite
from ..deployment.calibration import as_arrays
from ..deployment.fits import fits
from ..search.cost import cost
from ..search.report import summary
from .plan import Plan
from .samples import Samples

BATCH = 256
COSTS = ("size", "macs", "flash", "ram", "latency")
"""What is always known."""

_HIGHER = ("acc", "auc", "precision", "recall", "f1", "fbeta", "score", "iou", "cosine", "sensitivity", "specificity")
"""Parts of the names of metrics of which more is better."""


def evaluate(model: keras.Model, samples: Samples) -> dict[str, float]:
    """The losses and metrics of a compiled model."""
    outputs = model.predict(samples.x, batch_size=BATCH, verbose=0)
    return score(model, keras.tree.flatten(outputs), samples)


def evaluate_int8(model: keras.Model, tflite: bytes, samples: Samples) -> tuple[dict[str, float], int]:
    """The same of its file, computed by TFLite-Micro; and the arena that this took here, in bytes."""
    run = run_tflite_micro(tflite, [np.asarray(array) for array in as_arrays(model.inputs, samples.x)])
    shapes = [tuple(output.shape[1:]) for output in model.outputs]
    outputs = [array.reshape(-1, *shape) for array, shape in zip(run.dequantized, shapes, strict=True)]
    return score(model, outputs, samples), run.arena_bytes


def score(model: keras.Model, outputs: list[np.ndarray], samples: Samples) -> dict[str, float]:
    """The losses and metrics that outputs have, by whatever they were computed.

    Args:
        model: says by how it is compiled what is measured.
        outputs: one array of shape (samples, *output) for each output.
        samples: the targets.

    Raises:
        ValueError: if the model is not compiled.
    """
    if not model.compiled:
        raise ValueError(
            f"Model '{model.name}' is not compiled, so there is nothing to measure it by: compile the seed with a loss "
            "and metrics, or let your function train(model, stage) compile what it is given."
        )
    inputs = [keras.Input(array.shape[1:], dtype=array.dtype) for array in outputs]
    names = model.output_names
    same = [keras.layers.Identity(name=name, dtype="float32")(x) for name, x in zip(names, inputs, strict=True)]
    judge = keras.Model(inputs, same if len(same) > 1 else same[0])
    judge.compile_from_config({**model.get_compile_config(), "jit_compile": False})
    found = judge.evaluate(
        outputs if len(outputs) > 1 else outputs[0],
        samples.y,
        sample_weight=samples.weights,
        batch_size=len(samples),
        verbose=0,
        return_dict=True,
    )
    return {name: float(value) for name, value in found.items()}


def monitored(found: dict[str, float], monitor: str | None) -> str:
    """The log that says how good a model is.

    Raises:
        ValueError: if it is none of those.
    """
    if monitor is None:
        return next((name for name in found if not name.endswith("loss")), "loss")
    if monitor not in found:
        raise ValueError(f"`monitor` is {monitor!r}, but the model is compiled for {', '.join(map(repr, found))}.")
    return monitor


def higher_is_better(name: str, mode: str) -> bool:
    """Whether more of a log is better: as said, or as its name tells."""
    return mode == "max" if mode != "auto" else any(part in name.lower() for part in _HIGHER)


def quantized(model: keras.Model, calibration: Any) -> bytes:
    """The int8 file of a model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return to_tflite(model, calibration)


def figures(model: keras.Model, tflite: bytes | None, samples: Samples, plan: Plan) -> dict[str, Any]:
    """All figures of a model.

    Args:
        model: compiled and trained.
        tflite: its int8 file, if there is one.
        samples: to measure it on.
        plan: says for which board and by which log.
    """
    found = {"float": evaluate(model, samples)}
    name = monitored(found["float"], plan.monitor)
    if not math.isfinite(found["float"][name]):
        raise ValueError(
            f"The {name} of model '{model.name}' is {found['float'][name]}: its training has diverged. Compile the "
            "seed with a lower learning rate, or with an optimizer that clips gradients (clipnorm=1.0)."
        )
    arena = None
    if tflite is not None:
        found["int8"], arena = evaluate_int8(model, tflite, samples)
    return {
        "monitor": name,
        "higher_is_better": higher_is_better(name, plan.mode),
        "accuracy": found["float"][name],
        "accuracy_int8": found["int8"][name] if tflite is not None else None,
        "metrics": found,
        "costs": costs_of(model, tflite, plan),
        "arena_here": arena,
        "layers": architecture(model),
    }


def costs_of(model: keras.Model, tflite: bytes | None, plan: Plan) -> dict[str, float]:
    """What a model costs: by its int8 file where there is one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what is only known from below is told by `fits` and `cost`
        found = {name: float(cost(model, name)) for name in ("size", "macs")}
        on_board = fits(model if tflite is None else tflite, plan.board)
        found |= {name: float(getattr(on_board, name).used) for name in ("flash", "ram", "latency")}
        for name in plan.costs:
            if name.partition(":")[0] not in COSTS or name.partition(":")[2] not in ("", plan.board):
                found[name] = float(cost(model, name))
    return found


def board_of(names: Any) -> str:
    """The board that figures are for: that of the first cost which names one, unless another goes without."""
    if {"ram", "latency"} & set(names):
        return costs.registry.BOARD
    return next((board for name in names if (board := name.partition(":")[2])), costs.registry.BOARD)


def architecture(model: keras.Model) -> list[dict[str, Any]]:
    """The convolutions and Dense layers: name, kind, channels, kernel, dilation."""
    return [
        {
            "name": layer.name,
            "kind": layer.kind,
            "channels": layer.after.channels,
            "kernel": list(layer.after.kernel),
            "dilation": list(layer.after.dilation),
            "size": layer.after.size,
        }
        for layer in summary(model).layers
    ]
