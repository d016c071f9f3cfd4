"""Seed to search graph: trace the channels, rebuild the graph with search layers, wire the masks."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import keras

from .. import blueprint, costs
from ..costs.check import check, check_whole, cost_of
from ..graph import _keras
from ..graph.branches import Branches, find
from ..graph.channels import Channels
from ..graph.kinds import made_as
from ..graph.rebuild import copy_state, rebuild, renewed
from ..graph.remake import remake
from ..graph.tracer import trace
from ..graph.unsaved import lost
from ..graph.weights import as_if_trained
from ..layers.inputs import PITInput
from ..layers.layer import PITLayer
from ..layers.ownership import channel_masks
from ..layers.stock import search_layer
from ..layers.sums import PITAdd
from ..layers.wiring import Wiring
from .arguments import Arguments
from .totals import stages, total, warn_of_unknown

MOST_REASONS = 5
"""How many layers an error explains."""


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a search model comes from."""

    seed: dict[str, Any] | str
    """The seed, serialized; if that cannot be, why."""
    arguments: Arguments
    costs: dict[str, float]
    """What the seed costs once it is trained, by the metrics in the loss."""
    channels: Channels
    """The channel classes of the search model's graph."""


@dataclass(frozen=True, eq=False)
class Wired:
    """The graph of a search model."""

    name: str
    inputs: Any
    outputs: Any
    origin: Origin


def wire(seed: keras.Model, arguments: Arguments) -> Wired:
    """Rebuild a seed with search layers and wire their masks.

    Args:
        seed: Functional model. Left untouched; its weights are carried over.
        arguments: of `convert`.

    Raises:
        ValueError: if a cost does not do for a search, nothing can be searched to meet the target, the model cannot
            be followed, or floats are not float32.
    """
    if keras.config.floatx() != "float32":
        raise ValueError(
            f"A search computes in float32, but keras.config.floatx() is '{keras.config.floatx()}': call "
            "keras.config.set_floatx('float32'). Layers may be of another precision, by keras.config.set_dtype_policy."
        )
    plan = _Plan(seed, arguments)
    channels = trace(seed, plan.closed, plan.opens, plan.branches(seed))
    for name in arguments.regularizer:
        metric = costs.get(name)
        if not metric.whole:
            check(metric, (stage for layer in channels.layers for stage in stages(layer, channels)))
        elif not metric.built_in:
            check_whole(metric, blueprint.Blueprint.of(seed).program())
        warn_of_unknown(name, seed.name, channels, stacklevel=4)
    of_seed = _costs(seed, replace(channels, branches=Branches()), arguments.regularizer)
    for name, value in of_seed.items():
        if value <= 0:
            raise ValueError(
                f"The {name} of model '{seed.name}' is {value:g}, expected more than 0: there is nothing to press "
                "down. What a search presses down are costs of convolutions and Dense layers in the graph of the model."
            )
    rebuilt = rebuild(
        seed,
        lambda layer, call: plan.new_layer(layer, call, channels),
        plan.call,
        input_layer=lambda layer, **arguments: plan.new_input(layer, channels, arguments),
    )
    for old, new in rebuilt.layers.items():
        copy_state(old, new)
    channels = channels.transfer(rebuilt.layers, rebuilt.tensors)
    for layer, known in channels.layers.items():
        if isinstance(layer, PITLayer):
            layer.wiring = Wiring(channel_masks(channels, known.roles), known.sites)
    if not any(layer.mask_variables for layer in channels.layers if isinstance(layer, PITLayer)):
        message = _nothing_searched(seed, channels, arguments)
        if arguments.target is not None:
            raise ValueError(message)
        warnings.warn(message, stacklevel=3)
    origin = Origin(_serialized(seed), arguments, of_seed, channels)
    return Wired(seed.name, rebuilt.inputs, rebuilt.outputs, origin)


def _serialized(seed: keras.Model) -> dict[str, Any] | str:
    """What a file keeps of a seed; if it cannot keep all, why."""
    reason = lost(seed)
    if reason is not None:
        return reason
    if any(made_as(layer) is not type(layer) for layer in _keras.all_layers(seed)):
        seed = renewed(seed)
    try:
        return keras.saving.serialize_keras_object(seed)
    except Exception as error:  # noqa: BLE001 - the configs are those of any layer; whoever saves the model is told
        return str(error).strip()


