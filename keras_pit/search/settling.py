"""How a search ends: with one architecture, on which weights and statistics settle.

A `Controller` acts after each step of the optimizer, inside of the training step. It knows how far the current `fit`
has come:

    progress of the fit   0 ........... RAMP ............ FREEZE ..... 1
    budget (targets)      seed's cost ..... the bound .................
    architecture          searched .................... fixed, the weights settle

While it is searched, the masks at the edge go to and fro. Two things keep this from being a matter of luck.

* A mask that has switched is set back from the threshold by `HOLD` (hysteresis): it stays for a while, the weights
  adapt to it, and what it is worth shows.
* The controller keeps a running mean of the mask variables, over the last `WINDOW` of the fit. At `FREEZE` the masks
  are set to this mean (with a target, shifted until the bounds are used up) and held to the end.

From then on, batch norm measures its moving statistics anew: they are the plain mean of all batches since then, until
the usual moving average takes over. And the learning rate falls to zero along a line, so that the weights settle, too;
unless it is a schedule of its own. It begins higher than it was, as the network is smaller now (see `rates`):

    learning rate * rise * (1 - progress) / (1 - FREEZE)

Each `fit` searches on and settles in its last part. Where the end is not known (early stopping, loops by hand),
`SearchModel.settle` fixes the architecture at any time. All state is in variables of the search model, and saved with
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from numbers import Real
from typing import Any

import keras
import numpy as np
from keras import ops

from ..layers.masks import THRESHOLD
from .targets import Bounds
from .trials import Trials
from .variables import apart, as_written, number, parts, state

FREEZE = 0.8
"""Share of a `fit` from which on the architecture is fixed."""
WINDOW, LONGEST = 0.15, 1000
"""The running mean goes back so far: a share of the `fit`, and at most so many steps."""
SLOWEST = 0.01
"""The least share of the learning rate at the end of a `fit`."""
HOLD = 0.05
"""A mask that has switched is set this far from the threshold: it stays for a while, and weights can adapt to it."""
STEPS_ELSEWHERE = 1000
"""Length of a search for a target that is not trained by `fit`: `train_on_batch`, and loops by hand, which call
`Controller.step` after each step of the optimizer. Without a target, such a search settles when it is asked to."""


class Controller:
    """Leads a search to its end.

    Args:
        masks: the mask variables.
        costs: from the values of all of them to the costs in the loss, shape (costs,).
        trials: which branches have been tried.
        bounds: what holds the costs within a target.
    """

    def __init__(
        self,
        masks: Sequence[keras.Variable],
        costs: Callable[[Any], Any],
        trials: Trials,
        bounds: Bounds | None = None,
    ) -> None:
        self._masks, self._costs, self.trials, self.bounds = list(masks), costs, trials, bounds
        self._assigned = apart(self._assign)
        self.progress = state("progress", 0.0)
        self.pace = state("pace", 1.0 / STEPS_ELSEWHERE if bounds else 0.0)
        self.steps = state("steps", 0.0)
        """In an epoch, once one is over."""
        self.waits = 0
        """Epochs of a `fit` before the search begins."""
        self._mean = state("mean", np.zeros(sum(mask.shape[0] for mask in masks)))
        """The running mean; once the architecture is fixed, the masks of it."""
        self._weight = state("weight", 0.0)
        """How much of the running mean is filled, from 0 to 1."""
        self._on = state("on", np.ones_like(self._mean))
        """Which masks were on after the last step."""
        self._since = state("since", 0.0)
        """Counts the steps of the fixed architecture, from 1; 0 while it is searched."""
        self._asked = state("asked", 0.0)
        """1 if the architecture was fixed by request."""
        self.rates = state("rates", np.zeros(2))
        """The learning rate of the optimizer as it usually is, and as it was set here last."""

    @property
    def variables(self) -> list[keras.Variable]:
        """All state."""
        own = [self.progress, self.pace, self.steps, self.rates]
        own += [self._mean, self._weight, self._on, self._since, self._asked]
        return [*own, *self.trials.variables, *(self.bounds.variables if self.bounds else [])]

    @property
    def fixed(self) -> bool:
        """Whether the architecture is fixed."""
        return number(self._since) > 0

    def architecture(self) -> np.ndarray:
        """The masks that are on, on average."""
        return ops.convert_to_numpy(self._average()) > THRESHOLD

    @as_written
    def settle(self, on: bool = True) -> None:
        """Fix the architecture now, whatever the progress; or leave that to the progress again."""
        self._asked.assign(float(on))
        if not on:
            self.progress.assign(0.0)
        elif not self.fixed and self._masks:
            self._hold(ops.convert_to_tensor(True))

    @as_written
    def step(self) -> Any:
        """To be called after each step of the optimizer.

        Returns:
            The costs as they now are, shape (costs,).

        Raises:
            ValueError: if branches are searched and the task's loss is not known (`Trials.hear`).
        """
        self.trials.check()
        before, progress = self.progress + 0.0, self.progress + self.pace
        self.progress.assign(progress)
        if not self._masks:
            return self._costs(None)
        fixed = ops.logical_or(progress > FREEZE, self._asked > 0)
        return ops.cond(fixed, lambda: self._hold(fixed), lambda: self._search(before, progress, fixed))

    def _search(self, before: Any, progress: Any, fixed: Any) -> Any:
        values = self._values()
        if self.trials:
            values = self.trials.step(values, self.pace, FREEZE - progress)
        on = ops.cast(values > THRESHOLD, "float32")
        switched = ops.logical_and(ops.not_equal(on, self._on), ops.logical_not(self.trials.branches))
        # What is not a number stays none, and ends the search with an error.
        values = ops.where(switched, THRESHOLD + HOLD * (2 * on - 1) + 0.0 * values, values)
        moved = True if self.trials else ops.any(switched)
        costs = self._costs(values)
        if self.bounds is not None:
            values, costs, shifted = self.bounds.follow(values, costs, before, progress, fixed)
            moved = ops.logical_or(moved, shifted)
            if self.trials:
                self.trials.lose(values)
        ops.cond(moved, lambda: self._assigned(values), lambda: ops.zeros(()))
        rate = ops.clip(self.pace / WINDOW, 1 / LONGEST, 1.0)
        self._mean.assign(self._mean + rate * (values - self._mean))
        self._weight.assign(self._weight + rate * (1 - self._weight))
        self._on.assign(on)
        self._since.assign(0.0)
        return costs

    def _hold(self, fixed: Any) -> Any:
        values, costs = ops.cond(self._since > 0, self._kept, lambda: self._chosen(fixed))
        self._assigned(values)
        self._mean.assign(values)
        self._weight.assign(1.0)
        self._since.assign(self._since + 1)
        return costs

    def _kept(self) -> tuple[Any, Any]:
        values = self._mean + 0.0
        return values, self._costs(values)

    def _chosen(self, fixed: Any) -> tuple[Any, Any]:
        values = self._average()
        costs = self._costs(values)
        return (values, costs) if self.bounds is None else self.bounds.used_up(values, costs, fixed)

    def _average(self) -> Any:
        """The running mean; before there is one, and of branches, the masks as they are."""
        weight = ops.maximum(self._weight, keras.backend.epsilon())
        known = ops.logical_and(self._weight > 0, ops.logical_not(self.trials.branches))
        return ops.where(known, self._mean / weight, self._values())

    def _values(self) -> Any:
        return ops.concatenate([ops.convert_to_tensor(mask) for mask in self._masks])

    def _assign(self, values: Any) -> Any:
        for mask, part in zip(self._masks, parts(values, self._masks), strict=True):
            mask.assign(part)
        return ops.zeros(())

    @contextmanager
    def measuring(self, layers: Iterable[Any]) -> Iterator[None]:
        """A context in which layers of batch norm that are trained measure their statistics as said above.

        With momentum k / (k + 1) in the k-th step (from 0), a moving average is the mean of all batches.
        """
        most = ops.where(self._since > 0, (self._since - 1) / ops.maximum(self._since, 1.0), 1.0)
        usual = {layer: layer.momentum for layer in layers if isinstance(layer.momentum, Real)}
        limited: dict[Any, Any] = {}
        for layer, momentum in usual.items():
            kind = momentum, keras.backend.result_type(layer.compute_dtype, "float32")
            if kind not in limited:
                limited[kind] = ops.cast(ops.minimum(most, momentum), kind[1])
            layer.momentum = limited[kind]
        try:
            yield
        finally:
            for layer, momentum in usual.items():
                layer.momentum = momentum


class Progress(keras.callbacks.Callback):
    """Tells a controller how far `fit` has come, and leads the learning rate while the weights settle.

    Args:
        controller: of the search.
        rise: how much higher the learning rate may be for the network as it is (see `rates`).
    """

    def __init__(self, controller: Controller, rise: Callable[[], float]) -> None:
        super().__init__()
        self._controller, self._rise_of_now = controller, rise
        self._begin = 0.0
        self._progress, self._pace = 0.0, 0.0
        """At the begin of the epoch, and of each of its steps."""

    def on_train_begin(self, logs: Any = None) -> None:
        self._scale(1.0)  # as a `fit` that was interrupted left it, it may be another

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._begin = number(self.model.optimizer.iterations)
        steps, waiting = self.params["steps"] or number(self._controller.steps), self._controller.waits
        epochs = max(self.params["epochs"] - waiting, 1)
        self._progress = max(epoch - waiting, 0) / epochs
        # In the first epoch of data without a length the number of steps is not known: the search waits.
        self._pace = 1 / (epochs * steps) if steps and epoch >= waiting else 0.0
        self._controller.progress.assign(self._progress)
        self._controller.pace.assign(self._pace)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        left = 1 - (self._progress + batch * self._pace)
        if left < 1 - FREEZE and self._controller.fixed:
            self._scale(max(self._rise * left / (1 - FREEZE), SLOWEST))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._controller.steps.assign(number(self.model.optimizer.iterations) - self._begin)

    def on_train_end(self, logs: Any = None) -> None:
        self._scale(1.0)

    @cached_property
    def _rise(self) -> float:
        """Of the learning rate, for the architecture that is fixed."""
        return self._rise_of_now()

    def _scale(self, factor: float) -> None:
        """Set the learning rate to so many times what it usually is; a schedule is left alone.

        What is not the rate that was set here last, others have set: it is the usual one from now on.
        """
        rate = self.model.optimizer.learning_rate
        if not isinstance(rate, keras.Variable):
            return
        usual, scaled = keras.ops.convert_to_numpy(self._controller.rates)
        usual = usual if number(rate) == scaled else number(rate)
        if number(rate) != usual or factor != 1:
            rate.assign(usual * factor)
            self._controller.rates.assign([usual, number(rate)])
