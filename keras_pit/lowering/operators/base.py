"""What an operator is; what networks begin with, and the way out: a Keras operation that is called as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..shapes import Shape


class Operator:
    """What a node computes."""

    def shape(self, *inputs: Shape) -> Shape:
        """The shape of the output. Most operators keep that of their first input."""
        return inputs[0]

    def compute(self, *inputs: Any) -> Any:
        """The output of TensorFlow tensors."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Input(Operator):
    """An input of the model; `sample` is the shape of one sample as the model takes it."""

    dtype: str
    sample: Shape


@dataclass(frozen=True, eq=False)
class Constant(Operator):
    """Numbers that are there from the start."""

    value: np.ndarray

    def shape(self, *inputs: Shape) -> Shape:
        return self.value.shape

    def compute(self, *inputs: Any) -> Any:
        return tensorflow().constant(self.value)


@dataclass(frozen=True, eq=False)
class Foreign(Operator):
    """Output `index` of a Keras operation: `call` takes tensors of the shapes `takes`, as Keras has them."""

    call: Callable[..., Any]
    takes: tuple[Shape, ...]
    makes: Shape
    index: int = 0

    def shape(self, *inputs: Shape) -> Shape:
        return self.makes

    def compute(self, *inputs: Any) -> Any:
        output = self.call(*map(shaped, inputs, self.takes))[self.index]
        return shaped(output, self.makes)


def shaped(x: Any, shape: Shape) -> Any:
    """A tensor in another shape; its batch, which is 1 here, may be any."""
    batch = None if x.shape.rank == 0 else x.shape[0]
    wanted = (batch or -1, *shape[1:])
    return x if tuple(x.shape)[1:] == wanted[1:] and x.shape.rank == len(shape) else tensorflow().reshape(x, wanted)


def tensorflow() -> Any:
    """TensorFlow, which is imported where something is computed."""
    import tensorflow as tf

    return tf
