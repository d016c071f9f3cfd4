"""Plain operations of `keras.ops` as operators of a microcontroller, by the name of their class.

The rules are as those in `layers`; an operation's own arguments are attributes of `context.layer`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import keras
import numpy as np

from .functions import FUNCTIONS, elementwise, elu, hard_sigmoid, silu, softmax
from .graph import Node
from .moves import cropped, pool, reshape, resizing
from .operators import Activation, Binary, Concat, Conv, MatMul, Pad, Pool, Reduce, Resize, Slice, Take
from .shapes import Pair, form, pair
from .values import Context, Value, channels_last
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


# -- moves ------------------------------------------------------------------------------------------------------------


def transpose(context: Context, x: Value) -> Node | None:
    """TRANSPOSE."""
    return _permuted(context, x, context.layer.axes)


def swapaxes(context: Context, x: Value) -> Node | None:
    """TRANSPOSE."""
    axes = [*range(x.rank)]
    first, second = x.positive(context.layer.axis1), x.positive(context.layer.axis2)
    axes[first], axes[second] = second, first
    return _permuted(context, x, axes)


def moveaxis(context: Context, x: Value) -> Node | None:
    """TRANSPOSE."""
    order = np.moveaxis(np.empty(range(2, x.rank + 2)), context.layer.source, context.layer.destination)
    return _permuted(context, x, [size - 2 for size in order.shape])


def _permuted(context: Context, x: Value, axes: Sequence[int] | None) -> Node | None:
    if axes is None or x.positive(axes[0]) != 0:
        return None
    return context.transpose(x, [x.positive(axis) for axis in axes]).node


def concatenate(context: Context, inputs: Sequence[Value]) -> Node | None:
    """CONCATENATION."""
    axis = inputs[0].positive(context.layer.axis)
    return context.put(Concat(inputs[0].axis(axis)), *(x.node for x in inputs)) if axis else None


def stack(context: Context, inputs: Sequence[Value]) -> Node | None:
    """CONCATENATION along an axis that reshapes make."""
    (made,) = context.makes
    axis = context.layer.axis % len(made)
    if axis == 0:
        return None
    single = (*made[:axis], 1, *made[axis + 1 :])
    values = [Value(context.reshape(x.node, form(single)), single) for x in inputs]
    return context.put(Concat(values[0].axis(axis)), *(value.node for value in values))


def split(context: Context, x: Value) -> list[Node] | None:
    """A SLICE for each part."""
    axis, cuts = x.positive(context.layer.axis), context.layer.indices_or_sections
    size = x.shape[axis]
    if isinstance(cuts, int):
        cuts = [size // cuts * part for part in range(1, cuts)]
    bounds = [0, *map(int, cuts), size]
    return [_sliced(context, x, {axis: range(*part)}) for part in pairwise(bounds)] if axis else None


def flip(context: Context, x: Value) -> Node | None:
    """STRIDED_SLICE backwards."""
    axis = context.layer.axis
    axes = [x.positive(a) for a in (axis if isinstance(axis, (list, tuple)) else [axis])] if axis is not None else [0]
    return _sliced(context, x, {a: range(x.shape[a])[::-1] for a in axes}) if 0 not in axes else None


def get_item(context: Context, x: Value, key: Any) -> Node | None:
    """SLICE or STRIDED_SLICE; what axes come or go, a reshape does."""
    entries = list(key) if isinstance(key, (tuple, list)) else [key]
    if not all(entry is None or entry is Ellipsis or isinstance(entry, (int, slice)) for entry in entries):
        return None
    if Ellipsis in entries:
        where = entries.index(Ellipsis)
        missing = x.rank - sum(entry is not None for entry in entries) + 1
        entries[where : where + 1] = [slice(None)] * missing
    if entries[0] != slice(None):
        return None
    ranges = {}
    for axis, entry in enumerate(entry for entry in entries if entry is not None):
        positions = range(x.shape[axis])
        ranges[axis] = positions[entry] if isinstance(entry, slice) else positions[entry : (entry + 1) or None]
    return context.reshape(_sliced(context, x, ranges), form(context.makes[0]))


def _sliced(context: Context, x: Value, ranges: dict[int, range]) -> Node:
    """The given positions of some axes of Keras."""
    places = {x.axis(axis): positions for axis, positions in ranges.items()}
    whole = tuple(places.get(axis, range(size)) for axis, size in enumerate(x.node.shape))
    return x.node if whole == tuple(map(range, x.node.shape)) else context.put(Slice(whole), x.node)


def pad(context: Context, x: Value, constant_values: Any = None) -> Node | None:
    """PAD or PADV2."""
    layer = context.layer
    if layer.mode != "constant" or not isinstance(constant_values, (int, float, type(None))):
        return None
    amounts = [(0, 0)] * len(x.node.shape)
    widths = np.broadcast_to(np.asarray(layer.pad_width), (x.rank, 2)).tolist()
    for axis, (before, after) in enumerate(widths):
        amounts[x.axis(axis)] = (before, after)
    return context.put(Pad(tuple(amounts), float(constant_values or 0.0)), x.node)


def crop_images(context: Context, x: Value) -> Node:
    """SLICE."""
    layer = context.layer
    x, back = channels_last(context, x)
    rows, columns = (
        _margins(size, before, after, wanted)
        for size, before, after, wanted in zip(
            x.node.shape[1:3],
            (layer.top_cropping, layer.left_cropping),
            (layer.bottom_cropping, layer.right_cropping),
            (layer.target_height, layer.target_width),
            strict=True,
        )
    )
    return back(cropped(context, x.node, rows, columns))


def pad_images(context: Context, x: Value) -> Node:
    """PAD."""
    layer = context.layer
    x, back = channels_last(context, x)
    rows, columns = (
        _margins(wanted, before, after, size)
        for size, before, after, wanted in zip(
            x.node.shape[1:3],
            (layer.top_padding, layer.left_padding),
            (layer.bottom_padding, layer.right_padding),
            (layer.target_height, layer.target_width),
            strict=True,
        )
    )
    return back(context.put(Pad(((0, 0), rows, columns, (0, 0))), x.node))


def _margins(outer: Any, before: Any, after: Any, inner: Any) -> Pair:
    """What lies before and after a part; of the four numbers, Keras knows the others' sum."""
    if before is None:
        before = outer - inner - after
    return before, outer - inner - before if after is None else after


