"""Normalization by the statistics of each sample: LayerNormalization, RMSNormalization and GroupNormalization.

All of it is made of operators that TFLite-Micro has. `1 / sqrt(variance + epsilon)` is a function of each element, and
a mean over channels a convolution with weights of `1 / C`:

    mean      MEAN over space, as a pooling would keep the scale of the squares that it reads; CONV_2D over channels
    x         SUB(x, mean), then MUL(x, rsqrt(mean of MUL(x, x)))

What scales and shifts behind it finds its way into the neighbours, as that of batch normalization.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from .graph import Node
from .operators import Binary, Conv, Dense, Function, Operator, Reduce
from .values import Context, Value, array
from .windows import Window


def layer_normalization(context: Context, x: Value) -> Node | None:
    """By mean and variance over some axes."""
    layer = context.layer
    return None if layer.rms_scaling else _normalized(context, x, layer.axis, layer.axis, layer.gamma, layer.beta)


def rms_normalization(context: Context, x: Value) -> Node | None:
    """By the root of the mean square over some axes."""
    layer = context.layer
    return _normalized(context, x, layer.axis, layer.axis, layer.scale, None, centered=False)


def group_normalization(context: Context, x: Value) -> Node | None:
    """By mean and variance over all of space and a group of channels."""
    layer = context.layer
    if x.positive(layer.axis) != x.rank - 1:
        return None
    gamma, beta = (value if used else None for value, used in ((layer.gamma, layer.scale), (layer.beta, layer.center)))
    return _normalized(context, x, range(1, x.rank), -1, gamma, beta, groups=layer.groups)


def _normalized(
    context: Context,
    x: Value,
    axes: int | Sequence[int],
    weighted: int | Sequence[int],
    gamma: Any,
    beta: Any,
    *,
    centered: bool = True,
    groups: int = 1,
) -> Node | None:
    """Normalized along some axes; gamma and beta have the `weighted` ones."""
    along = {x.axis(axis) for axis in _listed(axes)}
    if 0 in along or len(x.node.shape) not in (2, 4):
        return None
    node, mean = x.node, _Mean(x.node, along, groups)
    if centered:
        node = context.put(Binary("subtract"), node, mean.of(context, node))
    variance = mean.of(context, context.put(Binary("multiply"), node, node))
    epsilon = float(context.layer.epsilon)
    scale = context.put(Function("rsqrt", lambda v: keras.ops.rsqrt(v + epsilon)), variance)
    node = context.put(Binary("multiply"), node, scale)
    kept = {x.positive(axis) for axis in _listed(weighted)}
    sizes = [size if axis in kept else 1 for axis, size in enumerate(x.shape)]
    for kind, weights in (("multiply", gamma), ("add", beta)):
        if weights is not None:
            changed = context.arithmetic(kind, replace(x, node=node), array(weights).reshape(sizes))
            if changed is None:
                return None
            node = changed
    return node


def _listed(axes: int | Sequence[int]) -> Sequence[int]:
    return axes if isinstance(axes, Sequence) else [axes]


class _Mean:
    """The mean along axes of a node, with sizes of 1 there; of groups of channels, with a copy for each channel."""

    def __init__(self, node: Node, along: set[int], groups: int) -> None:
        channels, last = node.shape[-1], len(node.shape) - 1
        self.operators: list[Operator] = []
        space = tuple(axis for axis in range(1, last) if axis in along and node.shape[axis] > 1)
        if space:
            self.operators.append(Reduce("mean", space))
        if last in along and groups != channels:
            inside = channels // groups
            copies = np.full((inside, 1 if groups == 1 else inside), 1 / inside)
            kernel = np.kron(np.eye(groups), copies).astype("float32")
            bias = np.zeros(kernel.shape[1], "float32")
            self.operators.append(Conv(kernel[None, None], bias, Window((1, 1))) if last == 3 else Dense(kernel, bias))

    def of(self, context: Context, node: Node) -> Node:
        for operator in self.operators:
            node = context.put(operator, node)
        return node
