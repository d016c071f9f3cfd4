"""Time: which axis it is, how fast elements come, and when each of them is there.

A tensor of the whole network that has a time axis is a `Stream` in the streaming one: a tensor with one element along
time, which is a new one every `period` steps. Element j of the whole tensor is there at step

    ready + j * period            Conv1D(3, padding="valid") of an input: ready 2, as element 0 needs steps 0, 1, 2

Those that run every so many steps run at steps period - 1, 2 * period - 1, ... from the reset on, so `ready` is one of
these. Behind layers that look ahead, the first of them bring elements before element 0, that never were in the whole
network: `early` of them. Where later layers see zeros there, they are masked (see `builder`).

Zeros in front are no operator: padding makes the elements behind it come earlier, by its number, than their place says.

What needs all of a window, as global pooling, reads a `Window`; so does all that depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..costs.sizes import Scalar

Shape = tuple[Scalar, ...]


class CannotStream(Exception):
    """A network that cannot run step by step: the number of the operator, and why."""

    def __init__(self, reason: str, number: int | None = None):
        super().__init__(reason)
        self.reason = reason
        self.number = number


@dataclass(frozen=True)
class Origin:
    """What a tensor of the streaming network is made of.

    Its quantization, and for constants its content, is that of tensor `of` of the whole network; or it is a constant
    of these `values`.
    """

    of: int | None = None
    values: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Constant:
    """A constant of the whole network, by its number there."""

    of: int
    shape: Shape


@dataclass(frozen=True)
class Stream:
    """A tensor that comes element by element along time."""

    number: int
    """Of the tensor in the streaming network."""
    of: int
    """Of the tensor in the whole network."""
    shape: Shape
    """In the whole network."""
    axis: int
    period: int
    ready: int
    zeros: int = 0
    """So many elements from 0 on are zero padding, which never comes."""
    is_clean: bool = True
    """Whether what comes before all others is zero."""

    @property
    def length(self) -> Scalar:
        """Elements in a window."""
        return self.shape[self.axis]

    @property
    def early(self) -> int:
        """Elements that come before element 0; negative if the first ones never come."""
        return (self.ready - (self.period - 1)) // self.period

    @property
    def complete(self) -> int:
        """The step at which the last element of the first window is there."""
        return self.ready + (int(self.length) - 1) * self.period

    def padded(self, zeros: int, shape: Shape, of: int) -> Stream:
        """With zeros in front."""
        ready = self.ready - zeros * self.period
        return replace(self, ready=ready, zeros=self.zeros + zeros, shape=shape, of=of)

    def cropped(self, elements: int, shape: Shape, of: int) -> Stream:
        """Without its first elements."""
        is_clean = self.is_clean and elements <= self.zeros
        zeros, ready = max(self.zeros - elements, 0), self.ready + elements * self.period
        return replace(self, ready=ready, zeros=zeros, is_clean=is_clean, shape=shape, of=of)


@dataclass(frozen=True)
class Window:
    """A tensor of a whole window: all of its elements along time are there, or it has no time axis."""

    number: int
    of: int
    shape: Shape
    """In the whole network."""
    axis: int | None


Value = Constant | Stream | Window


def aligned(step: int, period: int) -> int:
    """The first step from this one on at which operators of a period run."""
    return period - 1 + -(-(step - (period - 1)) // period) * period


def is_turned(shape: Shape, axis: int | None) -> bool:
    """Whether a sequence is a map of one row (1, 1, T, C): streaming, it is one of one column (1, T, 1, C)."""
    return axis == 2 and len(shape) == 4


def placed(shape: Shape, axis: int | None, length: Scalar) -> Shape:
    """A shape of the whole network in the streaming one, with so many elements along time."""
    if axis is None:
        return shape
    sizes = [*shape[:axis], length, *shape[axis + 1 :]]
    return turned(sizes) if is_turned(shape, axis) else tuple(sizes)


def turned(along: Sequence[Scalar]) -> Shape:
    """What belongs to four axes, with rows and columns exchanged."""
    batch, rows, columns, channels = along
    return (batch, columns, rows, channels)