def _nothing_searched(seed: keras.Model, channels: Channels, arguments: Arguments) -> str:
    reasons = [f"layer '{layer.name}' {known.frozen}" for layer, known in channels.layers.items() if known.frozen]
    reasons += [f"addition '{one.name}' {reason}" for one, reason in channels.branches.kept.items()]
    more = [f"{len(reasons) - MOST_REASONS} more"] if len(reasons) > MOST_REASONS else []
    return (
        f"Nothing can be searched in model '{seed.name}' with search={arguments.search}: no layer has channels that "
        f"can go, a kernel whose taps are searched or a branch ({'; '.join([*reasons[:MOST_REASONS], *more])}). Name "
        "more in `search`, exclude less, set trainable=True, or start from a model with hidden layers."
    )


def _costs(seed: keras.Model, channels: Channels, names: Iterable[str]) -> dict[str, float]:
    """What the seed costs, once it is trained."""
    metrics = {name: costs.get(name) for name in names}
    program = None
    if any(metric.whole for metric in metrics.values()):
        program = blueprint.Blueprint.of(as_if_trained(renewed(seed))).program()
    return {
        name: cost_of(metric, program) if program and metric.whole else total(channels, name)
        for name, metric in metrics.items()
    }


class _Plan:
    """Which layers are searched, and for what."""

    def __init__(self, seed: keras.Model, arguments: Arguments) -> None:
        self.arguments = arguments
        self.hand_placed = any(isinstance(layer, PITLayer) for layer in _keras.all_layers(seed))

    def searches(self, layer: Any) -> tuple[str, ...]:
        """What is searched in a layer."""
        if layer.name in self.arguments.exclude or not layer.trainable:
            return ()
        if self.hand_placed:
            return tuple(layer.search) if isinstance(layer, PITLayer) else ()
        return self.arguments.search

    def closed(self, layer: Any) -> str | None:
        """Why the channels a layer makes are not searched."""
        if layer.name in self.arguments.exclude:
            return "is excluded"
        if self.hand_placed and not isinstance(layer, PITLayer):
            return "is no search layer, in a model where search layers were placed by hand"
        return None if "channels" in self.searches(layer) else "is searched for other things than channels"

    def opens(self, layer: Any) -> bool:
        """Whether the channels of an input are searched."""
        return "inputs" in self.arguments.search and layer.name not in self.arguments.exclude

    def branches(self, seed: keras.Model) -> Branches:
        """The branches that are searched."""
        return find(seed, self.stays) if "branches" in self.arguments.search else Branches()

    def stays(self, operation: Any) -> str | None:
        """Why an operation does not vanish with a branch."""
        if operation.name in self.arguments.exclude:
            return "is excluded"
        return None if getattr(operation, "trainable", True) else "belongs to a layer with trainable=False"

    def new_input(self, layer: Any, channels: Channels, arguments: dict[str, Any]) -> Any:
        if layer not in channels.layers:
            return keras.layers.InputLayer(**arguments)
        new = PITInput(**arguments)
        new.own([len(labels) for labels in channels.owned(layer)], self.arguments.round_to)
        return new

    def new_layer(self, layer: Any, call: _keras.OperationCall, channels: Channels) -> Any:
        if layer in channels.branches.places:
            return self.new_sum(layer, channels.branches.places[layer], call.node.outputs[0].dtype)
        kind = search_layer(layer)
        if kind is None or not channels.layers[layer].roles:
            return remake(layer)
        new = remake(layer, kind, search=self.searches(layer))
        new.own([len(labels) for labels in channels.owned(layer)], self.arguments.round_to)
        return new

    def new_sum(self, operation: Any, places: tuple[int, ...], dtype: str) -> PITAdd:
        """For an addition with branches, by whichever layer or operation."""
        is_layer = isinstance(operation, keras.layers.Layer)
        new = remake(operation, PITAdd) if is_layer else PITAdd(name=operation.name, dtype=dtype)
        new.own_branches(places)
        return new

    def call(self, new: Any, call: _keras.OperationCall, args: tuple, kwargs: dict) -> Any:
        """A call of a new layer; additions take a list of tensors."""
        if isinstance(new, PITAdd):
            return new(keras.tree.flatten((args, kwargs)))
        return new(*args, **kwargs)
