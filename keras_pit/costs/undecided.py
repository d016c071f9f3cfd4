"""The arena's head while sizes are soft, and with them the order of operators.

The file has the order that needs the least on the core that orders are chosen for (see `schedule`). During a search,
which one that is changes with the masks; `Program.orders` lists the orders of each stretch that has several:

    a -+-> b -> c -+-> add          (b, c, d), (b, d, c) or (d, b, c)
       +-> d ------+

    peak    What is alive at most on the way through a stretch, for each of its orders: all of them at once. The best
            order of the network is made of the best ones of its stretches.
    head    The planner may need more than the peak. So it is asked about the order as it is listed, and about some with
            the least peaks. The file has the best order of all: its head is no larger.

On other cores, equally good orders differ. The file is as it is listed if no order is better (see `schedule`); else it
may be any with the least peaks, and the worst of these counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import cores
from .alive import buffers
from .planner import ALIGNMENT, soft_heads
from .program import Program, Scalar, choose

_TRIED = 5
"""Orders with the least peaks that the planner is asked about."""
_SHARPNESS = 30.0
"""How much the gradient keeps to the peak: of a step with a tenth less alive, e^-3 times as much."""


def soft_head(program: Program, core: str) -> Scalar:
    """Bytes of the head on a core; a tensor, whose gradient goes to the steps at which most is alive.

    Args:
        program: the network; sizes are soft.
        core: a name of `costs.cores`.
    """
    from keras import ops

    steps, here = _Steps(program), _Buffers(program, core)
    if not program.orders:
        return here.head(steps.listed)
    decides = cores.get(core).kernels == cores.get(cores.ORDERING).kernels
    deciding = here if decides else _Buffers(program, cores.ORDERING)
    peaks = deciding.peaks(steps)
    orders = steps.best(peaks)
    heads = deciding.heads(orders)
    chosen = ops.take(orders, ops.argmin(heads), axis=0)[None]
    if decides:
        return here.head(chosen)
    least = deciding.peak(orders[:1]) + ALIGNMENT / 2
    # What the planner needs more than the peak for makes the search look further: then it may be any order.
    bounds = ops.where(ops.max(heads[:-1]) <= least, steps.least(peaks), ops.min(heads)) + ALIGNMENT / 2
    others = ops.maximum(ops.max(here.heads(orders[:-1])), ops.max(ops.where(peaks <= bounds, here.peaks(steps), 0.0)))
    is_listed = heads[-1] <= least
    head = here.head(ops.where(is_listed, orders[-1:], chosen))
    return choose(is_listed | (head >= others), head, others)


class _Steps:
    """The steps at which operators run: in the order in which they are listed, and in each order of each stretch.

    A *row* is the order of one stretch, and the listed one of all others.
    """

    def __init__(self, program: Program) -> None:
        self.listed: Any = np.arange(1.0, 1 + len(program.operators), dtype="float32")[None]
        rows = [(stretch, order) for stretch, orders in enumerate(program.orders) for order in orders]
        self.rows = np.repeat(self.listed, max(len(rows), 1), axis=0)
        for row, (_, order) in zip(self.rows, rows, strict=False):
            row[list(order)] = 1 + min(order) + np.arange(len(order))
        longest = max((len(order) for _, order in rows), default=0)
        self.windows = np.array([[1 + min(o) + turn % len(o) for turn in range(longest)] for _, o in rows], "float32")
        """The steps of the row's stretch, shape (rows, longest stretch)."""
        most = max(map(len, program.orders), default=0)
        places = iter(range(len(rows)))
        self._of = np.array([_padded([next(places) for _ in some], most, -1) for some in program.orders], "int32")
        likes = np.tile(np.arange(most, 0, -1), (_TRIED, len(program.orders), 1))
        likes[1:] = np.random.default_rng(0).permuted(likes[1:], axis=2)
        self._likes = likes
        """Of the best orders of a stretch, the one with most is taken; shape (tried, stretches, most orders)."""
        self._rows_stretch = np.array([stretch for stretch, _ in rows], "int32")
        self._stretch = np.full(len(program.operators), -1)
        for stretch, orders in enumerate(program.orders):
            self._stretch[list(orders[0])] = stretch
        self.late = _late(program, self.rows)

    def _by_stretch(self, peaks: Any) -> Any:
        """The peaks of each stretch, shape (stretches, most orders)."""
        from keras import ops

        return ops.where(self._of >= 0, ops.take(peaks, np.maximum(self._of, 0)), np.inf)

    def least(self, peaks: Any) -> Any:
        """For each row, the least peak of all orders of its stretch."""
        from keras import ops

        return ops.take(ops.min(self._by_stretch(peaks), axis=1), self._rows_stretch)

    def best(self, peaks: Any) -> Any:
        """The steps in orders made of those with the least peaks, of equal ones the first or any; then as listed.

        Args:
            peaks: by row.
        """
        from keras import ops

        table = self._by_stretch(peaks)
        least = table <= ops.min(table, axis=1, keepdims=True) + ALIGNMENT / 2
        picked = ops.argmax(ops.where(least, self._likes, 0), axis=2)
        rows = ops.take_along_axis(np.repeat(self._of[None], _TRIED, axis=0), picked[:, :, None], axis=2)[:, :, 0]
        rows = ops.concatenate([rows, self._of[None, :, 0]])
        of_operators = ops.where(self._stretch >= 0, ops.take(rows, np.maximum(self._stretch, 0), axis=1), 0)
        count = len(self._stretch)
        steps = ops.take(self.rows.reshape(-1), of_operators * count + np.arange(count, dtype="int32"))
        return ops.where(self._stretch >= 0, steps, self.listed)


