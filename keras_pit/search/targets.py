"""Bounds on the cost: what holds a search between "does not fit" and "smaller than it needs to be".

The *budget* of each bounded cost falls from the cost of the seed to the bound, in the first half of a `fit`. Two things
keep the cost at the budget.

* *Pressure*: each cost has a multiplier in the loss. It grows while the cost stands in the upper part of the band
  below its budget and shrinks while it stands in the lower part, so that in the end it is the price at which what
  fits is worth keeping (the multiplier of Lagrange, by dual ascent). It decides what goes and what stays.
* *Shift*: when the cost has left the band all the same, the masks are shifted, by the smallest factor with which every
  cost fits, found by bisection: each in proportion to what it adds to the tightest cost, times how many of its layer
  are on. So what is worth least for what it costs goes, what costs nothing stays, and all layers keep about the same
  share of what they have. It holds for every optimizer and learning rate, which is why no bound is ever exceeded once
  the ramp is over.

The architecture that a search settles on (see `settling`) is shifted once more, to use its bounds up.

A bound that the seed meets does not press: its budget is the seed's cost from beginning to end. If all bounds are met,
what the task alone switches off beyond the band is switched on again. All state is in variables of the search model,
and saved with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from ..layers.masks import MARGIN, THRESHOLD
from .prices import Prices
from .trials import Trials
from .variables import apart, state


class Band(NamedTuple):
    """Where a cost is left alone, relative to its budget, and where a shift puts it if it can."""

    low: Any
    aim: Any


RAMP = 0.5
"""Share of a `fit` at which the budget has reached the bound."""
HIGH = 1.0
"""The most that a cost may be, relative to its budget."""
BAND = Band(0.90, 0.97)
"""During the search; the aim lets some steps pass between shifts."""
FULL = Band(0.99, HIGH)
"""For the architecture that is settled on."""
RATE = 0.15
"""How fast pressure follows: with a cost at the edge of the band, it doubles in about a hundred steps."""
PRESSURE = 1e-3, 1e3
"""Bounds of the multipliers; that of a cost whose bound the seed meets is 0."""
LIFTS = 100
"""How many times in a `fit` a cost below its band is looked at; one above its budget is never left for a step."""

_FLOOR = 0.05
"""The least that a mask is shifted, relative to the one that costs most: in the end, all must be able to go."""
_REACH = 2.5 * MARGIN / _FLOOR
"""A shift that switches everything on or off."""
_ROUNDS, _GAP = 12, 0.002
_SPREAD = 0.002
"""Masks of equal value are shifted by amounts that differ by so much, relative, so that they switch one by one."""


class Bounds:
    """Keeps the costs of a search model at their budgets.

    Args:
        masks: the mask variables.
        prices: what the bounded costs are.
        trials: which branches have been tried.
        seed: cost of the seed, for each bound.
        least: cost with everything switched off.
        bounds: the bounds.
    """

    def __init__(
        self,
        masks: Sequence[keras.Variable],
        prices: Prices,
        trials: Trials,
        seed: Sequence[float],
        least: Sequence[float],
        bounds: Sequence[float],
    ) -> None:
        sizes = [mask.shape[0] for mask in masks]
        self._variables, self._count = len(sizes), sum(sizes)
        self._variable_of = np.repeat(np.arange(len(sizes)), sizes)
        self._prices, self._trials = prices, trials
        # To trace and to start this takes seconds: once for both bands, which a tensor tells apart. (Of a function that
        # is given constants, TensorFlow starts a copy for each.)
        self._fit = apart(self._fitted)
        # Costs are float32 during the search: keep clear of the last digit, on the side that is safe.
        start, bound = np.array(seed, "float64") * (1 + 1e-6), np.array(bounds, "float64") * (1 - 1e-6)
        self._start = start.astype("float32")
        self._ratio = np.where(np.array(bounds) < seed, bound / start, 1.0).astype("float32")
        self._least = (np.array(least, "float64") * (1 + 1e-6)).astype("float32")
        presses = (self._ratio < 1).astype("float32")
        self._limits = [limit * presses for limit in PRESSURE]
        self.pressure = state("pressure", presses)
        self.tightness = state("tightness", 0.0)
        """How far the budget has come down, from 0 to 1."""

    @property
    def variables(self) -> list[keras.Variable]:
        """All state."""
        return [self.pressure, self.tightness]

    @property
    def press(self) -> bool:
        """Whether the seed exceeds one of them."""
        return bool((self._ratio < 1).any())

    def follow(self, values: Any, costs: Any, before: Any, progress: Any, fixed: Any) -> tuple[Any, Any, Any]:
        """After a step of the search: the masks with costs within the budget, the costs, whether masks were shifted.

        Args:
            values: the masks as the optimizer left them.
            costs: what they cost, remembered.
            before: progress of the fit before the step, from 0 to 1.
            progress: after it.
            fixed: a tensor that says that the architecture is not fixed.
        """
        tightness = ops.maximum(self.tightness, ops.minimum(progress / RAMP, 1.0))
        budgets = self._budgets(tightness)
        shares = costs / budgets
        error = ops.clip(shares - (BAND.low + HIGH) / 2, BAND.low - HIGH, HIGH - BAND.low)
        share = ops.max(shares)
        due = ops.floor(LIFTS * progress) > ops.floor(LIFTS * before)
        self.pressure.assign(ops.clip(self.pressure * ops.exp(RATE * error), *self._limits))
        self.tightness.assign(tightness)
        out = ops.logical_or(ops.greater(share, HIGH), ops.logical_and(ops.less(share, BAND.low), due))
        values, costs = ops.cond(out, lambda: self._shift(values, budgets, fixed), lambda: (values, costs))
        return values, costs, out

    def used_up(self, values: Any, costs: Any, fixed: Any) -> tuple[Any, Any]:
        """The masks, shifted so that the bounds are met and the tightest is used to the full; and the costs.

        Args:
            values: the masks.
            costs: what they cost, remembered.
            fixed: a tensor that says that the architecture is fixed.
        """
        budgets = self._budgets(1.0)
        share = ops.max(costs / budgets)
        out = ops.logical_or(ops.greater(share, HIGH), ops.less(share, FULL.low))
        return ops.cond(out, lambda: self._shift(values, budgets, fixed), lambda: (values, costs))

    def _shift(self, values: Any, budgets: Any, fixed: Any) -> tuple[Any, Any]:
        """The masks with costs in the band, and their costs; `values` are those of which the costs are remembered."""
        return self._fit(values, budgets, *self._prices.remembered(), fixed)

    def _filled(self, values: Any, budgets: Any) -> Any:
        """The masks with those switched on that still fit, the strongest first; but no branches."""
        on = ops.logical_or(values > THRESHOLD, self._trials.branches)
        order, off = ops.argsort(ops.where(on, 1.0, -values)), self._count - ops.sum(ops.cast(on, "int32"))

        def fill(place: Any, values: Any) -> tuple[Any, Any]:
            this = ops.equal(np.arange(self._count), ops.take(order, place))
            more = ops.where(ops.logical_and(this, values <= THRESHOLD), THRESHOLD + _GAP, values)
            fits = ops.max(self._prices.at(more) / budgets) <= HIGH
            return place + 1, ops.where(fits, more, values)

        _, values = ops.while_loop(lambda place, _: place < off, fill, (ops.zeros((), "int32"), values))
        return values

    def _budgets(self, tightness: Any) -> Any:
        return self._start * ops.power(self._ratio, tightness)

    def _slopes(self, values: Any, steepest: Any) -> Any:
        """How far to shift each mask, relative to the others.

        It is the gradient of the tightest cost by the logarithm of how many entries of the variable are on.
        """
        on = ops.cast(ops.greater(values, THRESHOLD), "float32")
        count = ops.take(ops.segment_sum(on, self._variable_of, self._variables), self._variable_of)
        slopes = ops.maximum(steepest, 0.0) * ops.maximum(count, 1.0)
        slopes = ops.maximum(slopes / ops.maximum(ops.max(slopes), keras.backend.epsilon()), _FLOOR)
        if self._trials:
            slopes = self._trials.slopes(slopes, values, _FLOOR)
        spread = 2 * np.modf(0.6180339887 * np.arange(self._count))[0] - 1
        return slopes * ops.convert_to_tensor(1.0 + _SPREAD * spread, "float32")

    def _fitted(self, values: Any, budgets: Any, costs: Any, slopes: Any, fixed: Any) -> tuple[Any, Any]:
        """The masks, shifted so that all costs fit and the tightest one stands near the aim; and the costs.

        One switch can be a large step (a dilation halves a kernel) and lead from above the band to below it. Then that
        mask is set aside: for some rounds switched off, so that weaker ones can fill up; if these do not, for as many
        more switched on, so that stronger but smaller ones make room. What comes closest decides which masks are on.
        Their values are those of the shift alone wherever they can be: what was stronger stays so.

        Args:
            values: the masks.
            budgets: what they may cost.
            costs: what they do cost.
            slopes: of these.
            fixed: whether it is the architecture that is settled on, which is filled up with what still fits.
        """
        weights = self._slopes(values, self._prices.steepest(values, budgets, costs, slopes))
        zero = ops.zeros((), "int32")
        band = Band(*(ops.where(fixed, full, usual) for full, usual in zip(FULL, BAND, strict=True)))
        limit = ops.maximum(band.aim, ops.max(self._least / budgets))

        def share(values: Any) -> Any:
            return ops.max(self._prices.at(values) / budgets)

        def turn(count: Any, state: Any, slopes: Any, first: Any, best: Any, best_share: Any) -> tuple[Any, ...]:
            begins = ops.equal(count % _ROUNDS, 0)
            state, slopes = ops.where(begins, values, state), ops.where(begins, weights, slopes)
            # In the order in which a growing shift switches them, some first masks are off, and the rest on.
            crossings = ops.where(slopes > 0, (state - THRESHOLD) / ops.maximum(slopes, _FLOOR / 2), _REACH)
            order = ops.argsort(crossings)
            ordered = ops.take(crossings, order)
            edges = ops.concatenate([ordered[:1] - _GAP, ordered, ordered[-1:] + _GAP])

            def shifted(off: Any) -> Any:
                shift = (ops.take(edges, off) + ops.take(edges, off + 1)) / 2
                return _clip(state - shift * slopes)

            def halve(low: Any, high: Any) -> tuple[Any, Any]:
                middle = (low + high) // 2
                fits = ops.less_equal(share(shifted(middle)), ops.where(begins, limit, HIGH))
                return ops.where(fits, low, middle + 1), ops.where(fits, middle, high)

            off, _ = ops.while_loop(ops.less, halve, (zero, zero + self._count))
            found = shifted(off)
            now = share(found)
            alone = ops.equal(count, 0)
            better = ops.logical_or(alone, ops.logical_and(now <= HIGH, now > best_share))
            first, best = ops.where(alone, found, first), ops.where(better, found, best)
            last = ops.equal(np.arange(self._count), ops.take(order, ops.maximum(off - 1, 0)))
            aside = ops.where(count < _ROUNDS, THRESHOLD - _GAP, THRESHOLD + _GAP)
            state, slopes = ops.where(last, aside, state), ops.where(last, 0.0, slopes)
            return count + 1, state, slopes, first, best, ops.where(better, now, best_share)

        *_, first, best, _ = ops.while_loop(
            lambda count, *state: ops.logical_and(count < 2 * _ROUNDS, state[-1] < band.low),
            turn,
            (zero, values, weights, values, values, ops.zeros(())),
        )
        values = ops.where(best > THRESHOLD, ops.maximum(first, THRESHOLD + _GAP), ops.minimum(first, THRESHOLD - _GAP))
        values = ops.cond(fixed, lambda: self._filled(values, budgets), lambda: values)
        return values, self._prices.at(values)


def _clip(values: Any) -> Any:
    return ops.clip(values, THRESHOLD - MARGIN, THRESHOLD + MARGIN)
