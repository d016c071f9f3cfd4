"""Which axis of each tensor of a lowered network carries channels, and which ones.

Channels have labels (see `channels`); what an operator makes of those that it reads is found as there: layers with
weights make labels, pooling and additions keep them, and what only moves numbers is run on labels instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from keras import ops

from ..lowering import Node
from ..lowering import operators as kinds


@dataclass(frozen=True, eq=False)
class ChannelAxis:
    """Which axis of a tensor (negative) carries channels, and the label of each position along it."""

    axis: int
    labels: np.ndarray


def axis_of(node: Node, sources: list[ChannelAxis], made: np.ndarray | None) -> ChannelAxis:
    """The channels of a node's output, from those of its inputs and those that its layer makes."""
    operator, shape = node.operator, node.shape
    makes = isinstance(operator, (kinds.Conv, kinds.Dense, kinds.TransposeConv))
    if isinstance(operator, kinds.Input):
        return ChannelAxis(-1, made) if made is not None and len(made) == shape[-1] else _whole(shape)
    if makes and made is not None and len(made) == shape[-1]:
        return ChannelAxis(-1, made)
    if isinstance(operator, kinds.Depthwise):
        return ChannelAxis(-1, np.repeat(sources[0].labels, operator.kernel.shape[-1]))
    if isinstance(operator, _MOVES):
        return _moved(node, sources)
    if isinstance(operator, kinds.MatMul):
        left, right = sources
        return right if right.axis == -1 else left if left.axis == -2 else _whole(shape)
    for axis, source in zip(sources, node.inputs, strict=True):
        if source.shape[axis.axis] == shape[axis.axis] and axis.labels.any():
            return axis
    return _whole(shape)


def read_by(node: Node, axes: Mapping[Node, ChannelAxis], read: np.ndarray | None) -> dict[Node, ChannelAxis]:
    """What a convolution tells of the channels that it reads, where what makes them does not: as a PAD of channels."""
    if read is None or not isinstance(node.operator, kinds.Conv):
        return {}
    (source,) = node.inputs
    is_told = isinstance(source.operator, kinds.Pad) and not axes[source].labels.any()
    return {source: ChannelAxis(-1, read)} if is_told and len(read) == source.shape[-1] else {}


_MOVES = (kinds.Reshape, kinds.Transpose, kinds.Slice, kinds.Concat, kinds.Take)


def _whole(shape: tuple[int, ...]) -> ChannelAxis:
    return ChannelAxis(-1, np.zeros(shape[-1], np.int64))


def _moved(node: Node, sources: list[ChannelAxis]) -> ChannelAxis:
    """Where an operator that only moves numbers puts the labels: it is run on them."""
    if not any(source.labels.any() for source in sources):
        return _whole(node.shape)
    arrays = [_spread(source, read.shape) for source, read in zip(sources, node.inputs, strict=True)]
    labels = ops.convert_to_numpy(node.operator.compute(*map(ops.convert_to_tensor, arrays)))
    for axis in range(-1, -labels.ndim, -1):
        line = np.moveaxis(labels, axis, -1).reshape(-1, labels.shape[axis])
        if (line == line[0]).all():
            return ChannelAxis(axis, line[0])
    return _whole(node.shape)


def _spread(axis: ChannelAxis, shape: tuple[int, ...]) -> np.ndarray:
    """The label of every element of a tensor."""
    along = [1] * len(shape)
    along[axis.axis] = -1
    return np.broadcast_to(axis.labels.reshape(along), shape).copy()
