"""Operators that compute element by element."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..shapes import Shape
from .base import Operator, tensorflow


@dataclass(frozen=True, eq=False)
class Affine(Operator):
    """`x * scale + offset`, with one of each per channel (last axis)."""

    scale: np.ndarray
    offset: np.ndarray

    def compute(self, *inputs: Any) -> Any:
        return inputs[0] * self.scale.astype("float32") + self.offset.astype("float32")


@dataclass(frozen=True, eq=False)
class Activation(Operator):
    """A function of each element: a name in `ACTIVATIONS`, and its arguments."""

    kind: str
    arguments: tuple[float, ...] = ()

    def compute(self, *inputs: Any) -> Any:
        return ACTIVATIONS[self.kind](tensorflow(), *inputs, *self.arguments)


ACTIVATIONS: dict[str, Callable[..., Any]] = {
    "relu": lambda tf, x: tf.nn.relu(x),
    "relu6": lambda tf, x: tf.nn.relu6(x),
    "elu": lambda tf, x: tf.nn.elu(x),
    "leaky_relu": lambda tf, x, slope: tf.nn.leaky_relu(x, slope),
    "clip": lambda tf, x, low, high: tf.clip_by_value(x, low, high),
    "minimum": lambda tf, x, high: tf.minimum(x, high),
    "sigmoid": lambda tf, x: tf.nn.sigmoid(x),
    "tanh": lambda tf, x: tf.nn.tanh(x),
    "hard_silu": lambda tf, x: x * tf.nn.relu6(x + 3.0) * (1.0 / 6.0),
    "abs": lambda tf, x: tf.abs(x),
    "rsqrt": lambda tf, x: tf.math.rsqrt(x),
    "softmax": lambda tf, x: tf.nn.softmax(x),
    "log_softmax": lambda tf, x: tf.nn.log_softmax(x),
}
"""What `Activation` may be, each with a kernel for integers in TFLite-Micro; the last two are along the last axis."""
ALONG_LAST_AXIS = ("softmax", "log_softmax")


@dataclass(frozen=True, eq=False)
class Function(Operator):
    """A function of each element that TFLite-Micro has no kernel for; in 8 bits, a table is one (CAST, ADD, GATHER)."""

    kind: str
    call: Callable[[Any], Any]

    def compute(self, *inputs: Any) -> Any:
        return self.call(*inputs)


@dataclass(frozen=True, eq=False)
class PReLU(Operator):
    """`x` where positive, else `x * alpha`."""

    alpha: np.ndarray

    def compute(self, *inputs: Any) -> Any:
        tf, (x,) = tensorflow(), inputs
        # In this form the converter knows it for its PRELU.
        return tf.nn.relu(x) + -self.alpha * tf.nn.relu(-x)


@dataclass(frozen=True, eq=False)
class Binary(Operator):
    """Two tensors element by element, broadcast as in numpy: a name in `tf.math`."""

    kind: str

    def shape(self, *inputs: Shape) -> Shape:
        return tuple(np.broadcast_shapes(*inputs))

    def compute(self, *inputs: Any) -> Any:
        return getattr(tensorflow().math, self.kind)(*inputs)
