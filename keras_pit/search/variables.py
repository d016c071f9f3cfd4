"""What leads a search shares this: variables of state, the values of all masks in one tensor, functions in graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow as tf
from keras import ops

Function = TypeVar("Function", bound=Callable[..., Any])


def state(name: str, value: Any) -> keras.Variable:
    """A variable that is saved with a search model, float32 whatever the precision of its layers."""
    return keras.Variable(value, dtype="float32", trainable=False, autocast=False, name=name)


def number(variable: Any) -> float:
    """The value of a variable of one number, wherever it lies: of those on several devices, the first one's."""
    return float(ops.convert_to_numpy(variable))


def parts(values: Any, masks: Sequence[keras.Variable]) -> Any:
    """The values of each mask variable, out of those of all."""
    ends = np.cumsum([mask.shape[0] for mask in masks])[:-1].tolist()
    return ops.split(values, ends) if ends else [values]


def apart(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as one of its own in the graph: where it stands in a branch that is not taken, it takes no time."""
    return tf.function(function, autograph=False, experimental_attributes={"_noinline": True})


def as_written(function: Function) -> Function:
    """The function as it is, also in a `tf.function` of the user's.

    AutoGraph would rewrite it and all that it calls, each into a file in the temporary folder, which takes seconds.
    """
    return tf.autograph.experimental.do_not_convert(function)
