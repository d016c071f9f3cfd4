"""Bounds on the cost: what holds a search between "does not fit" and "smaller than it needs to be".

A `Controller` acts after each step of the optimizer, inside of the training step. It knows how far the current `fit`
has come and lets a *budget* for each bounded cost fall from the cost of the seed to the bound:

    progress of the fit   0 ........... RAMP ............ FREEZE ..... 1
    budget                seed's cost ..... the bound .................
    architecture          searched .................... fixed, the weights settle

Two things keep the cost at the budget.

* *Pressure*: each cost has a multiplier in the loss. It grows while the cost stands in the upper part of the band
  below its budget and shrinks while it stands in the lower part, so that in the end it is the price at which what
  fits is worth keeping (the multiplier of Lagrange, by dual ascent). It decides what goes and what stays.
* *Shift*: when the cost has left the band all the same, the masks are shifted, by the smallest factor with which every
  cost fits, found by bisection: each in proportion to what it adds to the tightest cost, times how many of its layer
  are on. So what is worth least for what it costs goes, what costs nothing stays, and all layers keep about the same
  share of what they have. It holds for every optimizer and learning rate, which is why no bound is ever exceeded once
  the ramp is over.

A bound that the seed meets does not press: its budget is the seed's cost from beginning to end. If all bounds are met,
what the task alone switches off beyond the band is switched on again. All state is in variables of the search model,
and saved with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ..layers.masks import MARGIN, THRESHOLD

RAMP, FREEZE = 0.5, 0.8
"""Shares of a `fit` at which the budget has reached the bound, and from which on the architecture is fixed."""
LOW, AIM, HIGH = 0.90, 0.97, 1.0
"""Band of the cost, relative to its budget, and where a shift puts it. `AIM` lets some steps pass between shifts."""
RATE = 0.15
"""How fast pressure follows: with a cost at the edge of the band, it doubles in about a hundred steps."""
PRESSURE = 1e-3, 1e3
"""Bounds of the multipliers; that of a cost whose bound the seed meets is 0."""
LIFTS = 100
"""How many times in a `fit` a cost below its band is looked at; one above its budget is never left for a step."""
STEPS_ELSEWHERE = 1000
"""Length of a search that is not trained by `fit`: `train_on_batch`, and loops by hand, which call `Controller.step`
after each step of the optimizer."""

_FLOOR = 0.05
"""The least that a mask is shifted, relative to the one that costs most: in the end, all must be able to go."""
_REACH = 2.5 * MARGIN / _FLOOR
"""A shift that switches everything on or off."""
_ROUNDS, _GAP = 12, 0.002
_SPREAD = 0.002
"""Masks of equal value are shifted by amounts that differ by so much, relative, so that they switch one by one."""

CostsOf = Callable[[Mapping[int, Any]], Any]
"""From the values of the mask variables, by their identity, to the bounded costs, shape (bounds,)."""


class Controller:
    """Keeps the costs of a search model at their budgets.

    Args:
        variables: the mask variables.
        costs: computes the bounded costs.
        seed: cost of the seed, for each bound.
        least: cost with everything switched off.
        bounds: the bounds.
    """

    def __init__(
        self,
        variables: Sequence[keras.Variable],
        costs: CostsOf,
        seed: Sequence[float],
        least: Sequence[float],
        bounds: Sequence[float],
    ) -> None:
        self._masks = list(variables)
        self._ends = np.cumsum([variable.shape[0] for variable in variables]).tolist()
        self._variable_of = np.repeat(np.arange(len(self._masks)), [variable.shape[0] for variable in variables])
        self._costs = costs
        # A function of its own in the graph: the costs are computed in several places.
        function = tf.function(self._costs_of, autograph=False, experimental_attributes={"_noinline": True})
        self._evaluate = function.get_concrete_function(tf.TensorSpec((self._ends[-1],), tf.float32))
        # Costs are float32 during the search: keep clear of the last digit, on the side that is safe.
        start, bound = np.array(seed, "float64") * (1 + 1e-6), np.array(bounds, "float64") * (1 - 1e-6)
        self._start = start.astype("float32")
        self._ratio = np.where(np.array(bounds) < seed, bound / start, 1.0).astype("float32")
        self._least = (np.array(least, "float64") * (1 + 1e-6)).astype("float32")
        presses = (self._ratio < 1).astype("float32")
        self._limits = [limit * presses for limit in PRESSURE]
        self.pressure = _state("pressure", presses)
        self.tightness = _state("tightness", 0.0)
        self.progress = _state("progress", 0.0)
        self.pace = _state("pace", 1.0 / STEPS_ELSEWHERE)
        self.steps = _state("steps", 0.0)
        """In an epoch, once one is over."""
        self.waits = 0
        """Epochs of a `fit` before the budget starts to fall."""
        self._held = _state("held", np.full(self._ends[-1], THRESHOLD + MARGIN))

    @property
    def variables(self) -> list[keras.Variable]:
        """All state."""
        return [self.pressure, self.tightness, self.progress, self.pace, self.steps, self._held]

    def step(self) -> Any:
        """To be called after each step of the optimizer.

        Returns:
            The bounded costs as they now are, shape (bounds,).
        """
        before, progress = self.progress + 0.0, self.progress + self.pace
        tightness = ops.maximum(self.tightness, ops.minimum(progress / RAMP, 1.0))
        frozen = ops.greater(progress, FREEZE)
        budgets = self._start * ops.power(self._ratio, tightness)
        values = ops.concatenate([ops.convert_to_tensor(variable) for variable in self._masks])
        values = _clip(ops.where(frozen, self._held, values))
        costs = self._evaluate(values)
        shares = costs / budgets
        error = ops.clip(shares - (LOW + HIGH) / 2, LOW - HIGH, HIGH - LOW)
        pressure = ops.clip(self.pressure * ops.exp(RATE * error), *self._limits)
        share = ops.max(shares)
        tick = ops.logical_or(frozen, ops.floor(LIFTS * progress) > ops.floor(LIFTS * before))
        due = ops.logical_and(before <= FREEZE, tick)
        values, costs = ops.cond(
            ops.logical_or(ops.greater(share, HIGH), ops.logical_and(ops.less(share, LOW), due)),
            lambda: self._fitted(values, budgets),
            lambda: (values, costs),
        )
        self.pressure.assign(ops.where(frozen, self.pressure, pressure))
        self.tightness.assign(tightness)
        self.progress.assign(progress)
        self._held.assign(values)
        for variable, part in zip(self._masks, self._parts(values), strict=True):
            variable.assign(part)
        return costs

    def _parts(self, values: Any) -> list[Any]:
        """The values of each mask variable."""
        return [values[first:end] for first, end in pairwise([0, *self._ends])]

    def _costs_of(self, values: Any) -> Any:
        return self._costs(
            {id(variable): part for variable, part in zip(self._masks, self._parts(values), strict=True)}
        )

    def _slopes(self, values: Any, budgets: Any) -> Any:
        """How far to shift each mask, relative to the others.

        It is the gradient of the tightest cost by the logarithm of how many entries of the variable are on.
        """
        with tf.GradientTape() as tape:
            tape.watch(values)
            tightest = ops.max(self._costs_of(values) / budgets)
        on = ops.cast(ops.greater(values, THRESHOLD), "float32")
        count = ops.take(ops.segment_sum(on, self._variable_of, len(self._masks)), self._variable_of)
        slopes = ops.maximum(tape.gradient(tightest, values), 0.0) * ops.maximum(count, 1.0)
        slopes = ops.maximum(slopes / ops.maximum(ops.max(slopes), keras.backend.epsilon()), _FLOOR)
        spread = 2 * np.modf(0.6180339887 * np.arange(self._ends[-1]))[0] - 1
        return slopes * ops.convert_to_tensor(1.0 + _SPREAD * spread, "float32")

    def _fitted(self, values: Any, budgets: Any) -> tuple[Any, Any]:
        """The masks, shifted so that all costs fit and the tightest one stands near `AIM`; and the costs.

        One switch can be a large step (a dilation halves a kernel) and lead from above the band to below it. Then that
        mask is set aside, first switched off, so that weaker ones can fill up; if these do not, switched on, so that
        stronger but smaller ones make room.
        """
        least = ops.max(self._least / budgets)
        weights = self._slopes(values, budgets)
        zero = ops.zeros((), "int32")

        def share(values: Any) -> Any:
            return ops.max(self._evaluate(values) / budgets)

        def turn(count: Any, values: Any, weights: Any, limit: Any, aside: float) -> tuple[Any, ...]:
            # In the order in which a growing shift switches them, some first masks are off, and the rest on.
            crossings = ops.where(weights > 0, (values - THRESHOLD) / ops.maximum(weights, _FLOOR / 2), _REACH)
            order = ops.argsort(crossings)
            ordered = ops.take(crossings, order)
            edges = ops.concatenate([ordered[:1] - _GAP, ordered, ordered[-1:] + _GAP])

            def shifted(off: Any) -> Any:
                shift = (ops.take(edges, off) + ops.take(edges, off + 1)) / 2
                return _clip(values - shift * weights)

            def halve(low: Any, high: Any) -> tuple[Any, Any]:
                middle = (low + high) // 2
                fits = ops.less_equal(share(shifted(middle)), limit)
                return ops.where(fits, low, middle + 1), ops.where(fits, middle, high)

            off, _ = ops.while_loop(ops.less, halve, (zero, zero + self._ends[-1]))
            found = shifted(off)
            last = ops.equal(np.arange(self._ends[-1]), ops.take(order, ops.maximum(off - 1, 0)))
            values, weights = ops.where(last, THRESHOLD + aside, values), ops.where(last, 0.0, weights)
            return count + 1, values, weights, ops.full((), HIGH), found, share(found)

        def search(found: Any, share: Any, aside: float) -> tuple[Any, Any]:
            *_, found, share = ops.while_loop(
                lambda count, values, weights, limit, found, share: ops.logical_and(count < _ROUNDS, share < LOW),
                lambda count, values, weights, limit, *_: turn(count, values, weights, limit, aside),
                (zero, values, weights, ops.maximum(AIM, least), found, share),
            )
            return found, share

        filled, share_filled = search(values, ops.zeros(()), -_GAP)
        spared, share_spared = search(filled, share_filled, _GAP)
        better = ops.logical_and(share_spared <= HIGH, share_spared > share_filled)
        values = ops.where(better, spared, filled)
        return values, self._evaluate(values)


class Progress(keras.callbacks.Callback):
    """Tells a controller how far `fit` has come."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self._begin = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._begin = int(self.model.optimizer.iterations)
        steps, waiting = self.params["steps"] or int(self._controller.steps), self._controller.waits
        epochs = max(self.params["epochs"] - waiting, 1)
        self._controller.progress.assign(max(epoch - waiting, 0) / epochs)
        # In the first epoch of data without a length the number of steps is not known: the budget waits.
        self._controller.pace.assign(1 / (epochs * steps) if steps and epoch >= waiting else 0.0)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._controller.steps.assign(int(self.model.optimizer.iterations) - self._begin)


def _state(name: str, value: Any) -> keras.Variable:
    return keras.Variable(value, dtype="float32", trainable=False, name=name)


def _clip(values: Any) -> Any:
    return ops.clip(values, THRESHOLD - MARGIN, THRESHOLD + MARGIN)
