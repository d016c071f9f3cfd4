"""Time: which axis it is, how fast elements come, and when each of them is there.

A tensor of the whole network that has a time axis is a `Stream` in the streaming one: a tensor with one element along
time, which is a new one every `period` steps. Element j of the whole tensor is there at step

    ready + j * period            Conv1D(3, padding="valid") of an input: ready 2, as element 0 needs steps 0, 1, 2

Those that run every so many steps run at steps period - 1, 2 * period - 1, ... from the reset on, so `ready` is one of
these. Behind layers that look ahead, the first of them bring elements before element 0, that never were in the whole
network: the `foreign` ones. Where later layers see zeros there, they are masked (see `builder`).

Zeros in front are no operator: padding makes the elements behind it come earlier, by its number, than their place says.

While a kernel is searched that looks ahead, steps and what follows from them are soft (see `costs.sizes`).

What needs all of a window, as global pooling, reads a `Window`; so does all that depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ..costs.sizes import Scalar, choose, floor_div, is_number, round_up

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
    ready: Scalar
    zeros: int = 0
    """So many elements from 0 on are zero padding, which never comes."""
    foreign: Scalar = 0
    """So many come before the first one that is no padding, and may not be zero."""

    @property
    def length(self) -> Scalar:
        """Elements in a window."""
        return self.shape[self.axis]

    @cached_property
    def complete(self) -> Scalar:
        """The step at which the last element of the first window is there."""
        return self.ready + (int(self.length) - 1) * self.period

    def padded(self, zeros: int, shape: Shape, of: int) -> Stream:
        """With zeros in front."""
        ready = self.ready - zeros * self.period
        return replace(self, ready=ready, zeros=self.zeros + zeros, shape=shape, of=of)

    def cropped(self, elements: int, shape: Shape, of: int) -> Stream:
        """Without its first elements."""
        zeros, ready = max(self.zeros - elements, 0), self.ready + elements * self.period
        foreign = self.foreign + max(elements - self.zeros, 0)
        return replace(self, ready=ready, zeros=zeros, foreign=foreign, shape=shape, of=of)


@dataclass(frozen=True)
class Window:
    """A tensor of a whole window: all of its elements along time are there, or it has no time axis."""

    number: int
    of: int
    shape: Shape
    """In the whole network."""
    axis: int | None


Value = Constant | Stream | Window


def aligned(step: Scalar, period: int) -> Scalar:
    """The first step from this one on at which operators of a period run."""
    return step if period == 1 else period - 1 + round_up(step - (period - 1), period)


def before(ready: Scalar, period: int) -> Scalar:
    """How many elements come before the one that is ready at a step."""
    return ready if period == 1 else floor_div(ready - (period - 1), period)


def steps_to(later: Scalar, step: Scalar) -> Scalar:
    """The steps from one to another one; 0 as a number where both are the same one, though it is soft."""
    return 0 if later is step else later - step


def is_positive(value: Scalar) -> Scalar:
    """1, or 0 if it is not."""
    return int(value > 0) if is_number(value) else choose(value > 0, 1, 0)


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
