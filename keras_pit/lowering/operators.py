"""The operators of a lowered network: what each holds, the shape it makes, and its computation in TensorFlow.

Nearly every one becomes one operator of TFLite. Weights are numpy arrays in TensorFlow's layout. `Affine` stands for
what batch normalization leaves; most are folded into a neighbour by the passes. `Foreign` is the way out: a Keras
operation that is called as it is, for the converter to make of it what it can.

Shapes have the batch 1, but `compute` takes any batch, which training needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .shapes import Pair, Shape
from .windows import Window


class Operator:
    """What a node computes."""

    def shape(self, *inputs: Shape) -> Shape:
        """The shape of the output. Most operators keep that of their first input."""
        return inputs[0]

    def compute(self, *inputs: Any) -> Any:
        """The output of TensorFlow tensors."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Input(Operator):
    """An input of the model; `sample` is the shape of one sample as the model takes it."""

    dtype: str
    sample: Shape


@dataclass(frozen=True, eq=False)
class Constant(Operator):
    """Numbers that are there from the start."""

    value: np.ndarray

    def shape(self, *inputs: Shape) -> Shape:
        return self.value.shape

    def compute(self, *inputs: Any) -> Any:
        return _tf().constant(self.value)


# -- with weights -----------------------------------------------------------------------------------------------------


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
        tf, (x,) = _tf(), inputs
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

    @property
    def channels(self) -> int:
        return self.kernel.shape[-2] * self.kernel.shape[-1]

    def shape(self, *inputs: Shape) -> Shape:
        return (1, *self.window.positions(inputs[0]), self.channels)

    def compute(self, *inputs: Any) -> Any:
        tf, (x,) = _tf(), inputs
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
        tf, (x,) = _tf(), inputs
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
        tf, (x,) = _tf(), inputs
        return tf.nn.bias_add(tf.matmul(_shaped(x, (1, self.kernel.shape[0])), self.kernel), self.bias)


@dataclass(frozen=True, eq=False)
class Affine(Operator):
    """`x * scale + offset`, with one of each per channel (last axis)."""

    scale: np.ndarray
    offset: np.ndarray

    def compute(self, *inputs: Any) -> Any:
        return inputs[0] * self.scale.astype("float32") + self.offset.astype("float32")


@dataclass(frozen=True, eq=False)
class Gather(Operator):
    """GATHER: the rows of a table that integers number."""

    table: np.ndarray

    def shape(self, *inputs: Shape) -> Shape:
        return (*inputs[0], self.table.shape[-1])

    def compute(self, *inputs: Any) -> Any:
        return _tf().gather(self.table, *inputs)


# -- element by element -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Activation(Operator):
    """A function of each element: a name in `ACTIVATIONS`, and its arguments."""

    kind: str
    arguments: tuple[float, ...] = ()

    def compute(self, *inputs: Any) -> Any:
        return ACTIVATIONS[self.kind](_tf(), *inputs, *self.arguments)


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
        tf, (x,) = _tf(), inputs
        # In this form the converter knows it for its PRELU.
        return tf.nn.relu(x) + -self.alpha * tf.nn.relu(-x)


@dataclass(frozen=True, eq=False)
class Binary(Operator):
    """Two tensors element by element, broadcast as in numpy: a name in `tf.math`."""

    kind: str

    def shape(self, *inputs: Shape) -> Shape:
        return tuple(np.broadcast_shapes(*inputs))

    def compute(self, *inputs: Any) -> Any:
        return getattr(_tf().math, self.kind)(*inputs)


# -- what moves numbers -----------------------------------------------------------------------------------------------


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
        pool = {"average": _tf().nn.avg_pool2d, "max": _tf().nn.max_pool2d}[self.kind]
        return pool(*inputs, self.window.size, self.window.strides, self.padding)


