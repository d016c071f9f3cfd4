"""Activation functions as operators: what a layer's `activation` argument, `Activation` and `keras.ops` share.

What has no row in `FUNCTIONS` is called as it is, element by element, for the converter to make of it what it can.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from keras import activations

from .graph import Node
from .operators import Activation, Binary, Foreign
from .values import Context, Value


def activated(context: Context, node: Node, function: Any) -> Node:
    """A node with an activation behind it: a function, a layer or None."""
    if function is None:
        return node
    if isinstance(function, keras.layers.LeakyReLU):
        return context.put(Activation("leaky_relu", (float(function.negative_slope),)), node)
    return FUNCTIONS.get(function, partial(elementwise, function=function))(context, node)


def elementwise(context: Context, node: Node, function: Callable[[Any], Any]) -> Node:
    """Any function that keeps the shape."""
    return context.put(Foreign(lambda x: (function(x),), (node.shape,), node.shape), node)


def softmax(context: Context, x: Value, axis: int, kind: str = "softmax") -> Node:
    """Along any axis; the kernel knows the last one only."""
    last, axis = x.rank - 1, x.positive(axis)
    if axis == last:
        return context.put(Activation(kind), x.node)
    order = [*range(x.rank)]
    order[axis], order[last] = last, axis
    moved = context.transpose(x, order)
    return context.transpose(Value(context.put(Activation(kind), moved.node), moved.shape), order).node


def hard_sigmoid(context: Context, node: Node) -> Node:
    """`relu6(x + 3) / 6`: scale and offset find their way into the neighbours."""
    node = context.put(Activation("relu6"), context.scaled(node, 1.0, 3.0))
    return context.scaled(node, 1.0 / 6.0)


def silu(context: Context, node: Node) -> Node:
    """`x * sigmoid(x)`."""
    return context.put(Binary("multiply"), node, context.put(Activation("sigmoid"), node))


def _kind(kind: str, *arguments: float) -> Callable[[Context, Node], Node]:
    return lambda context, node: context.put(Activation(kind, arguments), node)


FUNCTIONS: dict[Any, Callable[[Context, Node], Node]] = {
    activations.linear: lambda context, node: node,
    activations.relu: _kind("relu"),
    activations.relu6: _kind("relu6"),
    activations.leaky_relu: _kind("leaky_relu", 0.2),
    activations.sigmoid: _kind("sigmoid"),
    activations.tanh: _kind("tanh"),
    activations.hard_tanh: _kind("clip", -1.0, 1.0),
    activations.hard_sigmoid: hard_sigmoid,
    activations.hard_silu: _kind("hard_silu"),
    activations.silu: silu,
    activations.softmax: _kind("softmax"),
    activations.log_softmax: _kind("log_softmax"),
}
