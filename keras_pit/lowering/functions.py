"""Activation functions as operators: what a layer's `activation` argument, `Activation` and `keras.ops` share.

What has no row in `FUNCTIONS` but is a function of each element is a `Function`, whatever it computes: all that 8 bits
ask for is its 256 results. Any other is called as it is, for the converter to make of it what it can.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import activations

from .graph import Node
from .operators import Activation, Binary, Foreign, Function
from .shapes import Shape
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
    if is_elementwise(function, node.shape):
        return context.put(Function(_name(function), function), node)
    return context.put(Foreign(lambda x: (function(x),), (node.shape,), node.shape), node)


def is_elementwise(function: Callable[[Any], Any], shape: Shape) -> bool:
    """Whether each element of a function's output depends on the same element of its input alone, and alike.

    It is tried on random numbers: mixed inputs must give mixed outputs, and another order the same in that order.
    """
    rng = np.random.default_rng(0)
    one, two = (rng.normal(0, 3, shape).astype("float32") for _ in range(2))
    mask = rng.random(shape) < 0.5

    def call(x: np.ndarray) -> np.ndarray:
        return np.asarray(keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(x))))

    try:
        outputs = call(one), call(two), call(np.where(mask, one, two)), call(one.reshape(-1)[::-1])
    except Exception:  # noqa: BLE001 - whatever a function of the user's may raise on a vector
        return False
    if [output.shape for output in outputs] != [shape, shape, shape, (one.size,)]:
        return False
    first, second, mixed, turned = outputs
    pairs = (mixed, np.where(mask, first, second)), (turned, first.reshape(-1)[::-1])
    return all(np.allclose(*pair, rtol=1e-4, atol=1e-5, equal_nan=True) for pair in pairs)


def line_of(function: Callable[[Any], Any]) -> tuple[float, float] | None:
    """Scale and offset, if a function of each element is no more than these."""
    powers = np.logspace(-3, 5, 33)
    x = np.concatenate([-powers, [0.0, 1.0], powers]).astype("float32")
    y = np.asarray(keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(x))), "float64")
    offset = y[x == 0][0]
    scale = y[x == 1][0] - offset
    is_line = np.isfinite(y).all() and np.allclose(y, scale * x + offset, rtol=1e-5, atol=1e-5 * abs(offset))
    return (float(scale), float(offset)) if is_line else None


def _name(function: Any) -> str:
    """What to call a function in messages."""
    return str(getattr(function, "__name__", None) or type(function).__name__).lower()


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


def elu(context: Context, node: Node, alpha: float) -> Node:
    """The kernel knows an alpha of 1 only."""
    if alpha == 1.0:
        return context.put(Activation("elu"), node)
    return context.put(Function("elu", lambda x: keras.ops.elu(x, alpha)), node)


def _kind(kind: str, *arguments: float) -> Callable[[Context, Node], Node]:
    return lambda context, node: context.put(Activation(kind, arguments), node)


FUNCTIONS: dict[Any, Callable[[Context, Node], Node]] = {
    activations.linear: lambda context, node: node,
    activations.relu: _kind("relu"),
    activations.relu6: _kind("relu6"),
    activations.elu: _kind("elu"),
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
