"""What the rules work on: a node, and the Keras tensor that it stands for.

Rules think in the axes of Keras, nodes in those of `shapes.form`, where a sequence (1, T, C) is the map (1, 1, T, C):

    x = Value(node, (1, 64, 6))      x.node.shape == (1, 1, 64, 6), x.axis(1) == 2, x.axis(-1) == 3
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from .graph import Node
from .operators import Affine, Binary, Constant, Operator, Reshape, Transpose
from .shapes import Shape, form


@dataclass(frozen=True, eq=False)
class Value:
    """A node and the shape that Keras has for it, with batch 1."""

    node: Node
    shape: Shape
    dtype: str = "float32"

    @property
    def rank(self) -> int:
        return len(self.shape)

    def positive(self, axis: int) -> int:
        """A Keras axis counted from the front."""
        return axis + self.rank if axis < 0 else axis

    def axis(self, axis: int) -> int:
        """Where a Keras axis is in the node's shape."""
        axis = self.positive(axis)
        return axis + 1 if self.rank == 3 and axis else axis


@dataclass(frozen=True, eq=False)
class Context:
    """One call of a Keras layer or operation: its arguments, and the shapes that it returns."""

    layer: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    makes: tuple[Shape, ...]
    training: bool = False

    @property
    def name(self) -> str:
        return self.layer.name

    def put(self, operator: Operator, *inputs: Node) -> Node:
        """A node that this call leads to."""
        return Node.of(operator, *inputs, name=self.name)

    def reshape(self, node: Node, shape: Shape) -> Node:
        return node if node.shape == shape else self.put(Reshape(shape), node)

    def transpose(self, x: Value, axes: Sequence[int]) -> Value:
        """The axes of Keras in another order; the batch stays in front."""
        order = [x.axis(axis) for axis in axes]
        if x.rank == 3:
            order.insert(1, 1)
        return Value(self.put(Transpose(tuple(order)), x.node), tuple(x.shape[axis] for axis in axes))

    def scaled(self, x: Node, scale: Any, offset: Any = 0.0) -> Node:
        """`x * scale + offset`, with numbers or one of each per channel."""
        full = np.zeros(x.shape[-1])
        return self.put(Affine(full + scale, full + offset), x)

    def arithmetic(self, kind: str, x: Value | np.ndarray, y: Value | np.ndarray) -> Node | None:
        """`add`, `subtract`, `multiply` or `divide` with a constant, of any broadcast shape."""
        if isinstance(x, Value) and isinstance(y, Value):
            return self.put(Binary(kind), x.node, y.node) if x.rank == y.rank else None
        value, constant = (x, y) if isinstance(x, Value) else (y, x)
        if not isinstance(value, Value) or isinstance(constant, Value):
            return None
        constant = np.atleast_1d(constant)
        if constant.ndim > value.rank or (constant.ndim == value.rank and constant.shape[0] != 1):
            return None
        linear = _LINEAR.get((kind, value is x))
        if linear and constant.size in (1, constant.shape[-1] if value.shape[-1] > 1 else 1):
            return self.scaled(value.node, *linear(np.asarray(constant, np.float64).reshape(-1)))
        aligned = constant.astype("float32").reshape((1,) * (value.rank - constant.ndim) + constant.shape)
        node = Node(Constant(aligned.reshape(form(aligned.shape))), (), form(aligned.shape), self.name)
        return self.put(Binary(kind), *((value.node, node) if value is x else (node, value.node)))


def channels_last(context: Context, x: Value) -> tuple[Value, Callable[[Node], Node]]:
    """The input with its channels at the end, and what puts those of the output back in front."""
    if getattr(context.layer, "data_format", None) != "channels_first":
        return x, lambda node: node
    x = context.transpose(x, (0, *range(2, x.rank), 1))

    def back(node: Node) -> Node:
        shape = node.shape if x.rank == 4 else (1, *node.shape[2:])
        return context.transpose(Value(node, shape), (0, x.rank - 1, *range(1, x.rank - 1))).node

    return x, back


def both(values: Any, first: Any = 1) -> Any:
    """One value for rows and one for columns; a single value is for the columns."""
    values = (values,) if np.ndim(values) == 0 else tuple(values)
    return (first, *values) if len(values) == 1 else values


def array(variable: Any) -> np.ndarray:
    """The value of a variable."""
    return np.asarray(keras.ops.convert_to_numpy(variable), "float32")


_LINEAR = {
    ("add", True): lambda c: (1.0, c),
    ("add", False): lambda c: (1.0, c),
    ("subtract", True): lambda c: (1.0, -c),
    ("subtract", False): lambda c: (-1.0, c),
    ("multiply", True): lambda c: (c, 0.0),
    ("multiply", False): lambda c: (c, 0.0),
    ("divide", True): lambda c: (1.0 / c, 0.0),
}
"""Arithmetic of a tensor and a constant as scale and offset; whether the tensor stands first."""
