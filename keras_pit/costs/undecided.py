"""The arena's head while sizes are soft, and with them the order of operators.

The file has the order that needs the least on the core that orders are chosen for (see `schedule`). During a search,
which one that is changes with the masks; `Program.stretches` has the orders of each stretch that has several:

    a -+-> b -> c -+-> add          (b, c, d), (b, d, c) or (d, b, c)
       +-> d ------+

    peak    What is alive at most on the way through a stretch, for each of its orders: all of them at once. The best
            order of the network is made of the best ones of its stretches.
    head    The planner is asked about the order as it is listed, and about some with the least peaks: those that the
            file's order is looked for among, too. If it needs no more than the peak for one, that is the file's. Else
            it is the best one of all.

In networks with more than `steps.ALL` orders, that one is not looked for. Then the file may have another order, whose
head is no larger on the core that orders are chosen for. On others it may be larger, so the worst of those that can be
as good counts; so it does where not all orders of a stretch are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import cores
from .alive import buffers
from .planner import ALIGNMENT, soft_heads
from .program import Program
from .sizes import Scalar, choose
from .steps import Steps, padded

_SHARPNESS = 30.0
"""How much the gradient keeps to the peak: of a step with a tenth less alive, e^-3 times as much."""


def soft_head(program: Program, core: str) -> Scalar:
    """Bytes of the head on a core; a tensor, whose gradient goes to the steps at which most is alive.

    Args:
        program: the network; sizes are soft.
        core: a name of `costs.cores`.
    """
    from keras import ops

    steps, here = Steps(program), _Buffers(program, core)
    if not program.stretches:
        return here.head(steps.listed)
    decides = cores.get(core).kernels == cores.get(cores.ORDERING).kernels
    deciding = here if decides else _Buffers(program, cores.ORDERING)
    peaks = ops.stop_gradient(deciding.peaks(steps))
    orders = steps.best(peaks)
    heads = deciding.heads(orders)
    is_least = heads <= deciding.peak(orders[1:2]) + ALIGNMENT / 2
    is_known = ops.any(is_least)
    chosen = ops.take(orders, ops.where(is_known, ops.argmax(is_least), ops.argmin(heads)), axis=0)
    if steps.is_small:
        chosen = ops.cond(is_known, lambda: chosen, lambda: _best_of_all(steps, deciding, peaks, heads, chosen))
    head = here.head(chosen[None])
    if decides or steps.is_small:
        return head
    is_candidate = peaks <= ops.min(heads) + ALIGNMENT / 2
    others = ops.maximum(ops.max(here.heads(orders)), ops.max(ops.where(is_candidate, here.peaks(steps), 0.0)))
    is_decided = is_known & all(stretch.is_whole for stretch in program.stretches)
    return choose(is_decided | (head >= others), head, others)


def _best_of_all(steps: Steps, deciding: _Buffers, peaks: Any, heads: Any, chosen: Any) -> Any:
    """The order with the least head, of equal ones that with the least peaks: the chosen one if none is better."""
    from keras import ops

    orders, turns = steps.all(peaks)
    found = ops.where(turns < np.inf, deciding.heads(orders), np.inf)
    best = ops.take(orders, ops.argmin(ops.where(found <= ops.min(found), turns, np.inf)), axis=0)
    return ops.where(ops.min(found) < ops.min(heads), best, chosen)


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

    def peaks(self, steps: Steps) -> Any:
        """What is alive at most in the stretch of each row; infinity where it runs something before what that reads."""
        from keras import ops

        first, last = (value[:, None] for value in self.lives(steps.rows))
        windows = steps.windows[:, :, None]
        alive = ops.cast((first <= windows) & (windows <= last), "float32")
        peaks = ops.max(ops.matmul(alive, self.sizes[:, None])[:, :, 0], axis=1)
        for place, late in steps.late:
            peaks = ops.where(late & (self.presences[place] > 0), np.inf, peaks)
        return ops.where(steps.instead & (ops.roll(peaks, 1) < np.inf), np.inf, peaks)

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
    return np.array([padded(row, longest, value) for row in rows], "int32")
