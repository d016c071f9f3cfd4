"""Scales and offsets folded into the weights around them.

Batch normalization, `Rescaling` and arithmetic with constants are `Affine` operators: y = scale * x + offset, channel
by channel. An affine costs nothing in a convolution or Dense layer before it, or behind it:

    back        Conv -> Affine                ->   Conv'
                Conv -> AveragePool -> Affine ->   Conv' -> AveragePool
    forward     Affine -> Conv                ->   Conv'           if the convolution sees no zeros, or the offset is 0
                Affine -> Reshape -> Dense    ->   Reshape -> Dense'

Each table below says, for a kind of operator, how an affine passes or what it becomes. All of it is exact in real
numbers, and computed in double precision. What is left becomes a depthwise convolution with one tap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .graph import Network, Node, Uses, rewrite
from .operators import (
    Activation,
    Affine,
    Binary,
    Concat,
    Conv,
    Dense,
    Depthwise,
    Input,
    Operator,
    Pad,
    Pool,
    Reshape,
    Resize,
    Slice,
    Transpose,
    TransposeConv,
)
from .shapes import Shape
from .windows import NO_PADDING, Window


def fold_affines(network: Network) -> Network:
    """Fold every affine that can be folded into what comes before or behind it."""
    while True:
        folded = rewrite(network, _fold_back)
        while (affine := _willing(folded)) is not None:
            folded = _fold_forward(folded, affine)
        if len(folded.nodes()) == len(network.nodes()):
            return folded
        network = folded


def affines_to_depthwise(network: Network) -> Network:
    """Make convolutions with one tap per channel of the affines that are left."""

    def rule(node: Node, uses: Uses) -> Node:
        affine = node.operator
        if not isinstance(affine, Affine) or len(node.shape) not in (2, 4):
            return node
        kernel = affine.scale.reshape(1, 1, -1, 1).astype("float32")
        operator = Depthwise(kernel, affine.offset.astype("float32"), Window((1, 1)))
        (source,) = node.inputs
        if len(node.shape) == 4:
            return Node(operator, (source,), node.shape, node.name)
        source = Node.of(Reshape((1, 1, *node.shape)), source, name=node.name)
        return Node.of(Reshape(node.shape), Node.of(operator, source, name=node.name), name=node.name)

    return rewrite(network, rule)


# -- back -------------------------------------------------------------------------------------------------------------


def _fold_back(node: Node, uses: Uses) -> Node:
    if not isinstance(node.operator, Affine):
        return node
    return _absorbed(node.inputs[0], node.operator, uses) or node


def _absorbed(node: Node, affine: Affine, uses: Uses) -> Node | None:
    """A node that computes `affine(node)` at no cost, if there is one."""
    operator, kind = node.operator, type(node.operator)
    if kind is Affine:
        (source,) = node.inputs
        both = _then(operator, affine)
        return _absorbed(source, both, uses) or replace(node, operator=both)
    if uses[node] > 1:
        return None
    if kind in _AFTER:
        return _counted(replace(node, operator=_AFTER[kind](operator, affine)), uses)
    sources: list[Node | None] = []
    if kind in _BACK:
        before = _BACK[kind](operator, affine, node.inputs[0].shape)
        sources = [_absorbed(node.inputs[0], before, uses) if before else None]
    elif kind is Concat:
        parts = _parts(affine, node) if operator.axis == len(node.shape) - 1 else [affine] * len(node.inputs)
        sources = [_absorbed(source, part, uses) for source, part in zip(node.inputs, parts, strict=True)]
    elif kind is Binary and operator.kind in ("add", "subtract") and _equally_wide(node):
        rest = Affine(affine.scale, np.zeros_like(affine.offset))
        sources = [_absorbed(source, part, uses) for source, part in zip(node.inputs, (affine, rest), strict=True)]
    if not sources or None in sources:
        return None
    return _counted(node.on(*(source for source in sources if source)), uses)


def _counted(node: Node, uses: Uses) -> Node:
    """A new node has one reader, the one that asked for it."""
    uses[node] = 1
    return node


def _equally_wide(node: Node) -> bool:
    return all(source.shape[-1] == node.shape[-1] for source in node.inputs)


def _parts(affine: Affine, node: Node) -> list[Affine]:
    cuts = np.cumsum([source.shape[-1] for source in node.inputs])[:-1]
    return [Affine(*part) for part in zip(np.split(affine.scale, cuts), np.split(affine.offset, cuts), strict=True)]


# -- forward ----------------------------------------------------------------------------------------------------------


def _willing(network: Network) -> Node | None:
    """An affine that all of its readers can take over."""
    readers: dict[Node, list[Node]] = defaultdict(list)
    for node in network.nodes():
        for source in node.inputs:
            readers[source].append(node)

    def taken(node: Node, affine: Affine) -> bool:
        return node not in network.outputs and all(willing(reader, affine, node.shape) for reader in readers[node])

    def willing(reader: Node, affine: Affine, shape: Shape) -> bool:
        operator, kind = reader.operator, type(reader.operator)
        if kind in _BEFORE:
            return takes(operator, affine, shape)
        after = _FORWARD[kind](operator, affine, shape) if kind in _FORWARD else None
        return after is not None and taken(reader, after)

    for node in network.nodes():
        affine = node.operator
        if isinstance(affine, Affine) and not is_raw(node.inputs[0], affine) and taken(node, affine):
            return node
    return None


_FAR = 16.0


def is_raw(source: Node, affine: Affine) -> bool:
    """Whether an affine makes small numbers of raw units: of 101,325 Pa, or of Pa beside degrees.

    Weights of 8 bits cannot carry its offset, as their rounding times the offset is as large as what the numbers tell;
    nor scales that differ much, as an output channel has one step for the weights of all inputs.
    """
    while isinstance(source.operator, Reshape):
        (source,) = source.inputs
    scale = np.abs(affine.scale)
    is_far = np.abs(affine.offset).max() > _FAR or scale.max() > _FAR * scale.min()
    return isinstance(source.operator, Input) and bool(is_far)


def takes(operator: Operator, affine: Affine, shape: Shape) -> bool:
    """Whether an operator can take over an affine that it reads, of this shape."""
    kind = type(operator)
    return kind in _BEFORE and _BEFORE[kind](operator, affine, shape) is not None


def _fold_forward(network: Network, affine: Node) -> Network:
    moving = {affine}

    def rule(node: Node, uses: Uses) -> Node:
        if not node.inputs or node.inputs[0] not in moving or node in moving:
            return node
        (before,) = node.inputs
        operator, kind, scaling = node.operator, type(node.operator), before.operator
        (source,) = before.inputs
        if kind in _BEFORE:
            return replace(node, operator=_BEFORE[kind](operator, scaling, source.shape), inputs=(source,))
        passed: Any = _FORWARD[kind](operator, scaling, source.shape)
        after = Node.of(passed, node.on(source), name=before.name)
        moving.add(after)
        return after

    return rewrite(network, rule)


# -- tables -----------------------------------------------------------------------------------------------------------


def _then(first: Affine, second: Affine) -> Affine:
    return Affine(first.scale * second.scale, first.offset * second.scale + second.offset)


def _single(value: np.ndarray) -> np.ndarray:
    return value.astype("float32")


def _with_output(operator: Conv | TransposeConv | Dense | Depthwise, affine: Affine, scale: np.ndarray) -> Operator:
    bias = operator.bias * affine.scale + affine.offset
    return replace(operator, kernel=_single(operator.kernel * scale), bias=_single(bias))


_AFTER: dict[type, Callable[..., Operator]] = {
    Conv: lambda conv, affine: _with_output(conv, affine, affine.scale),
    Dense: lambda dense, affine: _with_output(dense, affine, affine.scale),
    Depthwise: lambda conv, affine: _with_output(conv, affine, affine.scale.reshape(conv.kernel.shape[2:])),
    TransposeConv: lambda conv, affine: _with_output(conv, affine, affine.scale[:, None]),
}
"""`operator` then affine, as one operator."""


def _conv_before(conv: Conv, affine: Affine, shape: Shape) -> Conv | None:
    if affine.offset.any() and conv.window.pads != NO_PADDING:
        return None
    *taps, inside, outside = conv.kernel.shape
    groups = shape[-1] // inside
    kernel = conv.kernel.reshape(-1, inside, groups, outside // groups).astype("float64")
    scale, offset = (vector.reshape(groups, inside).T[..., None] for vector in (affine.scale, affine.offset))
    bias = conv.bias + (kernel * offset).sum((0, 1)).reshape(-1)
    return replace(conv, kernel=_single((kernel * scale).reshape(*taps, inside, outside)), bias=_single(bias))


def _depthwise_before(conv: Depthwise, affine: Affine, shape: Shape) -> Depthwise | None:
    if affine.offset.any() and conv.window.pads != NO_PADDING:
        return None
    kernel = conv.kernel.astype("float64")
    bias = conv.bias + (kernel * affine.offset[:, None]).sum((0, 1)).reshape(-1)
    return replace(conv, kernel=_single(kernel * affine.scale[:, None]), bias=_single(bias))


def _transposed_before(conv: TransposeConv, affine: Affine, shape: Shape) -> TransposeConv | None:
    return None if affine.offset.any() else replace(conv, kernel=_single(conv.kernel * affine.scale))


def _dense_before(dense: Dense, affine: Affine, shape: Shape) -> Dense:
    repeats = len(dense.kernel) // len(affine.scale)
    scale, offset = np.tile(affine.scale, repeats), np.tile(affine.offset, repeats)
    kernel = dense.kernel.astype("float64")
    return replace(dense, kernel=_single(kernel * scale[:, None]), bias=_single(dense.bias + offset @ kernel))


_BEFORE: dict[type, Callable[..., Operator | None]] = {
    Conv: _conv_before,
    Depthwise: _depthwise_before,
    TransposeConv: _transposed_before,
    Dense: _dense_before,
    Affine: lambda second, first, shape: _then(first, second),
}
"""Affine then `operator`, as one operator; None where that is not exact. `shape` is what it reads."""


def _same(operator: Operator, affine: Affine, shape: Shape) -> Affine:
    return affine


def _homogeneous(operator: Activation, affine: Affine, shape: Shape) -> Affine | None:
    """f(s x) = s f(x) for s > 0."""
    fits = operator.kind in ("relu", "leaky_relu") and (affine.scale > 0).all() and not affine.offset.any()
    return affine if fits else None


def _monotone(operator: Pool, affine: Affine, shape: Shape) -> Affine | None:
    return affine if operator.kind == "average" or (affine.scale > 0).all() else None


def _padding(operator: Pad, affine: Affine, shape: Shape) -> Affine | None:
    zeros = operator.value == 0 and operator.amounts[-1] == (0, 0)
    return affine if zeros and not affine.offset.any() else None


def _channels_kept(operator: Transpose, affine: Affine, shape: Shape) -> Affine | None:
    return affine if operator.axes[-1] == len(shape) - 1 else None


def _slice_forward(operator: Slice, affine: Affine, shape: Shape) -> Affine:
    channels = list(operator.ranges[-1])
    return Affine(affine.scale[channels], affine.offset[channels])


def _slice_back(operator: Slice, affine: Affine, shape: Shape) -> Affine | None:
    channels = list(operator.ranges[-1])
    scale, offset = np.ones(shape[-1]), np.zeros(shape[-1])
    scale[channels], offset[channels] = affine.scale, affine.offset
    return Affine(scale, offset)


def _refold(affine: Affine, size: int) -> Affine | None:
    """The affine along a last axis of another size, if it repeats."""
    old = len(affine.scale)
    if size % old == 0:
        return Affine(np.tile(affine.scale, size // old), np.tile(affine.offset, size // old))
    if old % size == 0:
        scales, offsets = affine.scale.reshape(-1, size), affine.offset.reshape(-1, size)
        if (scales == scales[0]).all() and (offsets == offsets[0]).all():
            return Affine(scales[0], offsets[0])
    return None


_FORWARD: dict[type, Callable[..., Affine | None]] = {
    Activation: _homogeneous,
    Pad: _padding,
    Pool: _monotone,
    Reshape: lambda operator, affine, shape: _refold(affine, operator.target[-1]),
    Resize: _same,
    Slice: _slice_forward,
    Transpose: _channels_kept,
}
"""Affine then `operator` is `operator` then which affine?"""

_BACK: dict[type, Callable[..., Affine | None]] = {
    **_FORWARD,
    Reshape: lambda operator, affine, shape: _refold(affine, shape[-1]),
    Slice: _slice_back,
}
"""`operator` then affine is which affine then `operator`?"""