@dataclass(frozen=True, eq=False)
class Pad(Operator):
    """PAD, or PADV2 with a value that is not 0: (before, after) for each axis."""

    amounts: tuple[Pair, ...]
    value: float = 0.0

    def shape(self, *inputs: Shape) -> Shape:
        return tuple(size + sum(pair) for size, pair in zip(inputs[0], self.amounts, strict=True))

    def compute(self, *inputs: Any) -> Any:
        return _tf().pad(*inputs, self.amounts, constant_values=self.value)


@dataclass(frozen=True, eq=False)
class Reshape(Operator):
    """RESHAPE."""

    target: Shape

    def shape(self, *inputs: Shape) -> Shape:
        return self.target

    def compute(self, *inputs: Any) -> Any:
        return _shaped(inputs[0], self.target)


@dataclass(frozen=True, eq=False)
class Transpose(Operator):
    """TRANSPOSE."""

    axes: tuple[int, ...]

    def shape(self, *inputs: Shape) -> Shape:
        return tuple(inputs[0][axis] for axis in self.axes)

    def compute(self, *inputs: Any) -> Any:
        return _tf().transpose(*inputs, self.axes)


@dataclass(frozen=True, eq=False)
class Slice(Operator):
    """SLICE, or STRIDED_SLICE with steps: a range of positions for each axis."""

    ranges: tuple[range, ...]

    def shape(self, *inputs: Shape) -> Shape:
        return tuple(map(len, self.ranges))

    def compute(self, *inputs: Any) -> Any:
        tf, (x,) = _tf(), inputs
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
        return _tf().concat(inputs, self.axis)


@dataclass(frozen=True, eq=False)
class Resize(Operator):
    """RESIZE_NEAREST_NEIGHBOR or RESIZE_BILINEAR; by their centres, pixels lie where Keras resizes to any size."""

    size: Pair
    kind: str = "nearest"
    by_centres: bool = False

    def shape(self, *inputs: Shape) -> Shape:
        return (1, *self.size, inputs[0][-1])

    def compute(self, *inputs: Any) -> Any:
        ops, (x,) = _tf().raw_ops, inputs
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
        return _tf().gather(*inputs, self.positions, axis=self.axis)


@dataclass(frozen=True, eq=False)
class Reduce(Operator):
    """REDUCE_MAX, REDUCE_MIN, MEAN or SUM over axes, which stay with size 1."""

    kind: str
    axes: tuple[int, ...]

    def shape(self, *inputs: Shape) -> Shape:
        return tuple(1 if axis in self.axes else size for axis, size in enumerate(inputs[0]))

    def compute(self, *inputs: Any) -> Any:
        return getattr(_tf(), f"reduce_{self.kind}")(*inputs, self.axes, keepdims=True)


@dataclass(frozen=True, eq=False)
class MatMul(Operator):
    """BATCH_MATMUL of two computed tensors."""

    def shape(self, *inputs: Shape) -> Shape:
        left, right = inputs
        return (*np.broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1])

    def compute(self, *inputs: Any) -> Any:
        return _tf().matmul(*inputs)


@dataclass(frozen=True, eq=False)
class Foreign(Operator):
    """Output `index` of a Keras operation: `call` takes tensors of the shapes `takes`, as Keras has them."""

    call: Callable[..., Any]
    takes: tuple[Shape, ...]
    makes: Shape
    index: int = 0

    def shape(self, *inputs: Shape) -> Shape:
        return self.makes

    def compute(self, *inputs: Any) -> Any:
        output = self.call(*map(_shaped, inputs, self.takes))[self.index]
        return _shaped(output, self.makes)


def _shaped(x: Any, shape: Shape) -> Any:
    """A tensor in another shape; its batch, which is 1 here, may be any."""
    batch = None if x.shape.rank == 0 else x.shape[0]
    wanted = (batch or -1, *shape[1:])
    return x if tuple(x.shape)[1:] == wanted[1:] and x.shape.rank == len(shape) else _tf().reshape(x, wanted)


def _tf() -> Any:
    import tensorflow

    return tensorflow
