"""Layers without weights that pool, pad, resize, reorder or merge, as operators; some serve `keras.ops`, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from keras import layers

from ..graph.kinds import kind_of
from .graph import Node
from .operators import Binary, Concat, MatMul, Pad, Pool, Resize, Slice
from .shapes import Pair, form, pair
from .values import Context, Value, both, channels_last
from .windows import Window

Rule = Callable[..., Node | None]


def pool(kind: str) -> Rule:
    """AVERAGE_POOL_2D or MAX_POOL_2D."""

    def rule(context: Context, x: Value) -> Node:
        layer = context.layer
        x, back = channels_last(context, x)
        rank = x.rank - 2
        size = _along(layer.pool_size, rank)
        window = Window(both(size), both(size if layer.strides is None else _along(layer.strides, rank)))
        return back(context.put(Pool(kind, window, layer.padding.upper()), x.node))

    return rule


def global_pool(kind: str) -> Rule:
    """Pooling with a window as large as the map; a mean over axes is slow."""

    def rule(context: Context, x: Value) -> Node:
        x, _ = channels_last(context, x)
        node = context.put(Pool(kind, Window(pair(x.node.shape[1:3]))), x.node)
        return context.reshape(node, form(context.makes[0]))

    return rule


def zero_padding(context: Context, x: Value) -> Node:
    """PAD."""
    x, back = channels_last(context, x)
    amounts = both(_sides(context.layer.padding, x.rank - 2), (0, 0))
    return back(context.put(Pad(((0, 0), *amounts, (0, 0))), x.node))


def cropping(context: Context, x: Value) -> Node:
    """SLICE."""
    x, back = channels_last(context, x)
    rows, columns = both(_sides(context.layer.cropping, x.rank - 2), (0, 0))
    return back(cropped(context, x.node, rows, columns))


def cropped(context: Context, node: Node, rows: Pair, columns: Pair) -> Node:
    """A map without some rows and columns before and after."""
    _, height, width, channels = node.shape
    ranges = range(1), range(rows[0], height - rows[1]), range(columns[0], width - columns[1]), range(channels)
    return context.put(Slice(ranges), node)


def center_crop(context: Context, x: Value) -> Node | None:
    """SLICE; of a map that is too small, what has the wanted shape, resized."""
    layer = context.layer
    x, back = channels_last(context, x)
    if x.rank != 4:
        return None
    size = (layer.height, layer.width)
    if any(old < new for old, new in zip(x.node.shape[1:3], size, strict=True)):
        return back(context.put(Resize(size, "bilinear"), _of_aspect(context, x.node, size)))
    rows, columns = (((old - new) // 2, -((new - old) // 2)) for old, new in zip(x.node.shape[1:3], size, strict=True))
    return back(cropped(context, x.node, rows, columns))


def _of_aspect(context: Context, node: Node, size: Pair) -> Node:
    """The middle of a map, as large as it can be with this ratio of height and width."""
    _, height, width, _ = node.shape
    wanted = (int(float(width * size[0]) / size[1]), int(float(height * size[1]) / size[0]))
    kept = [max(min(old, new), 1) for old, new in zip((height, width), wanted, strict=True)]
    before = [(old - new) // 2 for old, new in zip((height, width), kept, strict=True)]
    rows, columns = ((b, old - new - b) for b, old, new in zip(before, (height, width), kept, strict=True))
    return cropped(context, node, rows, columns)


def up_sampling(context: Context, x: Value) -> Node | None:
    """RESIZE_NEAREST_NEIGHBOR or RESIZE_BILINEAR; TFLite-Micro has no TILE."""
    x, back = channels_last(context, x)
    kind = getattr(context.layer, "interpolation", "nearest")
    if kind not in ("nearest", "bilinear"):
        return None
    rows, columns = both(context.layer.size if x.rank == 4 else [context.layer.size])
    return back(context.put(Resize((x.node.shape[1] * rows, x.node.shape[2] * columns), kind), x.node))


def resizing(context: Context, x: Value) -> Node | None:
    """RESIZE_BILINEAR or RESIZE_NEAREST_NEIGHBOR."""
    layer = context.layer
    if layer.interpolation not in ("bilinear", "nearest") or layer.pad_to_aspect_ratio or layer.antialias:
        return None
    x, back = channels_last(context, x)
    if x.rank != 4:
        return None
    rows, columns = layer.size if hasattr(layer, "size") else (layer.height, layer.width)
    node = _of_aspect(context, x.node, (rows, columns)) if layer.crop_to_aspect_ratio else x.node
    return back(context.put(Resize((rows, columns), layer.interpolation, by_centres=True), node))


def repeat_vector(context: Context, x: Value) -> Node:
    """RESIZE_NEAREST_NEIGHBOR of a map of one pixel."""
    return context.put(Resize((1, context.layer.n)), context.reshape(x.node, (1, 1, *x.shape)))


def reshape(context: Context, x: Value) -> Node:
    """Whatever keeps the order of the elements."""
    return context.reshape(x.node, form(context.makes[0]))


def flatten(context: Context, x: Value) -> Node:
    """With the channels last, whatever the order was."""
    x, _ = channels_last(context, x)
    return context.reshape(x.node, form(context.makes[0]))


def permute(context: Context, x: Value) -> Node:
    """TRANSPOSE."""
    return context.transpose(x, (0, *context.layer.dims)).node


# -- several inputs ---------------------------------------------------------------------------------------------------


def merge(kind: str) -> Rule:
    """ADD, MUL and so on, two tensors at a time."""

    def rule(context: Context, inputs: Sequence[Value]) -> Node:
        # Keras puts missing axes behind the batch.
        rank = max(x.rank for x in inputs)
        nodes = [context.reshape(x.node, form((1, *[1] * (rank - x.rank), *x.shape[1:]))) for x in inputs]
        node = nodes[0]
        for other in nodes[1:]:
            node = context.put(Binary(kind), node, other)
        return context.scaled(node, 1.0 / len(nodes)) if kind_of(context.layer) is layers.Average else node

    return rule


def concatenate(context: Context, inputs: Sequence[Value]) -> Node:
    """CONCATENATION."""
    return context.put(Concat(inputs[0].axis(context.layer.axis)), *(x.node for x in inputs))


def dot(context: Context, inputs: Sequence[Value]) -> Node | None:
    """BATCH_MATMUL, with one axis of each tensor summed over."""
    layer, (left, right) = context.layer, inputs
    if layer.normalize or not {left.rank, right.rank} <= {2, 3}:
        return None
    axes = [layer.axes] * 2 if isinstance(layer.axes, int) else list(layer.axes)
    rows = _matrix(context, left, axes[0], last=True)
    columns = _matrix(context, right, axes[1], last=False)
    return context.reshape(context.put(MatMul(), rows, columns), form(context.makes[0]))


def _matrix(context: Context, x: Value, axis: int, *, last: bool) -> Node:
    """A stack of matrices with the given axis last or last but one; a vector becomes a row or a column."""
    if x.rank == 2:
        size = x.shape[1]
        return context.reshape(x.node, (1, 1, 1, size) if last else (1, 1, size, 1))
    wanted = 2 if last else 1
    return x.node if x.positive(axis) == wanted else context.transpose(x, (0, 2, 1)).node


def _along(value: Any, rank: int) -> tuple[int, ...]:
    """A value for each axis of space."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * rank


def _sides(amounts: Any, rank: int) -> tuple[Pair, ...]:
    """Amounts before and after, for each axis of space."""
    return (tuple(amounts),) if rank == 1 else tuple(tuple(side) for side in amounts)
