"""Operators that move numbers, pick some of them, or put several together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..shapes import Pair, Shape
from ..windows import Window
from .base import Operator, shaped, tensorflow


@dataclass(frozen=True, eq=False)
class Pool(Operator):
    """AVERAGE_POOL_2D or MAX_POOL_2D; padding "SAME" leaves out what is beyond the edge."""

    kind: str
    window: Window
    padding: str = "VALID"

    def shape(self, *inputs: Shape) -> Shape:
        ((_, *size, channels),) = inputs
        if self.padding == "SAME":
            return (1, *(-(-n // s) for n, s in zip(size, self.window.strides, strict=True)), channels)
        return (1, *self.window.positions(inputs[0]), channels)

    def compute(self, *inputs: Any) -> Any:
        pool = {"average": tensorflow().nn.avg_pool2d, "max": tensorflow().nn.max_pool2d}[self.kind]
        return pool(*inputs, self.window.size, self.window.strides, self.padding)


@dataclass(frozen=True, eq=False)
class Pad(Operator):
    """PAD, or PADV2 with a value that is not 0: (before, after) for each axis."""

    amounts: tuple[Pair, ...]
    value: float = 0.0

    def shape(self, *inputs: Shape) -> Shape:
        return tuple(size + sum(pair) for size, pair in zip(inputs[0], self.amounts, strict=True))

    def compute(self, *inputs: Any) -> Any:
        return tensorflow().pad(*inputs, self.amounts, constant_values=self.value)


@dataclass(frozen=True, eq=False)
class Reshape(Operator):
    """RESHAPE."""

    target: Shape

    def shape(self, *inputs: Shape) -> Shape:
        return self.target

    def compute(self, *inputs: Any) -> Any:
        return shaped(inputs[0], self.target)


@dataclass(frozen=True, eq=False)
class Transpose(Operator):
    """TRANSPOSE."""

    axes: tuple[int, ...]

    def shape(self, *inputs: Shape) -> Shape:
        return tuple(inputs[0][axis] for axis in self.axes)

    def compute(self, *inputs: Any) -> Any:
        return tensorflow().transpose(*inputs, self.axes)


@dataclass(frozen=True, eq=False)
class Slice(Operator):
    """SLICE, or STRIDED_SLICE with steps: a range of positions for each axis."""

    ranges: tuple[range, ...]

    def shape(self, *inputs: Shape) -> Shape:
        return tuple(map(len, self.ranges))

    def compute(self, *inputs: Any) -> Any:
        tf, (x,) = tensorflow(), inputs
        if all(positions.step == 1 for positions in self.ranges):
            sizes = [x.shape[0] or -1, *map(len, self.ranges[1:])]
            return tf.slice(x, [positions.start for positions in self.ranges], sizes)
        # A stop before the first element is written as None.
        return x[(slice(None), *(slice(r.start, r.stop if r.stop >= 0 else None, r.step) for r in self.ranges[1:]))]


@dataclass(frozen=True, eq=False)
class Concat(Operator):
    """CONCATENATION."""

    axis: int

    def shape(self, *inputs: Shape) -> Shape:
        shape = list(inputs[0])
        shape[self.axis] = sum(other[self.axis] for other in inputs)
        return tuple(shape)

    def compute(self, *inputs: Any) -> Any:
        return tensorflow().concat(inputs, self.axis)


@dataclass(frozen=True, eq=False)
class Resize(Operator):
    """RESIZE_NEAREST_NEIGHBOR or RESIZE_BILINEAR; by their centres, pixels lie where Keras resizes to any size."""

    size: Pair
    kind: str = "nearest"
    by_centres: bool = False

    def shape(self, *inputs: Shape) -> Shape:
        return (1, *self.size, inputs[0][-1])

    def compute(self, *inputs: Any) -> Any:
        ops, (x,) = tensorflow().raw_ops, inputs
        if self.kind == "nearest":
            return ops.ResizeNearestNeighbor(images=x, size=self.size, half_pixel_centers=self.by_centres)
        return ops.ResizeBilinear(images=x, size=self.size, half_pixel_centers=True)


@dataclass(frozen=True, eq=False)
class Take(Operator):
    """GATHER: positions along an axis, in any order."""

    positions: tuple[int, ...]
    axis: int

    def shape(self, *inputs: Shape) -> Shape:
        return (*inputs[0][: self.axis], len(self.positions), *inputs[0][self.axis + 1 :])

    def compute(self, *inputs: Any) -> Any:
        return tensorflow().gather(*inputs, self.positions, axis=self.axis)


@dataclass(frozen=True, eq=False)
class Reduce(Operator):
    """REDUCE_MAX, REDUCE_MIN, MEAN or SUM over axes, which stay with size 1."""

    kind: str
    axes: tuple[int, ...]

    def shape(self, *inputs: Shape) -> Shape:
        return tuple(1 if axis in self.axes else size for axis, size in enumerate(inputs[0]))

    def compute(self, *inputs: Any) -> Any:
        return getattr(tensorflow(), f"reduce_{self.kind}")(*inputs, self.axes, keepdims=True)


@dataclass(frozen=True, eq=False)
class MatMul(Operator):
    """BATCH_MATMUL of two computed tensors."""

    def shape(self, *inputs: Shape) -> Shape:
        left, right = inputs
        return (*np.broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1])

    def compute(self, *inputs: Any) -> Any:
        return tensorflow().matmul(*inputs)
