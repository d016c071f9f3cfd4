"""Where TFLite-Micro places buffers in the arena's head: its `GreedyMemoryPlanner`, on numbers and on soft sizes.

Largest first (of equal ones the last first), each at the lowest place where it fits beside those that are alive at the
same time:

    CONV_2D x -> y, RELU y -> z        x  |####    |   first 0, last 1
                                       y  |####    |   first 1, last 2
                                       z  |    ####|   first 2, last 2
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .sizes import Scalar, larger

ALIGNMENT = 16
"""Bytes."""


@dataclass(frozen=True)
class Buffer:
    """Memory that is needed from one step to another: the inputs are there at step 0, operator n runs at step n + 1."""

    size: Scalar
    first: int
    last: int
    tensor: int | None = None
    """The number of the tensor in it; None for scratch memory."""

    def beside(self, other: Buffer) -> bool:
        """Whether both are needed at some step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Placed:
    """A buffer and its place in the arena, in bytes from the start."""

    buffer: Buffer
    offset: Scalar

    @property
    def end(self) -> Scalar:
        """Where it ends."""
        return self.offset + self.buffer.size


def plan(wanted: Sequence[Buffer]) -> list[Placed]:
    """Places buffers as TFLite-Micro's `GreedyMemoryPlanner` does.

    Args:
        wanted: the buffers, in the order in which the interpreter asks for them.

    Returns:
        The same buffers with their offsets, largest first.
    """
    placed: list[Placed] = []
    first, last = (np.array([getattr(one, name) for one in wanted], float) for name in ("first", "last"))
    offsets = np.full(len(wanted), np.inf)  # of those that have a place
    for number in sorted(range(len(wanted)), key=lambda number: (float(wanted[number].size), number), reverse=True):
        buffer = wanted[number]
        offset: Scalar = 0
        beside = np.flatnonzero((first <= last[number]) & (first[number] <= last) & (offsets < np.inf))
        for neighbour in beside[np.argsort(offsets[beside], kind="stable")]:
            if offsets[neighbour] - float(offset) >= float(buffer.size):
                break
            offset = larger(int(offsets[neighbour]) + wanted[neighbour].size, offset)
        offsets[number] = offset
        placed.append(Placed(buffer, offset))
    return placed


def soft_heads(sizes: Any, first: Any, last: Any, ranks: np.ndarray) -> Any:
    """The end of the last buffer of `plan`, computed on tensors, for several orders of operators.

    Args:
        sizes: of the buffers, bytes, shape (buffers,).
        first: the first step of each, by order, shape (orders, buffers).
        last: the last step, shape (orders, buffers).
        ranks: what to add to the first step, so that what is asked for later has more.

    Returns:
        Bytes, shape (orders,), without a gradient.
    """
    from keras import ops

    sizes, first, last = (ops.stop_gradient(ops.cast(value, "float32")) for value in (sizes, first, last))
    sizes = ops.round(sizes / ALIGNMENT) * ALIGNMENT
    orders, count = first.shape
    beside = (first[:, :, None] <= last[:, None]) & (first[:, None] <= last[:, :, None])
    # Largest first, of equal ones the last first: how many are placed before each.
    turns = first + ranks
    sooner = (sizes > sizes[:, None]) | (ops.equal(sizes, sizes[:, None]) & (turns[:, None] > turns[:, :, None]))
    place_of = ops.sum(ops.cast(sooner, "float32"), axis=2)

    def place(turn: Any, offsets: Any, placed: Any) -> tuple[Any, Any, Any]:
        here = ops.equal(place_of, turn)
        near = ops.any(beside & here[:, :, None], axis=1) & placed
        size, ends = ops.sum(ops.where(here, sizes, 0.0), axis=1)[:, None, None], offsets + sizes
        starts = ops.concatenate([np.zeros((orders, 1), "float32"), ops.where(near, ends, 0.0)], axis=1)
        apart = (starts[:, :, None] + size <= offsets[:, None]) | (starts[:, :, None] >= ends[:, None])
        fits = ops.all(~near[:, None] | apart, axis=2)
        start = ops.min(ops.where(fits, starts, np.inf), axis=1)
        return turn + 1.0, ops.where(here, start[:, None], offsets), placed | here

    state = (0.0, ops.zeros((orders, count)), ops.zeros((orders, count), "bool"))
    _, offsets, _ = ops.while_loop(lambda turn, *_: turn < count, place, state)
    return ops.max(offsets + sizes, axis=1)
