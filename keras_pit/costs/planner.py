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

from .program import Scalar, larger

ALIGNMENT = 16
"""Bytes."""


@dataclass(frozen=True)
class Buffer:
    """Memory that is needed from one step to another: the inputs are there at step 0, operator n runs at step n + 1."""

    size: Scalar
    first: int
    last: Scalar
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


def soft_head(wanted: Sequence[Buffer], steps: int) -> Scalar:
    """The end of the last buffer of `plan`, computed on tensors."""
    from keras import ops

    count = len(wanted)
    sizes, last = (
        ops.stack([ops.cast(value, "float32") for value in values])
        for values in ([buffer.size for buffer in wanted], [buffer.last for buffer in wanted])
    )
    first = np.array([buffer.first for buffer in wanted], "float32")
    alive = ops.cast((first <= np.arange(steps + 1)[:, None]) & (np.arange(steps + 1)[:, None] <= last), "float32")
    peaks = ops.sum(alive * sizes, axis=1)
    weights = ops.softmax(_SHARPNESS * (peaks / ops.max(peaks) - 1.0))
    smooth = ops.sum(ops.stop_gradient(weights) * peaks)
    sizes, last = ops.stop_gradient(sizes), ops.stop_gradient(last)
    beside = (first[:, None] <= last) & (first <= last[:, None])
    # Largest first, of equal ones the last first.
    keys = ops.cast(ops.round(sizes / ALIGNMENT), "int32") * count + np.arange(count, dtype="int32")
    order = ops.argsort(-keys)

    def place(turn: Any, offsets: Any, placed: Any) -> tuple[Any, Any, Any]:
        here = ops.take(order, turn)
        near, size = ops.take(beside, here, axis=0) & placed, ops.take(sizes, here)
        ends = offsets + sizes
        starts = ops.concatenate([np.zeros(1, "float32"), ops.where(near, ends, 0.0)])[:, None]
        fits = ops.all(~near | (starts + size <= offsets) | (starts >= ends), axis=1)
        start = ops.min(ops.where(fits, starts[:, 0], np.inf))
        is_here = ops.equal(np.arange(count), ops.cast(here, "int32"))
        return turn + 1, ops.where(is_here, start, offsets), placed | is_here

    state = (0, ops.zeros(count), ops.zeros(count, "bool"))
    _, offsets, _ = ops.while_loop(lambda turn, *_: turn < count, place, state)
    head = ops.stop_gradient(ops.max(offsets + sizes))
    return head + smooth - ops.stop_gradient(smooth)


_SHARPNESS = 30.0
"""How much the gradient keeps to the peak: of a step with a tenth less alive, e^-3 times as much."""
