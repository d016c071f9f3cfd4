"""How well outputs meet targets.

"classes"   one of several for each sample (or step): accuracy, confusion
"binary"    one number, above or below one half (logits: 0): accuracy, confusion
"numbers"   anything else: mean absolute error
"""

from __future__ import annotations

from typing import Any

import numpy as np


def kind_of(y: np.ndarray, outputs: np.ndarray) -> str:
    """What targets and outputs are: "classes", "binary" or "numbers"."""
    whole = y.dtype.kind in "biu" or (y.dtype.kind == "f" and bool((y == np.round(y)).all()))
    width = outputs.shape[-1]
    if not whole or (width == 1 and not np.isin(y, (0, 1)).all()):
        return "numbers"
    if width == 1:
        return "binary"
    if y.shape[1:] == outputs.shape[1:]:
        return "classes" if np.isin(y, (0, 1)).all() and (y.sum(-1) == 1).all() else "numbers"
    steps = y.shape[:-1] if y.ndim == outputs.ndim and y.shape[-1] == 1 else y.shape
    return "classes" if steps[1:] == outputs.shape[1:-1] and y.min() >= 0 and y.max() < width else "numbers"


def are_shares(outputs: np.ndarray) -> bool:
    """Whether outputs are probabilities, not logits."""
    return bool(((outputs >= 0) & (outputs <= 1)).all())


def said(outputs: np.ndarray, kind: str) -> np.ndarray:
    """The class that each output says."""
    if kind == "binary":
        return (outputs > (0.5 if are_shares(outputs) else 0.0)).astype(int).ravel()
    return outputs.argmax(-1).ravel()


def true(y: np.ndarray, outputs: np.ndarray, kind: str) -> np.ndarray:
    """The class of each target."""
    rows = kind == "classes" and y.shape[1:] == outputs.shape[1:]
    return y.argmax(-1).ravel() if rows else y.astype(int).ravel()


def score(outputs: np.ndarray, y: np.ndarray, kind: str) -> dict[str, Any]:
    """How well outputs meet targets.

    Args:
        outputs: of a model, (samples, ...).
        y: the targets.
        kind: what `kind_of` says.

    Returns:
        "accuracy", a share, or "mae", the mean absolute error of numbers.
    """
    if kind == "numbers":
        return {"mae": float(np.abs(outputs.reshape(len(y), -1) - y.reshape(len(y), -1)).mean())}
    return {"accuracy": float((said(outputs, kind) == true(y, outputs, kind)).mean())}


def confusion(outputs: np.ndarray, y: np.ndarray, kind: str) -> list[list[int]] | None:
    """For each class (row) how often each class was said; None for numbers."""
    if kind == "numbers":
        return None
    width = 2 if kind == "binary" else outputs.shape[-1]
    table = np.zeros((width, width), int)
    np.add.at(table, (true(y, outputs, kind), said(outputs, kind)), 1)
    return [[int(number) for number in row] for row in table]
