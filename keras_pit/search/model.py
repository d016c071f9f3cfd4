"""The search model: what `convert` returns, and how it is saved.

Its config is the seed's config and the arguments of `convert`; `from_config` converts again. So shared masks stay
shared, and `model.save("search.keras")` is all it takes to go on another day.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from .. import blueprint, checks, costs
from ..costs.check import cost_of
from ..graph import _keras, seeds
from ..graph.channels import Channels
from ..graph.weights import as_if_trained
from ..layers.layer import PITLayer
from ..layers.masks import MARGIN, THRESHOLD
from ..layers.reader import Reader
from .arguments import Arguments, check_strength
from .least import largest
from .prices import Prices
from .rates import rise
from .settling import Controller, Progress
from .slim import slim, whole
from .targets import Bounds
from .totals import total
from .trials import Trials
from .variables import as_written, state
from .wire import Origin, Wired, wire

if TYPE_CHECKING:
    from ..blueprint import Blueprint

RANDOM = "random_state_"
NUMBERED = "strength", "pressure", "tightness", "progress", "pace", "steps"
"""What files of version 0.1.0 hold by number; what they lack starts anew."""


@keras.saving.register_keras_serializable(package="keras_pit")
class SearchModel(keras.Model):
    """A model whose architecture is trained along with its weights; made by `convert`.

    Train it as any Keras model. The costs of what `export` would return now are in the logs of `fit` under their
    names ("macs", "size"). Their pressure is in the loss of training alone: `evaluate` and `val_loss` are the task's.
    """

    def __init__(self, inputs: Any, outputs: Any, *, name: str, origin: Origin) -> None:
        super().__init__(inputs, outputs, name=name)
        self.origin = origin
        self._blueprint: Blueprint | None = None
        strength = origin.arguments.strength
        self._strength = state("strength", strength)
        names, masks = list(origin.costs), mask_variables(self)
        row = self.reader().row
        self._prices = None if row is None else Prices(len(row), len(names), self._row_of, self._costs_of_row)
        deltas = {id(layer.delta) for layer in self.search_layers}
        trials = Trials([mask.shape[0] for mask in masks], [id(mask) in deltas for mask in masks], self._price_of)
        self.controller = Controller(masks, self._costs_of_values, trials, self._bounds(names, trials))
        self._control = self.controller.variables

    @classmethod
    def of(cls, wired: Wired) -> SearchModel:
        """The search model of a wired graph."""
        return cls(wired.inputs, wired.outputs, name=wired.name, origin=wired.origin)

    def _bounds(self, names: list[str], trials: Trials) -> Bounds | None:
        """What keeps the costs within the target, if there is one."""
        target, masks = self.origin.arguments.target, mask_variables(self)
        if target is None or self._prices is None:
            return None
        # The costs of a board are exact or from above while sizes are soft (see `costs.flash`, `costs.undecided`).
        seed = [max(self.origin.costs[name], now) for name, now in zip(names, self._now(names), strict=True)]
        open_masks = [keras.ops.convert_to_numpy(mask) for mask in masks]
        for mask in masks:
            mask.assign(np.full(mask.shape, THRESHOLD - MARGIN))
        least = dict(zip(names, self._now(names), strict=True))
        exact = {name: float(self.cost(name, trained=True)) for name, bound in target.items() if bound < least[name]}
        makes = {name: largest(self, name) for name, value in exact.items() if target[name] < value}
        for mask, value in zip(masks, open_masks, strict=True):
            mask.assign(value)
        for name, made in makes.items():
            raise ValueError(
                f"The target {name} {target[name]:,g} cannot be met: with all that is searched switched off, model "
                f"'{self.name}' still has {name} {exact[name]:,g} (the seed {self.origin.costs[name]:,g}). "
                f"{made}Raise the target, search more of these, or start from another seed."
            )
        return Bounds(masks, self._prices, trials, seed, list(least.values()), [target[name] for name in names])

    def _now(self, names: list[str]) -> list[float]:
        """Costs in the loss, as numbers."""
        return [float(value) for value in keras.ops.convert_to_numpy(self.costs(names, self.reader()))]

    def _prepare(self) -> None:
        """Build what costs of the whole model need: not in a branch of the graph, nor while layers are changed."""
        if self._blueprint is None and any(costs.get(name).whole for name in self.origin.costs):
            self._blueprint = self.blueprint

    def _costs_of_row(self, row: Any) -> Any:
        # The branch of the graph that this is in must not ask for the variables.
        return self.costs(self.origin.costs, Reader.off(self.search_layers).at(row))

    def _costs_of_values(self, values: Any) -> Any:
        """The costs in the loss; from now on they are remembered."""
        if self._prices is None:
            return self.costs(self.origin.costs, self.reader())
        return self._prices.remember(values)

    def _row_of(self, values: Any) -> Any:
        return self.reader(values).row

    def _price_of(self, values: Any) -> Any:
        return self._price(self.reader(values))

    @property
    def blueprint(self) -> Blueprint:
        """What a microcontroller would run, with soft sizes."""
        if self._blueprint is None:
            with _keras.outside_of_calls():
                self._blueprint = blueprint.Blueprint.searched(*whole(self, self.channels), self.channels)
        return self._blueprint

    def cost(self, name: str, *, trained: bool = False) -> Any:
        """A cost of what `export` would return now, as a number; or of what some training would make of that."""
        metric = costs.get(name)
        if not metric.whole:
            return total(self.channels, name)
        model = slim(self, self.channels)
        return cost_of(metric, blueprint.Blueprint.of(as_if_trained(model) if trained else model).program())

    def reader(self, values: Any = None) -> Reader:
        """Reads the masks, or in their place the values of all of them, one after the other."""
        return Reader(self.search_layers, values)

    def costs(self, names: Iterable[str], reader: Reader) -> Any:
        """Costs with the gradient of the masks, float32 of shape (costs,)."""
        metrics = [costs.get(name) for name in names]
        program = self.blueprint.program(reader) if any(metric.whole for metric in metrics) else None
        values = [
            metric.function(program) if metric.whole else total(self.channels, metric.name, reader)
            for metric in metrics
        ]
        return keras.ops.stack([keras.ops.cast(value, "float32") for value in values])

    @property
    def strength(self) -> float:
        """How much the relative cost weighs in the loss; can be set at any time, also between two calls of `fit`."""
        return float(keras.ops.convert_to_numpy(self._strength))

    @strength.setter
    def strength(self, value: float) -> None:
        self._strength.assign(check_strength(value))

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        reader = self.reader()
        with reader.shared():
            outputs = super().call(inputs, training=training, mask=mask)
        # The loss of an evaluation is the task's alone, so that those of all models and moments can be compared.
        if training:
            # Not the model's own method, which functional models refuse.
            keras.layers.Layer.add_loss(self, self._price(reader))
        return outputs

    @as_written
    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if training and self.controller.trials:
            self.controller.trials.hear(loss, self._price(self.reader()))
        return loss

    def relative_cost(self, reader: Reader) -> Any:
        """The weighted sum of the costs, each as a share of the seed's."""
        weights: Any = np.array(list(self.origin.arguments.regularizer.values()), "float32")
        if self.controller.bounds is not None:
            weights = self.controller.bounds.pressure * weights
        scale = weights / np.array(list(self.origin.costs.values()), "float32")
        self._prepare()
        now = self.costs(self.origin.costs, reader) if self._prices is None else self._prices.of(reader.row)
        return keras.ops.sum(now * scale)

    def _price(self, reader: Reader) -> Any:
        """What is in the loss of training for the costs."""
        return self._strength * self.relative_cost(reader)

    def _rise(self) -> float:
        """How much higher the learning rate may be for the network as it is."""
        on = np.ones(sum(mask.shape[0] for mask in mask_variables(self)), "float32")
        whole = float(total(self.channels, "size", self.reader(on)))
        return rise(whole, total(self.channels, "size"), self.optimizer)

    @property
    def channels(self) -> Channels:
        """The channel classes of the graph."""
        return self.origin.channels

    @property
    def search_layers(self) -> list[PITLayer]:
        """The search layers, however deep, in the order of the graph."""
        return [layer for layer in self.channels.layers if isinstance(layer, PITLayer)]

    @as_written
    def settle(self, on: bool = True) -> None:
        """Fix the architecture: at what the masks have been on average, within the target if there is one.

        A `fit` does so in its last part by itself. What is trained from here on, by `fit` or in a loop by hand that
        calls `controller.step()`, are the weights and the statistics of batch norm.

        Args:
            on: False to search on: in the next step, or in the next `fit`.
        """
        self.controller.settle(on)

    def unmet(self) -> list[str]:
        """What is wrong with the costs as they are now: a line for each bound that is exceeded."""
        target = self.origin.arguments.target or {}
        now = {name: self.cost(name) for name in target}
        return [
            f"The target {name} {bound:,g} is not met, model '{self.name}' has {name} {now[name]:,g}: a search comes "
            "down to its target in the course of `fit`, which was not run to its end. Train on."
            for name, bound in target.items()
            if now[name] > bound
        ]

    def make_train_function(self, force: bool = False) -> Any:
        new = self.train_function is None or force
        super().make_train_function(force)
        if new:
            _keras.trace_once(self)
        return self.train_function

    def train_step(self, data: Any) -> dict[str, Any]:
        self._prepare()
        norms = [layer for layer in _keras.all_layers(self) if isinstance(layer, keras.layers.BatchNormalization)]
        with self.controller.measuring(norms):
            logs = super().train_step(data)
        # After the update, so that the last step of an epoch logs the costs of the architecture as it then is.
        now = self.controller.step()
        return {**logs, **{name: now[index] for index, name in enumerate(self.origin.costs)}}

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        own = [Exact(), Progress(self.controller, self._rise)]
        given = inspect.signature(super().fit).bind(*args, **kwargs)
        callbacks = given.arguments.get("callbacks") or []
        callbacks = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
        given.arguments["callbacks"] = [*own, *callbacks]
        return super().fit(*given.args, **given.kwargs)

    # Keras forgets the states of random generators (dropout); an interrupted search shall go on with the same draws.

    def save_own_variables(self, store: Any) -> None:
        for variable in (self._strength, *self._control):
            store[variable.name] = variable
        for index, random in enumerate(_keras.random_states(self)):
            store[f"{RANDOM}{index}"] = random

    def load_own_variables(self, store: Any) -> None:
        names = list(store.keys())  # a store has keys, but is no dictionary
        known = {name: store[name] for name in names if not name.startswith(RANDOM)}
        if "0" in known:
            known = {name: known[str(index)] for index, name in enumerate(NUMBERED) if str(index) in known}
        for variable in (self._strength, *self._control):
            if variable.name in known:
                variable.assign(known[variable.name])
        for index, random in enumerate(_keras.random_states(self)):
            if f"{RANDOM}{index}" in names:
                random.assign(store[f"{RANDOM}{index}"])

    def get_config(self) -> dict[str, Any]:
        if isinstance(self.origin.seed, str):
            raise ValueError(
                f"Search model '{self.name}' cannot be saved: {self.origin.seed}. Expected layers that can be made "
                "anew from a file: functions by name (def, not lambda) that are registered with "
                "@keras.saving.register_keras_serializable(), layers with a get_config. Or save its weights alone: "
                "search.save_weights(path), ModelCheckpoint(path, save_weights_only=True); to go on, convert the seed "
                "again and load them."
            )
        return {"seed": self.origin.seed, **asdict(self.origin.arguments)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> SearchModel:
        config = dict(config)
        seed = keras.saving.deserialize_keras_object(config.pop("seed"), custom_objects=custom_objects)
        exclude = tuple(config.pop("exclude"))
        with seeds.functional(seed) as graph:
            return cls.of(wire(graph, replace(Arguments.checked(**config), exclude=exclude)))


class Exact(keras.callbacks.Callback):
    """Puts the costs of a board into the logs of an epoch as they are for the exported model, to the byte.

    Ends the search with an error when a mask is not finite any more.
    """

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        for layer in self.model.search_layers:
            layer.check_masks()
        if logs is not None:
            whole = [name for name in self.model.origin.costs if costs.get(name).whole]
            logs.update({name: float(self.model.cost(name)) for name in whole})


def mask_variables(search: SearchModel) -> list[keras.Variable]:
    """The architecture variables of a search model, each in [0, 1]; above 0.5 means kept.

    Raises:
        TypeError: if it is no search model.
    """
    return [variable for layer in require_search(search).search_layers for variable in layer.mask_variables]


def net_variables(search: SearchModel) -> list[keras.Variable]:
    """The trainable variables of a search model that are not masks.

    Raises:
        TypeError: if it is no search model.
    """
    masks = {id(variable) for variable in mask_variables(search)}
    return [variable for variable in search.trainable_variables if id(variable) not in masks]


def require_search(model: Any) -> SearchModel:
    """Return the model if it is a search model.

    Raises:
        TypeError: if it is not.
    """
    if isinstance(model, SearchModel):
        return model
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"Expected a search model, received {checks.described(model)}: pass what keras_pit.convert(model) returned."
        )
    placed = any(isinstance(x, PITLayer) for x in _keras.all_layers(model))
    cure = (
        "its search layers do not know yet who reads their channels; pass it through keras_pit.convert(model) first"
        if placed
        else "pass what keras_pit.convert(model) returned"
    )
    raise TypeError(f"Expected a search model, received {type(model).__name__}: {cure}.")
