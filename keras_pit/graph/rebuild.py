"""The one graph pass that `convert` and `export` share: build a model anew, layer by layer.

    rebuilt = rebuild(model, new_layer)                 the same graph with other layers
    rebuilt = rebuild(model, new_layer, call, shape)    ... whose calls and input shapes may differ, too

Layers that are used several times stay shared, models in the model stay models, names stay. The model it starts from
is only read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras

from . import _keras
from .remake import remake


@dataclass(frozen=True, eq=False)
class Rebuilt:
    """The new graph, and what became of the old one."""

    inputs: Any
    outputs: Any
    layers: dict[Any, Any] = field(default_factory=dict)
    """New operation for each old one."""
    tensors: dict[int, Any] = field(default_factory=dict)
    """New tensor for each old one, by the old one's identity."""


def rebuild(
    model: keras.Model,
    new_layer: Callable[[Any, _keras.OperationCall], Any],
    call: Callable[[Any, _keras.OperationCall, tuple, dict], Any] = lambda layer, call, args, kwargs: layer(
        *args, **kwargs
    ),
    shape: Callable[[Any], tuple[int | None, ...]] = lambda tensor: tensor.shape,
    input_layer: Callable[..., Any] = lambda old, **arguments: keras.layers.InputLayer(**arguments),
) -> Rebuilt:
    """Build the graph of a model anew.

    Args:
        model: Functional or built Sequential model.
        new_layer: makes the new layer or operation in place of an old one; told its first call.
        call: calls a new layer on new tensors; told the old call.
        shape: the shape of the new input in place of an old one.
        input_layer: makes the new input layer in place of an old one, which it is told, with these arguments.
    """
    rebuilt = Rebuilt(None, None)

    def operation(node: _keras.OperationCall) -> Any:
        old = node.operation
        if old not in rebuilt.layers:
            new = build(old) if _keras.is_graph(old) else new_layer(old, node)
            if _keras.is_graph(old):
                new.trainable = old.trainable
            rebuilt.layers[old] = new
        return rebuilt.layers[old]

    def visit(node: _keras.OperationCall, args: tuple, kwargs: dict) -> Any:
        new = operation(node)
        if _keras.is_graph(node.operation):
            outputs = new(*args, **kwargs)
        else:
            outputs = call(new, node, args, kwargs)
        flat = keras.tree.flatten(outputs)
        rebuilt.tensors.update(zip(map(id, node.node.outputs), flat, strict=True))
        return flat

    def interpret(graph: keras.Model) -> tuple[Any, Any]:
        structure = _keras.input_structure(graph)

        def new_input(tensor: Any) -> Any:
            # Keras matches the keys of a dictionary with the names of the tensors, which differ from those of the
            # input layers where neither was given.
            old = _keras.input_layer(tensor)
            name = tensor.name if isinstance(structure, dict) else old.name
            new = input_layer(old, batch_shape=shape(tensor), dtype=tensor.dtype, name=name)
            rebuilt.layers[old] = new
            return new.output

        inputs = keras.tree.map_structure(new_input, structure)
        old = _keras.graph(graph).inputs
        rebuilt.tensors.update(zip(map(id, old), keras.tree.flatten(inputs), strict=True))
        return inputs, _keras.run(graph, inputs, visit)

    def build(graph: keras.Model) -> keras.Model:
        inputs, outputs = interpret(graph)
        return keras.Model(inputs, outputs, name=graph.name)

    inputs, outputs = interpret(model)
    return Rebuilt(inputs, outputs, rebuilt.layers, rebuilt.tensors)


def renewed(
    model: keras.Model, shape: Callable[[Any], tuple[int | None, ...]] = lambda tensor: tensor.shape
) -> keras.Model:
    """The same model of new layers, with the same weights.

    Layers of a class that only has its own constructor become the Keras layers that they are (see `kinds`).

    Args:
        model: Functional or built Sequential model.
        shape: the shape of the new input in place of an old one.
    """
    rebuilt = rebuild(model, lambda layer, call: remake(layer), shape=shape)
    for old, new in rebuilt.layers.items():
        copy_state(old, new)
    return keras.Model(rebuilt.inputs, rebuilt.outputs, name=model.name)


def copy_state(old: Any, new: Any, cut: Callable[[str, Any], Any] = lambda name, value: value) -> None:
    """Carry the weights of a layer over to a new one, and the states of its random generators.

    Args:
        old: layer to read.
        new: layer with the same weights, besides masks.
        cut: told the name and the value of each weight, returns what is left of it.
    """
    if not isinstance(old, keras.layers.Layer) or _keras.is_graph(old):
        return
    for source, target in zip(_net_weights(old), _net_weights(new), strict=True):
        target.assign(cut(source.name, source))
    if isinstance(new, keras.layers.Normalization):
        new.finalize_state()  # what it computes with is derived from its weights
    for name in ("beta", "gamma"):
        source, target = (_mask(layer, name) for layer in (old, new))
        if source is not None and target is not None:
            target.assign(source)
    for source, target in zip(_keras.states(old), _keras.states(new), strict=True):
        target.assign(source)


def _mask(layer: Any, name: str) -> Any:
    return next((v for v in getattr(layer, "mask_variables", ()) if v is getattr(layer, name)), None)


def _net_weights(layer: Any) -> list[Any]:
    masks = {id(variable) for variable in getattr(layer, "mask_variables", ())}
    return [weight for weight in layer.weights if id(weight) not in masks]
