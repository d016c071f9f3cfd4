"""How a model is trained for a stage of a sweep: by `fit` as the seed is, or by the user's function.

    seed         as it was compiled
    search       the same optimizer, at its learning rate
    fine-tune    the same optimizer, from its learning rate, raised as the network is smaller than the seed (see
                 `search.rates`), down to 0 along half a cosine

A learning rate that the seed lowers by a schedule was made for the length of the seed's own training; in other stages
the highest of its values takes its place.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from ..graph import _keras
from ..search.cost import cost
from ..search.model import SearchModel
from ..search.rates import rise
from .job import Data, Job

LOOKS = 200
"""How many values of a schedule are looked at for the highest."""


@dataclass(frozen=True)
class Stage:
    """What a model is trained for; a function `train(model, stage)` gets one."""

    kind: str
    """"seed", "search" (of a `SearchModel` with a target) or "fine-tune" (of what it exported)."""
    epochs: int
    """How long it is meant to be."""
    seed: int
    """The random seed, which has been set."""
    point: int = 0
    """The number of the bound, from 1; 0 for the seed."""
    bound: dict[str, float] = field(default_factory=dict)
    """What the costs may be at most, by their names."""
    callbacks: tuple[keras.callbacks.Callback, ...] = ()
    """For `fit`: they tell how far it is."""


class Progress(keras.callbacks.Callback):
    """Tells a function the number of finished epochs, and takes their time.

    Attributes:
        seconds: of each epoch; the first one has the tracing in it.
    """

    def __init__(self, tell: Callable[[int], None] = lambda epoch: None) -> None:
        super().__init__()
        self._tell, self._begin = tell, 0.0
        self.seconds: list[float] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self._tell(0)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._begin = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seconds.append(time.perf_counter() - self._begin)
        self._tell(epoch + 1)


class CosineDecay(keras.callbacks.Callback):
    """Lowers the learning rate from what it is to 0, along half a cosine over one `fit`."""

    def on_train_begin(self, logs: Any = None) -> None:
        self._highest = float(self.model.optimizer.learning_rate)
        self._epoch, self._begin = 0, int(self.model.optimizer.iterations)
        self._steps = self.params["steps"]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        done = self._epoch + (batch / self._steps if self._steps else 0.0)
        self._set(0.5 * (1 + np.cos(np.pi * done / self.params["epochs"])))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        # The length of a dataset may be known only when an epoch of it is over.
        self._steps = self._steps or (int(self.model.optimizer.iterations) - self._begin)

    def on_train_end(self, logs: Any = None) -> None:
        self._set(1.0)

    def _set(self, share: float) -> None:
        self.model.optimizer.learning_rate = self._highest * share


def compile_as(model: keras.Model, seed: keras.Model) -> None:
    """Compile a model as the seed is, for its stage, with an optimizer that has not seen anything yet."""
    if not seed.compiled:
        return
    config = seed.get_compile_config()
    config["optimizer"] = keras.optimizers.serialize(_constant(keras.optimizers.deserialize(config["optimizer"])))
    # Where Keras decides, it compiles each stage with XLA, which takes longer than a stage of a small network saves.
    config["jit_compile"] = config.get("jit_compile") is True
    model.compile_from_config(config)
    if not isinstance(model, SearchModel):  # a search raises it by itself, when the time has come
        raised = rise(cost(seed, "size"), cost(model, "size"), model.optimizer)
        model.optimizer.learning_rate = raised * float(model.optimizer.learning_rate)


def _constant(optimizer: Any) -> Any:
    """The optimizer, at the highest learning rate of its schedule if it has one."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return keras.optimizers.LossScaleOptimizer(_constant(optimizer.inner_optimizer))
    config = optimizer.get_config()
    schedule = config.get("learning_rate")
    if not isinstance(schedule, dict):
        return optimizer
    rate = keras.optimizers.schedules.deserialize(schedule)
    last = max((value for value in rate.get_config().values() if isinstance(value, int)), default=1000)
    highest = max(float(rate(step)) for step in np.linspace(0, last, LOOKS).astype(int))
    return type(optimizer).from_config({**config, "learning_rate": highest})


def train(model: keras.Model, stage: Stage, job: Job) -> dict[str, list[float]]:
    """Train a model for a stage.

    Returns:
        What was logged, epoch by epoch.
    """
    if job.train is not None:
        found = job.train(model, stage)
    else:
        data = job.data or Data()
        own = (CosineDecay(),) if stage.kind == "fine-tune" else ()
        if stage.kind != "search":
            model.make_train_function()
            _keras.trace_once(model)
        found = model.fit(
            data.x, data.y, epochs=stage.epochs, verbose=0, callbacks=[*own, *stage.callbacks], **data.options
        )
    history = getattr(found, "history", found)
    if not isinstance(history, dict):
        return {}
    return {str(name): [float(value) for value in values] for name, values in history.items()}
