"""The search model: what `convert` returns, and how it is saved.

Its config is the seed's config and the arguments of `convert`; `from_config` converts again. So shared masks stay
shared, and `model.save("search.keras")` is all it takes to go on another day.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import keras

from . import _keras
from .channels import Channels
from .layers.search import PITLayer

RANDOM = "random_state_"


@dataclass(frozen=True)
class Arguments:
    """The arguments of `convert` that shape a search model."""

    regularizer: str
    strength: float
    exclude: tuple[str, ...]
    search: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a search model comes from."""

    seed: dict[str, Any]
    """The seed, serialized."""
    arguments: Arguments
    cost: float
    """The seed's cost."""
    channels: Channels
    """The channel classes of the search model's graph."""


@keras.saving.register_keras_serializable(package="keras_pit")
class SearchModel(keras.Model):
    """A model whose architecture is trained along with its weights; made by `convert`.

    Train it as any Keras model. The cost of what `export` would return now is in the logs of `fit` under the
    regularizer's name ("macs", "size").
    """

    def __init__(self, inputs: Any, outputs: Any, *, name: str, origin: Origin, strength: keras.Variable) -> None:
        super().__init__(inputs, outputs, name=name)
        self.origin = origin
        self._strength = strength

    @property
    def strength(self) -> float:
        """How much the relative cost weighs in the loss; can be set at any time, also between two calls of `fit`."""
        return float(keras.ops.convert_to_numpy(self._strength))

    @strength.setter
    def strength(self, value: float) -> None:
        self._strength.assign(check_strength(value))

    @property
    def regularizer(self) -> str:
        """The name of the cost in the loss."""
        return self.origin.arguments.regularizer

    @property
    def channels(self) -> Channels:
        """The channel classes of the graph."""
        return self.origin.channels

    @property
    def search_layers(self) -> list[PITLayer]:
        """The search layers, however deep, in the order of the graph."""
        return [layer for layer in self.channels.layers if isinstance(layer, PITLayer)]

    def train_step(self, data: Any) -> dict[str, Any]:
        from .cost import cost

        logs = super().train_step(data)
        # After the update, so that the last step of an epoch logs the cost of the architecture as it then is.
        now = keras.ops.stop_gradient(cost(self, self.regularizer))
        return {**logs, self.regularizer: keras.ops.cast(now, "float32")}

    # Keras forgets the states of random generators (dropout); an interrupted search shall go on with the same draws.

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        for index, state in enumerate(_keras.random_states(self)):
            store[f"{RANDOM}{index}"] = state

    def load_own_variables(self, store: Any) -> None:
        names = list(store.keys())  # a store has keys, but is no dictionary
        super().load_own_variables({name: store[name] for name in names if not name.startswith(RANDOM)})
        for index, state in enumerate(_keras.random_states(self)):
            if f"{RANDOM}{index}" in names:
                state.assign(store[f"{RANDOM}{index}"])

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.origin.seed, **asdict(self.origin.arguments)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> SearchModel:
        from .convert import convert

        config = dict(config)
        seed = keras.saving.deserialize_keras_object(config.pop("seed"), custom_objects=custom_objects)
        return convert(seed, **config)


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


def check_strength(value: float) -> float:
    """Return the strength as a float.

    Raises:
        ValueError: if it is not a finite number of at least 0.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= float(value) < float("inf"):
        raise ValueError(f"`strength` must be a finite number of at least 0, received {value!r}.")
    return float(value)


def require_search(model: Any) -> SearchModel:
    """Return the model if it is a search model.

    Raises:
        TypeError: if it is not.
    """
    if isinstance(model, SearchModel):
        return model
    placed = isinstance(model, keras.Model) and any(isinstance(x, PITLayer) for x in _keras.all_layers(model))
    cure = (
        "its search layers do not know yet who reads their channels; pass it through keras_pit.convert(model) first"
        if placed
        else "pass what keras_pit.convert(model) returned"
    )
    raise TypeError(f"Expected a search model, received {type(model).__name__}: {cure}.")
