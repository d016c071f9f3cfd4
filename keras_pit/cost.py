"""What a model costs: the sum over its convolutions and Dense layers."""

from __future__ import annotations

from typing import Any

import keras

from . import costs, seeds, table
from .channels import Channels, trace
from .layers.search import PITLayer, Reader
from .model import SearchModel, require_search


def cost(model: keras.Model, metric: str = "size", *, discrete: bool = False) -> Any:
    """What a model costs.

    Args:
        model: a search model, or any plain Keras model.
        metric: name of the cost: "size" (parameters) or "macs" (see `keras_pit.costs`).
        discrete: for a search model, the number of what `export` would return now, as an int.

    Returns:
        For a plain model a number. For a search model a float32 scalar tensor of the same value as the discrete cost,
        differentiable with respect to the mask variables.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if the metric is unknown, the model cannot be followed, or (macs) an input has an open length.
    """
    costs.get(metric)
    if isinstance(model, SearchModel):
        return total(model.channels, metric, discrete=discrete)
    with seeds.functional(model) as graph:
        return total(trace(graph), metric)


def get_regularization_loss(search: SearchModel) -> Any:
    """The absolute cost of the chosen regularizer, differentiable, for hand-written training loops.

    Example:

        with tf.GradientTape() as tape:
            loss = task_loss(y, search(x, training=True)) + 1e-6 * keras_pit.get_regularization_loss(search)

    Raises:
        TypeError: if it is no search model.
    """
    return cost(require_search(search), search.regularizer)


def total(channels: Channels, metric: str, *, discrete: bool = True) -> Any:
    """The cost of all layers of a traced model."""
    reader = None if discrete else Reader()
    per_layer = [layer_cost(layer, channels, metric, reader) for layer in channels.layers]
    numbers = sum(number for number in per_layer if isinstance(number, int))
    tensors = [number for number in per_layer if not isinstance(number, int)]
    return sum(tensors, float(numbers)) if tensors else numbers


def layer_cost(layer: Any, channels: Channels, metric: str, reader: Reader | None = None) -> Any:
    """The cost of one layer, in whole numbers or (with a reader) soft; 0 for kinds that cost nothing."""
    if isinstance(layer, PITLayer) and layer.wiring is not None:
        stages = layer.stages(reader)
    else:
        stages = table.plain_stages(layer, channels.layers[layer].sites)
    return sum(costs.get(metric)(stage) for stage in stages)
