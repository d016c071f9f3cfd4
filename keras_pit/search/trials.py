"""Branches are tried, one at a time: one that would switch off stays off if the network does without it.

What a branch is worth shows only when it is gone, and the rest has had time to make up for it. While it is there, and
its batch norm has found the best scale for it, the gradient of the loss by its mask is about zero, whether it is needed
or not; right after it has gone, everything asks for it back. So the masks say which branch is tried next, and the loss
says how its trial ends:

    usual loss   |   off, weights adapt   |   off, loss after
                 |<-------- LENGTH of the `fit` ------------>|

It is gone for good if the loss has risen by less than the price of what it costs. Else it is switched on again, and may
be tried again later: the price follows the budget (see `targets`). A shift takes branches only where a bound cannot be
met otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ..layers.masks import MARGIN, THRESHOLD
from .variables import as_written, state

LENGTH, SHORTEST, LONGEST = 0.05, 20, 1000
"""Of a trial: a share of the `fit`, within these numbers of steps."""
ELSEWHERE = 50
"""Steps of a trial where it is not known how long the search takes."""
_FILLED = 0.6
"""So much of the running mean is filled before a trial begins: that of about as many steps as a trial takes."""
_GAP = 0.002
"""What waits for its trial is held so far above the threshold."""
_NONE = -1.0


class Trials:
    """Which branches are tried, and what came of it.

    Args:
        sizes: of the mask variables.
        branches: which of them are those of branches.
        price: from the values of all masks to what they cost, in units of the loss.
    """

    def __init__(self, sizes: Sequence[int], branches: Sequence[bool], price: Callable[[Any], Any]) -> None:
        self.branches = np.repeat(np.array(branches, bool), sizes)
        """Which masks are those of branches, shape (masks,)."""
        self._places, self._price = np.arange(len(self.branches), dtype="float32"), price
        self._heard = False
        self._loss = state("task_loss", 0.0)
        self._gone = state("gone", np.zeros(len(self.branches)))
        self._tried = state("tried", _NONE)
        """The place of the branch on trial."""
        self._steps = state("tried_steps", 0.0)
        """Of the trial so far."""
        self._usual, self._filled = state("usual_loss", 0.0), state("usual_filled", 0.0)
        """The running mean of the loss while there is no trial, and how much of it is filled, from 0 to 1."""
        self._after = state("tried_loss", 0.0)
        """The sum of the loss in the second half of the trial."""

    def __bool__(self) -> bool:
        """Whether there are branches."""
        return bool(self.branches.any())

    @property
    def variables(self) -> list[keras.Variable]:
        """All state."""
        own = [self._gone, self._tried, self._steps, self._usual, self._filled, self._after]
        return own if self else []

    @as_written
    def hear(self, loss: Any, price: Any = 0.0) -> None:
        """To be called before `step`, with what came out for the step's samples.

        Args:
            loss: a scalar.
            price: what of it is there for the costs.
        """
        replica = tf.distribute.get_replica_context()
        if replica is not None:
            loss = replica.all_reduce(tf.distribute.ReduceOp.SUM, ops.stop_gradient(loss))  # each has its share
        self._loss.assign(ops.stop_gradient(ops.cast(loss, "float32") - price))
        self._heard = True

    def check(self) -> None:
        """Check that the loss has been heard, where it matters.

        Raises:
            ValueError: if it has not.
        """
        if self and not self._heard:
            raise ValueError(
                "Branches are searched, and whether one may go shows in the loss: compute it by `search.compute_loss(y="
                "y, y_pred=outputs)`, or tell that of the task by `search.controller.trials.hear(loss)`, before "
                "`search.controller.step()`."
            )

    def step(self, values: Any, pace: Any, left: Any) -> Any:
        """After a step of the optimizer: the masks, without the branch on trial and those that have gone.

        Args:
            values: the masks as the optimizer left them.
            pace: progress of the fit with each step.
            left: how much progress is left for trials.
        """
        length = ops.clip(ops.round(LENGTH / ops.maximum(pace, 1e-9)), SHORTEST, LONGEST)
        length = ops.where(pace > 0, length, ELSEWHERE)
        values = ops.cond(self._tried >= 0, lambda: self._go_on(values, length), lambda: self._listen(values, length))
        waits = ops.logical_and(self.branches, ops.logical_and(values <= THRESHOLD, ops.logical_not(self._off())))
        ready = ops.logical_and(self._tried < 0, ops.logical_and(self._filled > _FILLED, left > length * pace))
        lowest = ops.cast(ops.argmin(ops.where(waits, values, 1.0)), "float32")
        self._tried.assign(ops.where(ops.logical_and(ready, ops.any(waits)), lowest, self._tried))
        return ops.where(self._off(), THRESHOLD - MARGIN, ops.where(waits, THRESHOLD + _GAP, values))

    def _listen(self, values: Any, length: Any) -> Any:
        """No trial: the running mean of the loss goes on."""
        self._usual.assign(self._usual + (self._loss - self._usual) / length)
        self._filled.assign(self._filled + (1 - self._filled) / length)
        return values

    def _go_on(self, values: Any, length: Any) -> Any:
        half, steps = ops.floor(length / 2), self._steps + 1
        self._steps.assign(steps)
        self._after.assign(self._after + ops.where(steps > half, self._loss, 0.0))
        return ops.cond(steps >= length, lambda: self._end(values, self._after / (steps - half)), lambda: values)

    def _end(self, values: Any, after: Any) -> Any:
        """The trial is over: the branch is gone if the loss has risen by less than the price of what it costs."""
        this, usual = ops.equal(self._places, self._tried), self._usual / self._filled
        on, off = (self._price(ops.where(this, THRESHOLD + gap, values)) for gap in (_GAP, -_GAP))
        goes = after - usual <= on - off
        self._gone.assign(ops.where(ops.logical_and(this, goes), 1.0, self._gone))
        # After a trial that failed, the weights adapt again, and the running mean begins anew.
        self._usual.assign(ops.where(goes, after, 0.0))
        self._filled.assign(ops.cast(goes, "float32"))
        for one, value in ((self._tried, _NONE), (self._steps, 0.0), (self._after, 0.0)):
            one.assign(value)
        return ops.where(ops.logical_and(this, ops.logical_not(goes)), THRESHOLD + MARGIN, values)

    def _off(self) -> Any:
        """Which branches are held off."""
        return ops.logical_or(self._gone > 0, ops.equal(self._places, self._tried))

    def lose(self, values: Any) -> None:
        """Branches that a shift has taken are gone, too."""
        off = ops.logical_and(self.branches, values <= THRESHOLD)
        off = ops.logical_and(off, ops.not_equal(self._places, self._tried))
        self._gone.assign(ops.where(off, 1.0, self._gone))

    def slopes(self, slopes: Any, values: Any, least: float) -> Any:
        """How far masks are shifted: branches that are off stay where they are, others go last."""
        return ops.where(self.branches, ops.where(values > THRESHOLD, least, 0.0), slopes)
