"""Seed to search model: trace the channels, rebuild the graph with search layers, wire the masks."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import keras

from . import _keras, costs, seeds, table
from .arguments import Arguments, Regularizer, Target, check_round_to, check_search, check_strength, pressed
from .blueprint import Blueprint
from .channels import Channels, trace
from .costs.check import check, check_whole
from .layers.search import PITLayer, Wiring
from .model import Origin, SearchModel
from .ownership import channel_masks
from .rebuild import copy_state, rebuild
from .totals import stages, total

MOST_REASONS = 5
"""How many layers an error explains."""


def convert(
    model: keras.Model,
    regularizer: Regularizer | None = None,
    *,
    strength: float = 2.0,
    target: Target | None = None,
    input_shape: Any = None,
    exclude: Iterable[str | type] | str | type = (),
    search: Iterable[str] = ("channels", "kernel", "dilation"),
    round_to: int = 1,
) -> SearchModel:
    """Turn a Keras model into a search model of the same function.

    Convolutions and Dense layers get masks over what can be cut away, and add their cost to the loss. All masks start
    open, so the search model computes what the seed does.

    Args:
        model: Functional, Sequential or subclassed model. Left untouched; its weights are carried over.
        regularizer: the cost that is pressed down: "size" (parameters; the default), "macs" (multiplications of one
            inference), "flash" (bytes of the .tflite file), "ram" (bytes of the tensor arena), "latency" (milliseconds
            of one inference) or one of your own (see `keras_pit.costs`). The last two are for the Nano 33 BLE unless
            a board is named: "latency:pico2". Several at once: a list, or a dictionary of names and weights.
        strength: weight of the cost in the loss. `strength * cost / cost of the seed` is added, so that one value
            serves models of every size. The default was chosen on networks of 23 k to 91 k parameters: in some dozen
            epochs it takes them to between 1 % and a fifth of their MACs, within a point of their accuracy
            (`examples/watch.py`, `benchmarks/tradeoff.py`); less is gentler. In the last fifth of a `fit` the
            architecture is fixed, at what it was on average (see `keras_pit.settling`).
        target: what the exported model may cost at most: a number in the unit of the cost, a dictionary of names and
            such numbers, or a board or its name, for the flash and RAM that it has (see `keras_pit.boards`). One `fit`
            then ends at the bound or just below it, whatever the strength (see `keras_pit.targets`).
        input_shape: shape of one sample, without batch; needed for Sequential or subclassed models that are not built
            (a list of shapes for several inputs).
        exclude: names or types of layers (or of models inside the model) that keep all the channels they make and
            their whole kernel.
        search: what is searched: "channels", "kernel" (receptive field) and "dilation" of 1-D convolutions; with
            "kernel_2d" the latter two also in Conv2D and DepthwiseConv2D with kernels (K, 1) or (1, K), and both
            where neither is named.
        round_to: channels live and die in blocks of so many, which microcontrollers compute faster: exported layers
            have a multiple of it, or all the channels they had.

    Returns:
        The search model, not compiled.

    Raises:
        TypeError: if `model` is no Keras model, a search model, or has a training step that would be lost.
        ValueError: if an argument is wrong, the target is below what can be reached, nothing can be searched to meet
            it, or the model cannot be followed.

    Reference: Risso et al., "Pruning In Time (PIT)", DAC 2021, arXiv 2203.14768.

    Example:

        search = keras_pit.convert(model, regularizer="macs")
        search.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        search.fit(x, y, epochs=50)
        slim = keras_pit.export(search)
    """
    if isinstance(model, SearchModel):
        raise TypeError("The model is a search model already: train it, or export it and convert the result.")
    weights, bounds = pressed(regularizer, target)
    strength, search, round_to = check_strength(strength), check_search(search), check_round_to(round_to)
    with seeds.functional(model, input_shape) as seed:
        return _convert(seed, Arguments(weights, strength, bounds, _names(seed, exclude), search, round_to))


def _convert(seed: keras.Model, arguments: Arguments) -> SearchModel:
    plan = _Plan(seed, arguments)
    channels = trace(seed, plan.closed)
    for name in arguments.regularizer:
        metric = costs.get(name)
        if not metric.whole:
            check(metric, (stage for layer in channels.layers for stage in stages(layer, channels)))
        elif not metric.built_in:
            check_whole(metric, Blueprint.of(seed).program())
    of_seed = _costs(seed, channels, arguments.regularizer)
    for name, value in of_seed.items():
        if value <= 0:
            raise ValueError(
                f"The {name} of model '{seed.name}' is {value:g}, expected more than 0: there is nothing to press "
                "down. Costs are those of convolutions and Dense layers in the graph of the model, not of what is "
                "inside of other layers and subclassed models."
            )
    rebuilt = rebuild(seed, lambda layer, call: plan.new_layer(layer, channels))
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
    origin = Origin(keras.saving.serialize_keras_object(seed), arguments, of_seed, channels)
    return SearchModel(rebuilt.inputs, rebuilt.outputs, name=seed.name, origin=origin)


def _nothing_searched(seed: keras.Model, channels: Channels, arguments: Arguments) -> str:
    reasons = [f"layer '{layer.name}' {known.frozen}" for layer, known in channels.layers.items() if known.frozen]
    more = [f"{len(reasons) - MOST_REASONS} more"] if len(reasons) > MOST_REASONS else []
    return (
        f"Nothing can be searched in model '{seed.name}' with search={arguments.search}: no layer has channels that "
        f"can go or a kernel whose taps are searched ({'; '.join([*reasons[:MOST_REASONS], *more])}). Name more in "
        "`search`, exclude less, set trainable=True, or start from a model with hidden layers."
    )


def _costs(seed: keras.Model, channels: Channels, names: Iterable[str]) -> dict[str, float]:
    """What the seed costs."""
    metrics = {name: costs.get(name) for name in names}
    program = Blueprint.of(seed).program() if any(metric.whole for metric in metrics.values()) else None
    return {
        name: metric.function(program) if metric.whole else total(channels, name) for name, metric in metrics.items()
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

    def new_layer(self, layer: Any, channels: Channels) -> Any:
        known = table.row(layer)
        if known is None or known.search is None or not channels.layers[layer].roles:
            return _keras.clone(layer)
        new = known.search.from_config({**layer.get_config(), "search": self.searches(layer)})
        new.own([len(labels) for labels in channels.owned(layer)], self.arguments.round_to)
        return new


def _names(seed: keras.Model, exclude: Iterable[str | type] | str | type) -> tuple[str, ...]:
    """The names of the layers to leave as they are."""
    wanted = [exclude] if isinstance(exclude, (str, type)) else list(exclude)
    layers: list[Any] = [layer for layer in _keras.all_layers(seed) if layer is not seed]
    names: set[str] = set()
    for one in wanted:
        found = {inner.name for layer in layers if _is(layer, one) for inner in _keras.all_layers(layer)}
        if not found:
            raise ValueError(
                f"`exclude` has {one!r}, but model '{seed.name}' has no such layer. It has: "
                f"{', '.join(sorted({layer.name for layer in layers}))}."
            )
        names |= found
    return tuple(sorted(names))


def _is(layer: Any, wanted: str | type) -> bool:
    return isinstance(layer, wanted) if isinstance(wanted, type) else layer.name == wanted
