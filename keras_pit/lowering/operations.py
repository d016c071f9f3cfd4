"""Plain operations of `keras.ops` as operators of a microcontroller, by the name of their class.

The rules are as those in `layers`; an operation's own arguments are attributes of `site.layer`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import keras
import numpy as np

from .functions import elementwise, hard_sigmoid, silu, softmax
from .graph import Node, form
from .moves import pool, reshape, resizing
from .operators import Activation, Binary, Concat, Conv, MatMul, Pad, Pool, Resize, Slice
from .values import Site, Value
from .windows import Window, pair

Rule = Callable[..., Any]


def arithmetic(kind: str) -> Rule:
    """ADD, MUL and so on; scale and offset where one side is a constant."""

    def rule(site: Site, x: Any, y: Any) -> Node | None:
        x, y = (side if isinstance(side, Value) else np.asarray(keras.ops.convert_to_numpy(side)) for side in (x, y))
        return site.arithmetic(kind, x, y)

    return rule


def kept(kind: str, *names: str) -> Rule:
    """An activation, with the arguments that are attributes of the operation."""

    def rule(site: Site, x: Value) -> Node:
        return site.put(Activation(kind, tuple(float(getattr(site.layer, name)) for name in names)), x.node)

    return rule


def on_node(function: Callable[[Site, Node], Node]) -> Rule:
    """A rule of a function of nodes."""
    return lambda site, x: function(site, x.node)


def square(site: Site, x: Value) -> Node:
    """MUL by itself; SQUARE has no kernel for integers."""
    return site.put(Binary("multiply"), x.node, x.node)


def power(site: Site, x: Any, y: Any) -> Node | None:
    """A square."""
    return square(site, x) if isinstance(x, Value) and np.isscalar(y) and y == 2 else None


def as_it_is(site: Site, x: Value) -> Node:
    """A function of each element without a kernel for integers, or with one for some versions."""
    return elementwise(site, x.node, site.layer)


def negative(site: Site, x: Value) -> Node:
    """A scale of -1."""
    return site.scaled(x.node, -1.0)


def softmax_operation(site: Site, x: Value) -> Node | None:
    """SOFTMAX."""
    axis = site.layer.axis
    return softmax(site, x, axis) if isinstance(axis, int) else None


def clip(site: Site, x: Value) -> Node | None:
    """Limits."""
    low, high = site.layer.x_min, site.layer.x_max
    if not all(isinstance(limit, (int, float)) for limit in (low, high)):
        return None
    return site.put(Activation("clip", (float(low), float(high))), x.node)


# -- reductions -------------------------------------------------------------------------------------------------------


def reduction(kind: str) -> Rule:
    """Over time and space by pooling, over channels by a convolution with one kernel of ones."""

    def rule(site: Site, x: Value) -> Node | None:
        axes = _axes(site.layer.axis, x)
        if len(x.node.shape) != 4 or 0 in axes or getattr(site.layer, "initial", None) is not None:
            return None
        node = x.node
        if kind == "min":
            node = site.scaled(node, -1.0)
        size = pair(node.shape[axis] if axis in axes else 1 for axis in (1, 2))
        if size != (1, 1):
            node = site.put(Pool("average" if kind in ("mean", "sum") else "max", Window(size, size)), node)
        if 3 in axes:
            channels = node.shape[-1]
            if kind in ("max", "min"):
                return None
            kernel = np.full((1, 1, channels, 1), 1.0 / channels, "float32")
            node = site.put(Conv(kernel, np.zeros(1, "float32"), Window((1, 1))), node)
        if kind == "sum":
            node = site.scaled(node, float(math.prod(x.node.shape[axis] for axis in axes)))
        if kind == "min":
            node = site.scaled(node, -1.0)
        return site.reshape(node, form(site.makes[0]))

    return rule


def _axes(axis: Any, x: Value) -> set[int]:
    """The axes of a node that are reduced."""
    if axis is None:
        return set(range(len(x.node.shape)))
    return {x.axis(a) for a in (axis if isinstance(axis, (list, tuple)) else [axis])}


# -- moves ------------------------------------------------------------------------------------------------------------


def transpose(site: Site, x: Value) -> Node | None:
    """TRANSPOSE."""
    return _permuted(site, x, site.layer.axes)


def swapaxes(site: Site, x: Value) -> Node | None:
    """TRANSPOSE."""
    axes = [*range(x.rank)]
    first, second = x.positive(site.layer.axis1), x.positive(site.layer.axis2)
    axes[first], axes[second] = second, first
    return _permuted(site, x, axes)


def moveaxis(site: Site, x: Value) -> Node | None:
    """TRANSPOSE."""
    order = np.moveaxis(np.empty(range(2, x.rank + 2)), site.layer.source, site.layer.destination)
    return _permuted(site, x, [size - 2 for size in order.shape])


def _permuted(site: Site, x: Value, axes: Sequence[int] | None) -> Node | None:
    if axes is None or x.positive(axes[0]) != 0:
        return None
    return site.transpose(x, [x.positive(axis) for axis in axes]).node


def concatenate(site: Site, inputs: Sequence[Value]) -> Node | None:
    """CONCATENATION."""
    axis = inputs[0].positive(site.layer.axis)
    return site.put(Concat(inputs[0].axis(axis)), *(x.node for x in inputs)) if axis else None


def stack(site: Site, inputs: Sequence[Value]) -> Node | None:
    """CONCATENATION along an axis that reshapes make."""
    (made,) = site.makes
    axis = site.layer.axis % len(made)
    if axis == 0:
        return None
    single = (*made[:axis], 1, *made[axis + 1 :])
    values = [Value(site.reshape(x.node, form(single)), single) for x in inputs]
    return site.put(Concat(values[0].axis(axis)), *(value.node for value in values))


def split(site: Site, x: Value) -> list[Node] | None:
    """A SLICE for each part."""
    axis, cuts = x.positive(site.layer.axis), site.layer.indices_or_sections
    size = x.shape[axis]
    if isinstance(cuts, int):
        cuts = [size // cuts * part for part in range(1, cuts)]
    bounds = [0, *map(int, cuts), size]
    return [_sliced(site, x, {axis: range(*part)}) for part in pairwise(bounds)] if axis else None


def flip(site: Site, x: Value) -> Node | None:
    """STRIDED_SLICE backwards."""
    axis = site.layer.axis
    axes = [x.positive(a) for a in (axis if isinstance(axis, (list, tuple)) else [axis])] if axis is not None else [0]
    return _sliced(site, x, {a: range(x.shape[a])[::-1] for a in axes}) if 0 not in axes else None


def get_item(site: Site, x: Value, key: Any) -> Node | None:
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
    return site.reshape(_sliced(site, x, ranges), form(site.makes[0]))


def _sliced(site: Site, x: Value, ranges: dict[int, range]) -> Node:
    """The given positions of some axes of Keras."""
    places = {x.axis(axis): positions for axis, positions in ranges.items()}
    whole = tuple(places.get(axis, range(size)) for axis, size in enumerate(x.node.shape))
    return x.node if whole == tuple(map(range, x.node.shape)) else site.put(Slice(whole), x.node)


def pad(site: Site, x: Value, constant_values: Any = None) -> Node | None:
    """PAD or PADV2."""
    layer = site.layer
    if layer.mode != "constant" or not isinstance(constant_values, (int, float, type(None))):
        return None
    amounts = [(0, 0)] * len(x.node.shape)
    widths = np.broadcast_to(np.asarray(layer.pad_width), (x.rank, 2)).tolist()
    for axis, (before, after) in enumerate(widths):
        amounts[x.axis(axis)] = (before, after)
    return site.put(Pad(tuple(amounts), float(constant_values or 0.0)), x.node)


def repeat(site: Site, x: Value) -> Node | None:
    """RESIZE_NEAREST_NEIGHBOR, along time or space."""
    layer = site.layer
    if not isinstance(layer.repeats, int) or layer.axis is None or len(x.node.shape) != 4:
        return None
    axis = x.axis(layer.axis)
    if axis not in (1, 2):
        return None
    rows, columns = (
        size * (layer.repeats if a == axis else 1) for a, size in ((1, x.node.shape[1]), (2, x.node.shape[2]))
    )
    return site.put(Resize((rows, columns)), x.node)


def matmul(site: Site, x: Any, y: Any) -> Node | None:
    """BATCH_MATMUL of two tensors."""
    if not (isinstance(x, Value) and isinstance(y, Value)) or x.rank != y.rank or x.rank not in (3, 4):
        return None
    return site.put(MatMul(), x.node, y.node)


_AS_IT_IS = ("Absolute", "Sqrt", "Rsqrt", "Exp", "Log", "Floor", "Round", "Elu", "Selu", "Gelu", "Softplus", "Softsign")

OPERATIONS: dict[str, Rule] = {
    **{name: arithmetic(name.lower()) for name in ("Add", "Subtract", "Multiply", "Divide", "Maximum", "Minimum")},
    **dict.fromkeys(_AS_IT_IS, as_it_is),
    "TrueDivide": arithmetic("divide"),
    "Negative": negative,
    "Square": square,
    "Power": power,
    "Relu": kept("relu"),
    "Relu6": kept("relu6"),
    "Sigmoid": kept("sigmoid"),
    "Tanh": kept("tanh"),
    "LeakyRelu": kept("leaky_relu", "negative_slope"),
    "HardSilu": kept("hard_silu"),
    "HardSigmoid": on_node(hard_sigmoid),
    "Silu": on_node(silu),
    "Softmax": softmax_operation,
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
    "Resize": resizing,
    "MaxPool": pool("max"),
    "AveragePool": pool("average"),
    "Matmul": matmul,
}
