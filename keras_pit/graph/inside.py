"""What is inside of layers that are not followed, as the costs see it.

    LSTM(8) on (20, 3)            two matrices, (3, 32) with a bias and (8, 32), each applied 20 times
    TimeDistributed(Sequential)   what is in it, as often as there are time steps
    a layer made of layers        its `call` is run on symbolic tensors, and each layer that it calls is looked at
    Embedding, LayerNormalization parameters, and no multiplications with weights

All weights count, those that nothing is known of as a stage of kind "other". Batch normalization and the like count as
little as outside, where they vanish into their neighbours. Where multiplications are not known, their number is a
bound from below, and `unknown` says by what.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
from keras import layers

from ..costs import geometry
from ..costs.geometry import Geometry, Site, space
from . import _keras, table
from .kinds import difference, is_keras, kind_of
from .specs import output_spec
from .training import acts_in_training_only

Shape = tuple[int | None, ...]

CELLS = (layers.LSTMCell, layers.GRUCell, layers.SimpleRNNCell)
MULTIPLIES = {
    "Dot", "Attention", "AdditiveAttention", "MelSpectrogram", "STFTSpectrogram",
    "Matmul", "Einsum", "Tensordot", "Inner", "Vdot", "Vecdot", "Outer", "Kron", "DotProductAttention", "Correlate",
    "Conv", "ConvTranspose", "DepthwiseConv", "SeparableConv", "FFT", "FFT2", "RFFT", "IRFFT", "STFT", "ISTFT",
}  # fmt: skip
"""Layers and operations without weights that multiply tensors by each other."""
WITHOUT_WORK = {
    "Embedding", "ReversibleEmbedding", "LayerNormalization", "GroupNormalization", "RMSNormalization",
    "UnitNormalization", "Normalization",
}  # fmt: skip
"""Layers that have weights, but only look them up, scale and shift."""


@dataclass(frozen=True, eq=False)
class Part:
    """A layer, cell or matrix inside of an operation of the graph, and where it is called."""

    owner: Any
    stages: Callable[[tuple[Site, ...]], tuple[Geometry, ...]]
    weights: list[Any]
    sites: list[Site]


class Inside:
    """What was found, call by call, in the operations of a graph."""

    def __init__(self) -> None:
        self.unknown: dict[str, None] = {}
        """The operations whose multiplications are not all known, in words."""
        self._parts: dict[Any, Part] = {}

    def look(self, operation: Any, args: tuple, kwargs: dict[str, Any]) -> None:
        """Note one call of an operation on symbolic tensors."""
        try:
            self._visit(operation, operation, args, kwargs, ())
        except Exception:  # noqa: BLE001 - calls of users may do anything; what is not understood is unknown
            self._unknown(operation)

    def stages(self, operation: Any) -> tuple[Geometry, ...]:
        """The stages inside of an operation that no row of the table costs, after all its calls."""
        if _keras.is_graph(operation):
            return ()  # its layers are operations themselves
        parts = [part for part in self._parts.values() if part.owner is operation]
        counted = {id(weight) for part in self._parts.values() for weight in part.weights}
        left = [weight for weight in _weights(operation) if id(weight) not in counted]
        stages = [stage for part in parts for stage in part.stages(tuple(part.sites))]
        return (*stages, *geometry.other(operation.name, sum(math.prod(weight.shape) for weight in left)))

    def altered(self, operation: Any) -> tuple[Geometry, ...]:
        """As `stages`, for what a subclass adds to the Keras layer that it is costed as."""
        if difference(operation) is None:
            return ()
        self._unknown(operation)
        known = sum(stage.parameters for stage in table.plain_stages(operation, ()))
        return geometry.other(operation.name, sum(math.prod(weight.shape) for weight in operation.weights) - known)

    def _unknown(self, operation: Any) -> None:
        self.unknown.setdefault(f"'{operation.name}' ({type(operation).__name__})")

    def _note(self, key: Any, owner: Any, stages: Any, weights: list[Any], site: Site) -> None:
        self._parts.setdefault(key, Part(owner, stages, weights, [])).sites.append(site)

    def _visit(self, owner: Any, operation: Any, args: tuple, kwargs: dict[str, Any], times: Shape) -> Any:
        """Note one call inside of another one, which is done so many times; returns what it makes."""
        inputs = [leaf for leaf in keras.tree.flatten((args, kwargs)) if isinstance(leaf, keras.KerasTensor)]
        if _keras.is_graph(operation):
            return self._graph(owner, operation, inputs, times)
        made = output_spec(operation, args, kwargs)
        shape = keras.tree.flatten(made)[0].shape
        known = table.LAYERS.get(kind_of(operation))
        if known is not None and known.geometry is not None:
            one = Site((*times, *space(operation, inputs[0].shape)), (*times, *space(operation, shape)))
            self._note(operation, owner, partial(table.plain_stages, operation), operation.weights, one)
        elif isinstance(operation, layers.TimeDistributed):
            batch, length, *sample = inputs[0].shape
            step = keras.KerasTensor((batch, *sample), inputs[0].dtype)
            self._visit(owner, operation.layer, (step,), {}, (*times, length))
        elif isinstance(operation, layers.Bidirectional):
            for one in (operation.forward_layer, operation.backward_layer):
                self._visit(owner, one, (inputs[0],), {}, times)
        elif isinstance(operation, layers.RNN):
            self._cells(owner, operation.cell, (*times, inputs[0].shape[1]))
        elif isinstance(operation, layers.EinsumDense):
            self._einsum(owner, operation, inputs[0].shape, times)
        elif _keras.op_name(operation) == "Matmul" and len(args) == 2 and isinstance(args[1], keras.Variable):
            self._matrix(args[1], owner, args[1].shape[-1], None, (*times, *shape[1:-1]))
        elif known is None and not _is_without_work(operation):
            self._traced(owner, operation, args, kwargs, times)
        return made

    def _graph(self, owner: Any, model: Any, inputs: list[Any], times: Shape) -> Any:
        return _keras.run(
            model, inputs, lambda call, args, kwargs: self._visit(owner, call.operation, args, kwargs, times)
        )

    def _cells(self, owner: Any, cell: Any, times: Shape) -> None:
        for one in getattr(cell, "cells", [cell]):
            if kind_of(one) not in CELLS:
                self._unknown(owner)
                continue
            self._matrix(one.kernel, owner, one.kernel.shape[-1], one.bias, times)
            self._matrix(one.recurrent_kernel, owner, one.kernel.shape[-1], None, times)

    def _einsum(self, owner: Any, layer: Any, read: Shape, times: Shape) -> None:
        """Applied wherever the input has an axis that the kernel has not."""
        left, axes, output = layer.equation.replace("->", ",").split(",")
        sizes = dict(zip(axes, layer.kernel.shape, strict=True))
        inputs, outputs = (math.prod(sizes.get(axis, 1) for axis in side) for side in (left, output))
        positions = None if None in read[1:] else math.prod(size for size in read[1:] if size) // inputs
        self._matrix(layer.kernel, owner, outputs, layer.bias, (*times, positions))

    def _matrix(self, kernel: Any, owner: Any, outputs: int, bias: Any, positions: Shape) -> None:
        """A matrix of weights, and the bias if it has an entry for each output."""
        with_bias = bias is not None and math.prod(bias.shape) == outputs
        stages = partial(geometry.matrix, owner.name, math.prod(kernel.shape) // outputs, outputs, with_bias)
        self._note(id(kernel), owner, stages, [kernel, bias] if with_bias else [kernel], Site(positions, positions))

    def _traced(self, owner: Any, layer: Any, args: tuple, kwargs: dict[str, Any], times: Shape) -> None:
        """Run the call of a layer on symbolic tensors, and look at all that it calls."""
        if not isinstance(layer, keras.layers.Layer) or kind_of(layer).__name__ in MULTIPLIES:
            self._unknown(owner)
            return
        inputs: list[Any] = []

        def fresh(leaf: Any) -> Any:
            if isinstance(leaf, keras.KerasTensor):
                inputs.append(keras.Input(batch_shape=leaf.shape, dtype=leaf.dtype))
                return inputs[-1]
            return leaf

        args, kwargs = keras.tree.map_structure(fresh, (args, kwargs))
        if "training" in inspect.signature(layer.call).parameters:
            kwargs["training"] = False
        with _keras.untouched(layer), keras.StatelessScope(collect_losses=True):
            view = keras.Model(inputs, layer.call(*args, **kwargs))
            self._graph(owner, view, inputs, times)


def _weights(operation: Any) -> list[Any]:
    """The weights in an operation that count."""
    if not isinstance(operation, keras.layers.Layer):
        return []
    inner = _keras.all_layers(operation)
    folded = {id(weight) for layer in inner if _is_folded(layer) for weight in layer.weights}
    return [weight for weight in operation.weights if id(weight) not in folded]


def _is_folded(layer: Any) -> bool:
    """Whether a layer has a row in the table, and costs nothing: batch normalization, slopes."""
    known = table.LAYERS.get(kind_of(layer))
    return known is not None and known.geometry is None


def _is_without_work(operation: Any) -> bool:
    """Whether an operation is known to multiply nothing with weights, nor tensors with each other."""
    if not isinstance(operation, keras.layers.Layer):
        return _keras.op_name(operation) not in (None, *MULTIPLIES)
    kind = kind_of(operation)
    if acts_in_training_only(operation) or (is_keras(kind) and kind.__name__ in WITHOUT_WORK):
        return True
    simple = kind is not layers.Lambda and not operation.weights and len(_keras.all_layers(operation)) == 1
    return is_keras(kind) and simple and kind.__name__ not in MULTIPLIES
