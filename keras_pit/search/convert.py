"""Seed to search model."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import keras

from .. import checks
from ..graph import _keras, seeds
from .arguments import DEFAULT_STRENGTH, Arguments, Regularizer, Target, check_input_shape
from .model import SearchModel
from .wire import wire


def convert(
    model: keras.Model,
    regularizer: Regularizer | None = None,
    *,
    strength: float = DEFAULT_STRENGTH,
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
            architecture is fixed, at what it was on average (see `keras_pit.search.settling`).
        target: what the exported model may cost at most: a number in the unit of the cost, a dictionary of names and
            such numbers, or a board or its name, for the flash and RAM that it has (see `keras_pit.boards`). One `fit`
            then ends at the bound or just below it, whatever the strength (see `keras_pit.search.targets`). In a seed
            that is not trained, flash, RAM and latency are those that it will have: a file leaves out what does nothing
            yet, as biases of zeros.
        input_shape: shape of one sample, without batch (a list of shapes for several inputs); needed for Sequential or
            subclassed models that are not built. For others it gives lengths to what is open: (60, 3) for (None, 3).
        exclude: names or types of layers (or of models inside the model) that keep all the channels they make and
            their whole kernel.
        search: what is searched: "channels", "kernel" (receptive field) and "dilation" of 1-D convolutions; with
            "kernel_2d" the latter two also in Conv2D and DepthwiseConv2D with kernels (K, 1) or (1, K), and both
            where neither is named; with "inputs" the channels of the model's inputs, along their last axis, as the
            axes of a sensor: the exported model takes those alone that `summary(search).inputs` says are read; with
            "branches" what additions add to a shortcut, as the blocks of a ResNet: the exported model has those alone
            that `summary(search).branches` says are on.
        round_to: channels live and die in blocks of so many, which microcontrollers compute faster: exported layers
            have a multiple of it, or all the channels they had.

    Returns:
        The search model, not compiled. Warns if a target is met already, or comes together with a strength.

    Raises:
        TypeError: if `model` is no Keras model, a search model, or has a training step that would be lost, or another
            argument is of a wrong type.
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
    seeds.require_model(model)
    arguments = Arguments.checked(regularizer, strength, target, search, round_to)
    check_input_shape(input_shape)
    with seeds.functional(model, input_shape) as seed:
        found = SearchModel.of(wire(seed, replace(arguments, exclude=_names(model, exclude))))
    _tell(found)
    return found


def _tell(search: SearchModel) -> None:
    """Warn of arguments that do not do what they seem to do."""
    arguments, seed = search.origin.arguments, search.origin.costs
    target = arguments.target
    if target is None:
        return
    if arguments.strength != DEFAULT_STRENGTH:
        warnings.warn(
            f"`strength` ({arguments.strength:g}) comes together with a `target`, which decides how much goes: it only "
            "scales the pressure, which the search adapts until the target is met. Leave `strength` away.",
            stacklevel=3,
        )
    if search.controller.bounds is not None and not search.controller.bounds.press:
        found = ", ".join(f"{name} {bound:,g} (the seed has {seed[name]:,g})" for name, bound in target.items())
        warnings.warn(
            f"The target is met by model '{search.name}' as it is: {found}. Nothing is pressed down, and the search "
            "changes the weights alone. Set a target below what the seed costs, or search by `strength`.",
            stacklevel=3,
        )


def _names(model: keras.Model, exclude: Iterable[str | type] | str | type) -> tuple[str, ...]:
    """The names of the layers to leave as they are."""
    expected = "the name of a layer, a type of layers, or a list of these"
    wanted = [exclude] if isinstance(exclude, (str, type)) else checks.listed(exclude, "`exclude`", expected)
    for one in wanted:
        if not isinstance(one, (str, type)):
            cure = f"Name the layer: exclude=['{one.name}']." if isinstance(one, keras.Layer) else ""
            raise checks.wrong_type("Each of `exclude`", "the name of a layer or a type of layers", one, cure)
    layers: list[Any] = [layer for layer in _keras.all_layers(model) if layer is not model]
    names: set[str] = set()
    for one in wanted:
        found = {inner.name for layer in layers if _is(layer, one) for inner in _keras.all_layers(layer)}
        if not found:
            raise ValueError(
                f"`exclude` has {one!r}, but model '{model.name}' has no such layer. It has: "
                f"{', '.join(sorted({layer.name for layer in layers}))}."
            )
        names |= found
    return tuple(sorted(names))


def _is(layer: Any, wanted: str | type) -> bool:
    return isinstance(layer, wanted) if isinstance(wanted, type) else layer.name == wanted
