"""Operations of `keras.ops` that move numbers, pick some of them, or put several together.

The rules are as those in `layers`; an operation's own arguments are attributes of `context.layer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .graph import Node
from .moves import cropped
from .operators import Concat, Pad, Resize, Slice, Take
from .shapes import Pair, form
from .values import Context, Value, channels_last


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
    x, back = channels_last(context, x)
    rows, columns = _sides(context.layer, "cropping", x.node.shape[1:3])
    return back(cropped(context, x.node, rows, columns))


def pad_images(context: Context, x: Value) -> Node:
    """PAD."""
    x, back = channels_last(context, x)
    rows, columns = _sides(context.layer, "padding", x.node.shape[1:3])
    return back(context.put(Pad(((0, 0), rows, columns, (0, 0))), x.node))


def _sides(layer: Any, what: str, sizes: Sequence[int]) -> tuple[Pair, Pair]:
    """What is cropped or padded along rows and columns."""
    before = (getattr(layer, f"{side}_{what}") for side in ("top", "left"))
    after = (getattr(layer, f"{side}_{what}") for side in ("bottom", "right"))
    rows, columns = map(_margins, sizes, before, after, (layer.target_height, layer.target_width))
    return rows, columns


def _margins(size: int, before: int | None, after: int | None, wanted: int | None) -> Pair:
    """What lies before and after; of these and the size that is wanted, one may not be told."""
    margins = abs((wanted or size) - size)
    before = margins - (after or 0) if before is None else before
    return before, margins - before if after is None else after


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
