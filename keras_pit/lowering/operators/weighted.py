"""Operators with weights, which are numpy arrays in TensorFlow's layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..shapes import Pair, Shape
from ..windows import Window
from .base import Operator, shaped, tensorflow


@dataclass(frozen=True, eq=False)
class Conv(Operator):
    """CONV_2D. Kernel of shape (rows, columns, in / groups, out), bias (out,)."""

    kernel: np.ndarray
    bias: np.ndarray
    window: Window

    @property
    def channels(self) -> int:
        return self.kernel.shape[-1]

    def shape(self, *inputs: Shape) -> Shape:
        return (1, *self.window.positions(inputs[0]), self.channels)

    def compute(self, *inputs: Any) -> Any:
        tf, (x,) = tensorflow(), inputs
        window, padding = self.window, self.window.padding(tuple(x.shape))
        return tf.nn.bias_add(
            tf.nn.conv2d(x, self.kernel, window.strides, padding, dilations=window.dilation), self.bias
        )


@dataclass(frozen=True, eq=False)
class Depthwise(Operator):
    """DEPTHWISE_CONV_2D. Kernel of shape (rows, columns, in, multiplier), bias (in * multiplier,)."""

    kernel: np.ndarray
    bias: np.ndarray
    window: Window
    is_grouped: bool = False
    """Whether it is an ordinary convolution whose groups have one channel each."""

    @property
    def channels(self) -> int:
        return self.kernel.shape[-2] * self.kernel.shape[-1]

    def shape(self, *inputs: Shape) -> Shape:
        return (1, *self.window.positions(inputs[0]), self.channels)

    def compute(self, *inputs: Any) -> Any:
        tf, (x,) = tensorflow(), inputs
        window, padding = self.window, self.window.padding(tuple(x.shape))
        # TensorFlow wants equal strides; along a single row they mean nothing.
        strides = 2 * (window.strides[1],) if x.shape[1] == window.size[0] == 1 else window.strides
        x = tf.nn.depthwise_conv2d(x, self.kernel, (1, *strides, 1), padding, dilations=window.dilation)
        return tf.nn.bias_add(x, self.bias)


@dataclass(frozen=True, eq=False)
class TransposeConv(Operator):
    """TRANSPOSE_CONV. Kernel of shape (rows, columns, out, in); `size` are the rows and columns that it makes."""

    kernel: np.ndarray
    bias: np.ndarray
    strides: Pair
    padding: str
    size: Pair

    @property
    def channels(self) -> int:
        return self.kernel.shape[-2]

    def shape(self, *inputs: Shape) -> Shape:
        return (1, *self.size, self.channels)

    def compute(self, *inputs: Any) -> Any:
        tf, (x,) = tensorflow(), inputs
        size = (tf.shape(x)[0] if x.shape[0] is None else x.shape[0], *self.size, self.channels)
        x = tf.nn.conv2d_transpose(x, self.kernel, size, self.strides, self.padding)
        return tf.nn.bias_add(x, self.bias)


@dataclass(frozen=True, eq=False)
class Dense(Operator):
    """FULLY_CONNECTED, on a tensor of any shape, which it flattens. Kernel of shape (in, out), bias (out,)."""

    kernel: np.ndarray
    bias: np.ndarray

    @property
    def channels(self) -> int:
        return self.kernel.shape[-1]

    def shape(self, *inputs: Shape) -> Shape:
        return (1, self.channels)

    def compute(self, *inputs: Any) -> Any:
        tf, (x,) = tensorflow(), inputs
        return tf.nn.bias_add(tf.matmul(shaped(x, (1, self.kernel.shape[0])), self.kernel), self.bias)


@dataclass(frozen=True, eq=False)
class Gather(Operator):
    """GATHER: the rows of a table that integers number."""

    table: np.ndarray

    def shape(self, *inputs: Shape) -> Shape:
        return (*inputs[0], self.table.shape[-1])

    def compute(self, *inputs: Any) -> Any:
        return tensorflow().gather(self.table, *inputs)
