"""Axes that are moved to and fro: a network with its channels first.

Convolutions and pooling want channels last, so each of them in a channels-first model stands between two transposes:

    TRANSPOSE, CONV_2D, TRANSPOSE, RELU, ADD, TRANSPOSE, CONV_2D, ...

What works number by number does not mind in which order the axes are. So a transpose waits until something does; there
it meets the one that undoes it, and both go:

    TRANSPOSE, CONV_2D, RELU, ADD, CONV_2D, ...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .graph import Network, Node, rewrite
from .operators import (
    ALONG_LAST_AXIS,
    Activation,
    Affine,
    Binary,
    Concat,
    Constant,
    Operator,
    Pad,
    PReLU,
    Reshape,
    Slice,
    Transpose,
)
from .passes import moves_ones_only, tidy, tidy_node
from .shapes import Shape

Axes = tuple[int, ...]


def transposes_last(network: Network) -> Network:
    """Move transposes behind what works number by number, if that leaves fewer of them."""
    sunk = tidy(rewrite(network, lambda node, uses: _sunk(tidy_node(node))))
    return min(network, sunk, key=_transposes)


def _transposes(network: Network) -> int:
    return sum(isinstance(node.operator, Transpose) for node in network.nodes())


def _sunk(node: Node) -> Node:
    """A transpose of the node on what its inputs are without theirs."""
    axes = next((source.operator.axes for source in node.inputs if isinstance(source.operator, Transpose)), None)
    if axes is None or type(node.operator) not in _BEFORE:
        return node
    sources = [_before(source, axes) for source in node.inputs]
    inner = [source for source in sources if source is not None]
    if len(inner) < len(sources):
        return node
    operator = _BEFORE[type(node.operator)](node.operator, axes, inner[0].shape)
    return Node.of(Transpose(axes), Node.of(operator, *inner, name=node.name), name=node.name) if operator else node


def _before(node: Node, axes: Axes) -> Node | None:
    """What a node is a transpose of, where that costs nothing."""
    back = _inverse(axes)
    if len(node.shape) != len(axes):
        return None
    if isinstance(node.operator, Transpose):
        return node.inputs[0] if node.operator.axes == axes else None
    if isinstance(node.operator, Constant):
        value = np.ascontiguousarray(np.transpose(node.operator.value, back))
        return Node.of(Constant(value), name=node.name)
    if moves_ones_only(back, node.shape):
        return tidy_node(Node.of(Reshape(tuple(node.shape[axis] for axis in back)), node, name=node.name))
    return None


def _inverse(axes: Axes) -> Axes:
    return tuple(map(int, np.argsort(axes)))


def _ordered(values: Any, axes: Axes) -> tuple[Any, ...]:
    """What stands for the axes of a transpose's result, for those of what it reads."""
    return tuple(values[place] for place in _inverse(axes))


def _affine(operator: Affine, axes: Axes, shape: Shape) -> Affine | None:
    """What is the same for all channels is so along any axis."""
    if axes[-1] == len(axes) - 1:
        return operator
    scale, offset = operator.scale[0], operator.offset[0]
    if (operator.scale != scale).any() or (operator.offset != offset).any():
        return None
    return Affine(np.full(shape[-1], scale), np.full(shape[-1], offset))


def _prelu(operator: PReLU, axes: Axes, shape: Shape) -> PReLU:
    return PReLU(np.transpose(operator.alpha, [axis - 1 for axis in _inverse(axes)[1:]]))


_BEFORE: dict[type, Callable[[Any, Axes, Shape], Operator | None]] = {
    Activation: lambda operator, axes, shape: None if operator.kind in ALONG_LAST_AXIS else operator,
    Affine: _affine,
    Binary: lambda operator, axes, shape: operator,
    Concat: lambda operator, axes, shape: Concat(axes[operator.axis]),
    Pad: lambda operator, axes, shape: replace(operator, amounts=_ordered(operator.amounts, axes)),
    PReLU: _prelu,
    Slice: lambda operator, axes, shape: Slice(_ordered(operator.ranges, axes)),
}
"""`operator` behind a transpose of something of a shape is a transpose behind which operator? None: behind none."""