def roll(context: Context, x: Value) -> Node | None:
    """Two SLICE and a CONCATENATION."""
    axis, shift = context.layer.axis, context.layer.shift
    if not isinstance(axis, int) or not isinstance(shift, int) or x.positive(axis) == 0:
        return None
    size = x.shape[axis]
    if shift % size == 0:
        return x.node
    parts = (range(size - shift % size, size), range(size - shift % size))
    nodes = [_sliced(context, x, {x.positive(axis): positions}) for positions in parts]
    return context.put(Concat(x.axis(axis)), *nodes)


def take(context: Context, x: Value, indices: Any) -> Node | None:
    """SLICE of what lies side by side, else GATHER."""
    layer = context.layer
    if isinstance(indices, Value) or layer.axis is None or x.positive(layer.axis) == 0 or np.ndim(indices) != 1:
        return None
    axis = x.positive(layer.axis)
    positions = tuple(int(index) % x.shape[axis] for index in np.asarray(indices))
    if positions == tuple(range(positions[0], positions[0] + len(positions))):
        return _sliced(context, x, {axis: range(positions[0], positions[-1] + 1)})
    return context.put(Take(positions, x.axis(axis)), x.node)


def repeat(context: Context, x: Value) -> Node | None:
    """RESIZE_NEAREST_NEIGHBOR, along time or space."""
    layer = context.layer
    if not isinstance(layer.repeats, int) or layer.axis is None or len(x.node.shape) != 4:
        return None
    axis = x.axis(layer.axis)
    if axis not in (1, 2):
        return None
    rows, columns = (
        size * (layer.repeats if a == axis else 1) for a, size in ((1, x.node.shape[1]), (2, x.node.shape[2]))
    )
    return context.put(Resize((rows, columns)), x.node)


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
    "Transpose": transpose,
    "Swapaxes": swapaxes,
    "Moveaxis": moveaxis,
    "Concatenate": concatenate,
    "Stack": stack,
    "Split": split,
    "Flip": flip,
    "GetItem": get_item,
    "Pad": pad,
    "Repeat": repeat,
    "Roll": roll,
    "Take": take,
    "CropImages": crop_images,
    "PadImages": pad_images,
    "Resize": resizing,
    "MaxPool": pool("max"),
    "AveragePool": pool("average"),
    "Matmul": matmul,
    "Cast": on_node(lambda context, node: node),
}
