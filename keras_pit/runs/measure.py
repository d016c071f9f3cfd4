"""How well models of a run do, in float and on TFLite-Micro, and what they cost."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from .. import boards, costs
from ..deployment.fits import fits
from ..deployment.runtimes import run_tflite_micro
from ..search.cost import cost
from .data import count, spread

MOST = 2000
"""Samples that a file is run on: TFLite-Micro computes one after the other."""


def predicted(model: keras.Model, x: Any) -> np.ndarray | None:
    """The outputs of a model in float; None if there are several."""
    outputs = model.predict(x, 256, verbose=0)
    return outputs if isinstance(outputs, np.ndarray) else None


def computed(tflite: bytes, x: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """The outputs of a file on TFLite-Micro, and the arena that it took here."""
    run = run_tflite_micro(tflite, list(x.values()) if isinstance(x, Mapping) else x, timeout=1800)
    return run.dequantized[0].reshape(-1, *shape), run.arena_bytes


def costs_of(model: keras.Model, board: str | None = None) -> dict[str, float | None]:
    """Every registered cost of a model; None where one is not known.

    Args:
        model: any Keras model.
        board: whose flash, RAM and latency; None for that of `costs.registry`.
    """
    found: dict[str, float | None] = {}
    for name in costs.names():
        on_board = f":{board}" if board and costs.get(name).whole else ""
        try:
            found[name] = float(cost(model, name + on_board))
        except ValueError:
            found[name] = None
    return found


def fitting(tflite: bytes, latency: float | None) -> list[dict[str, Any]]:
    """For each board what a file takes of it; boards with nothing left for a network are left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # faults of a board's kernels are in the answer, too
        return [fits(tflite, name, latency=latency).as_dict() for name in boards.with_room()]


def samples(x: Any, y: Any) -> tuple[Any, Any]:
    """Those that a file is run on."""
    return (x, y) if count(x) <= MOST else (spread(x, MOST), spread(y, MOST))
