"""Plain operations of `keras.ops` as operators of a microcontroller, by the name of their class.

The rules are as those in `layers`; an operation's own arguments are attributes of `context.layer`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from . import pieces
from .functions import FUNCTIONS, elementwise, elu, hard_sigmoid, silu, softmax
from .graph import Node
from .moves import pool, reshape, resizing
from .operators import Activation, Binary, Conv, MatMul, Pool, Reduce
from .shapes import form, pair
from .values import Context, Value
from .windows import Window

Rule = Callable[..., Any]


def arithmetic(kind: str) -> Rule:
    """ADD, MUL and so on; scale and offset where one side is a constant."""

    def rule(context: Context, x: Any, y: Any) -> Node | None:
        x, y = (side if isinstance(side, Value) else np.asarray(keras.ops.convert_to_numpy(side)) for side in (x, y))
        return context.arithmetic(kind, x, y)

    return rule


def kept(kind: str, *names: str) -> Rule:
    """An activation, with the arguments that are attributes of the operation."""

    def rule(context: Context, x: Value) -> Node:
        return context.put(Activation(kind, tuple(float(getattr(context.layer, name)) for name in names)), x.node)

    return rule


def on_node(function: Callable[[Context, Node], Node]) -> Rule:
    """A rule of a function of nodes."""
    return lambda context, x: function(context, x.node)


def square(context: Context, x: Value) -> Node:
    """MUL by itself; SQUARE has no kernel for integers."""
    return context.put(Binary("multiply"), x.node, x.node)


def power(context: Context, x: Any, y: Any) -> Node | None:
    """A square."""
    return square(context, x) if isinstance(x, Value) and np.isscalar(y) and y == 2 else None


def as_it_is(context: Context, x: Value) -> Node:
    """A function of each element, in 8 bits by its table."""
    return elementwise(context, x.node, context.layer)


def elu_operation(context: Context, x: Value) -> Node:
    """ELU."""
    return elu(context, x.node, float(context.layer.alpha))


def negative(context: Context, x: Value) -> Node:
    """A scale of -1."""
    return context.scaled(x.node, -1.0)


def softmax_operation(kind: str) -> Rule:
    """SOFTMAX or LOG_SOFTMAX."""

    def rule(context: Context, x: Value) -> Node | None:
        axis = context.layer.axis
        return softmax(context, x, axis, kind) if isinstance(axis, int) else None

    return rule


def clip(context: Context, x: Value) -> Node | None:
    """Limits."""
    low, high = context.layer.x_min, context.layer.x_max
    if not all(isinstance(limit, (int, float)) for limit in (low, high)):
        return None
    return context.put(Activation("clip", (float(low), float(high))), x.node)


# -- reductions -------------------------------------------------------------------------------------------------------


def reduction(kind: str) -> Rule:
    """Over time and space by pooling, over channels by a convolution with one kernel of ones, or as it is."""

    def rule(context: Context, x: Value) -> Node | None:
        axes = _axes(context.layer.axis, x)
        if 0 in axes or getattr(context.layer, "initial", None) is not None:
            return None
        node = x.node
        if len(node.shape) != 4 or (3 in axes and kind in ("max", "min")):
            return context.reshape(context.put(Reduce(kind, tuple(sorted(axes))), node), form(context.makes[0]))
        if kind == "min":
            node = context.scaled(node, -1.0)
        size = pair(node.shape[axis] if axis in axes else 1 for axis in (1, 2))
        if size != (1, 1):
            node = context.put(Pool("average" if kind in ("mean", "sum") else "max", Window(size, size)), node)
        if 3 in axes:
            channels = node.shape[-1]
            kernel = np.full((1, 1, channels, 1), 1.0 / channels, "float32")
            node = context.put(Conv(kernel, np.zeros(1, "float32"), Window((1, 1))), node)
        if kind == "sum":
            node = context.scaled(node, float(math.prod(x.node.shape[axis] for axis in axes)))
        if kind == "min":
            node = context.scaled(node, -1.0)
        return context.reshape(node, form(context.makes[0]))

    return rule


def _axes(axis: Any, x: Value) -> set[int]:
    """The axes of a node that are reduced."""
    if axis is None:
        return set(range(len(x.node.shape)))
    return {x.axis(a) for a in (axis if isinstance(axis, (list, tuple)) else [axis])}


def matmul(context: Context, x: Any, y: Any) -> Node | None:
    """BATCH_MATMUL of two tensors."""
    if not (isinstance(x, Value) and isinstance(y, Value)) or x.rank != y.rank or x.rank not in (3, 4):
        return None
    return context.put(MatMul(), x.node, y.node)


_EACH_ELEMENT = (
    "Arctan", "Ceil", "Celu", "Cos", "Erf", "Exp", "Expm1", "Floor", "Gelu", "HardShrink", "Log", "Log10", "Log1p",
    "Log2", "LogSigmoid", "Reciprocal", "Round", "Selu", "Sign", "Sin", "Softplus", "SoftShrink", "Softsign",
    "SparsePlus", "Sqrt", "Squareplus", "Tan", "TanhShrink", "Threshold",
)  # fmt: skip

OPERATIONS: dict[str, Rule] = {
    **{name: arithmetic(name.lower()) for name in ("Add", "Subtract", "Multiply", "Divide", "Maximum", "Minimum")},
    **dict.fromkeys(_EACH_ELEMENT, as_it_is),
    "TrueDivide": arithmetic("divide"),
    **dict.fromkeys(("Abs", "Absolute"), kept("abs")),
    "Rsqrt": kept("rsqrt"),
    "Negative": negative,
    "Square": square,
    "Power": power,
    "Relu": kept("relu"),
    "Relu6": kept("relu6"),
    "Elu": elu_operation,
    "Sigmoid": kept("sigmoid"),
    "Tanh": kept("tanh"),
    "LeakyRelu": kept("leaky_relu", "negative_slope"),
    "HardSilu": kept("hard_silu"),
    "HardTanh": on_node(FUNCTIONS[keras.activations.hard_tanh]),
    "HardSigmoid": on_node(hard_sigmoid),
    "Silu": on_node(silu),
    "Softmax": softmax_operation("softmax"),
    "LogSoftmax": softmax_operation("log_softmax"),
    "Clip": clip,
    "Mean": reduction("mean"),
    "Sum": reduction("sum"),
    **{name: reduction("max") for name in ("Max", "Amax")},
    **{name: reduction("min") for name in ("Min", "Amin")},
    **dict.fromkeys(("Reshape", "Squeeze", "ExpandDims"), reshape),
    "Transpose": pieces.transpose,
    "Swapaxes": pieces.swapaxes,
    "Moveaxis": pieces.moveaxis,
    "Concatenate": pieces.concatenate,
    "Stack": pieces.stack,
    "Split": pieces.split,
    "Flip": pieces.flip,
    "GetItem": pieces.get_item,
    "Pad": pieces.pad,
    "Repeat": pieces.repeat,
    "Roll": pieces.roll,
    "Take": pieces.take,
    "CropImages": pieces.crop_images,
    "PadImages": pieces.pad_images,
    "Resize": resizing,
    "MaxPool": pool("max"),
    "AveragePool": pool("average"),
    "Matmul": matmul,
    "Cast": on_node(lambda context, node: node),
}
