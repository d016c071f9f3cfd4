"""Variables of a search: those that hold its state, and the values of all masks in one tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops


def state(name: str, value: Any) -> keras.Variable:
    """A variable that is saved with a search model."""
    return keras.Variable(value, dtype="float32", trainable=False, name=name)


def parts(values: Any, masks: Sequence[keras.Variable]) -> Any:
    """The values of each mask variable, out of those of all."""
    ends = np.cumsum([mask.shape[0] for mask in masks])[:-1].tolist()
    return ops.split(values, ends) if ends else [values]