def _late(program: Program, rows: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Operators that some rows run before what they may read, and whether each row does."""
    makers: dict[int, list[int]] = {}
    for place, op in enumerate(program.operators):
        for number in op.outputs:
            makers.setdefault(number, []).append(place)
    found = []
    for place, op in enumerate(program.operators):
        before = [maker for number in op.inputs for maker in makers.get(number, ())]
        late = np.any(rows[:, before] > rows[:, [place]], axis=1)
        if late.any():
            found.append((place, late))
    return found


class _Buffers:
    """The buffers of a network on a core, and when they are alive."""

    def __init__(self, program: Program, core: str) -> None:
        from keras import ops

        wanted = buffers(program, core)
        self.sizes = ops.stack([ops.cast(buffer.size, "float32") for buffer in wanted])
        self.program = program
        presences = [ops.cast(op.presence, "float32") for op in program.operators]
        self.presences = ops.stop_gradient(ops.stack(presences))
        made, used = self._places()
        scratch = [buffer.first - 1 for buffer in wanted if buffer.tensor is None]
        is_scratch = np.array([buffer.tensor is None for buffer in wanted])
        activations = [buffer.tensor for buffer in wanted if buffer.tensor is not None]
        count = len(program.operators)
        self.made = _table([*(made[n] for n in activations), *([place] for place in scratch)], count)
        self.used = _table([*(used[n] for n in activations), *([place] for place in scratch)], count)
        # The interpreter asks for activations as they come, then for scratch memory.
        same = [*(min(made[n], default=-1) for n in activations), *scratch]
        turns = [same[:at].count(place) / len(wanted) for at, place in enumerate(same)]
        self.ranks = np.array(turns, "float32") + np.where(is_scratch, 1.0 + count, 0.0).astype("float32")
        self.from_begin = np.array([n in program.inputs for n in activations] + [False] * len(scratch))
        self.to_end = np.array([n in program.outputs for n in activations] + [False] * len(scratch))

    def _places(self) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
        """The operators that make each tensor, and those that use it."""
        made: dict[int, list[int]] = {number: [] for number in self.program.inputs}
        used: dict[int, list[int]] = {number: [] for number in self.program.inputs}
        for place, op in enumerate(self.program.operators):
            for number in op.outputs:
                made.setdefault(number, []).append(place)
            for number in dict.fromkeys((*op.inputs, *op.outputs)):
                used.setdefault(number, []).append(place)
        return made, used

    def lives(self, steps: Any) -> tuple[Any, Any]:
        """The first and last step of each buffer: from shape (orders, operators) to (orders, buffers)."""
        from keras import ops

        count = steps.shape[1]
        present = ops.where(self.presences > 0, steps, 0.0)
        zeros = np.zeros((steps.shape[0], 1), "float32")
        starts = ops.concatenate([ops.convert_to_tensor(steps), zeros + count + 1], axis=1)
        first = ops.min(ops.take(starts, self.made, axis=1), axis=2)
        first = ops.where(self.from_begin, 0.0, first)
        last = ops.max(ops.take(ops.concatenate([present, zeros], axis=1), self.used, axis=1), axis=2)
        last = ops.where(self.to_end, float(count), last)
        return first, last

    def peaks(self, steps: _Steps) -> Any:
        """What is alive at most in the stretch of each row; infinity where it runs something before what that reads."""
        from keras import ops

        first, last = (value[:, None] for value in self.lives(steps.rows))
        windows = steps.windows[:, :, None]
        alive = ops.cast((first <= windows) & (windows <= last), "float32")
        peaks = ops.max(ops.matmul(alive, self.sizes[:, None])[:, :, 0], axis=1)
        for place, late in steps.late:
            peaks = ops.where(late & (self.presences[place] > 0), np.inf, peaks)
        return peaks

    def heads(self, steps: Any) -> Any:
        """What the planner makes of orders, shape (orders,)."""
        return soft_heads(self.sizes, *self.lives(steps), self.ranks)

    def _alive(self, steps: Any) -> Any:
        """The bytes that are alive at each step of one order."""
        from keras import ops

        first, last = self.lives(steps)
        times = np.arange(1 + steps.shape[1], dtype="float32")[:, None]
        return ops.matmul(ops.cast((first <= times) & (times <= last), "float32"), self.sizes[:, None])[:, 0]

    def peak(self, steps: Any) -> Scalar:
        """What is alive at most in one order, shape (1, operators)."""
        from keras import ops

        return ops.max(self._alive(steps))

    def head(self, steps: Any) -> Scalar:
        """What the planner makes of one order, shape (1, operators), with the gradient of what is alive."""
        from keras import ops

        peaks = self._alive(steps)
        weights = ops.softmax(_SHARPNESS * (peaks / ops.max(peaks) - 1.0))
        smooth = ops.sum(ops.stop_gradient(weights) * peaks)
        head = self.heads(steps)[0]
        return head + smooth - ops.stop_gradient(smooth)


def _table(rows: Sequence[Sequence[int]], value: int) -> np.ndarray:
    """Rows of one length, with a value for what is missing."""
    longest = max(map(len, rows))
    return np.array([_padded(row, longest, value) for row in rows], "int32")


def _padded(row: Sequence[int], length: int, value: int) -> list[int]:
    return [*row, *[value] * (length - len(row))]
