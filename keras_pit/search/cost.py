"""What a model costs, for any model and from any place."""

from __future__ import annotations

from typing import Any

import keras

from .. import costs
from ..blueprint import Blueprint
from ..graph import seeds
from ..graph.channels import trace
from .model import SearchModel, require_search
from .totals import total, warn_of_unknown


def cost(model: keras.Model, metric: str = "size", *, discrete: bool = False) -> Any:
    """What a model costs.

    Args:
        model: a search model, or any plain Keras model.
        metric: name of the cost: "size" (parameters), "macs" or one of your own (see `keras_pit.costs`).
        discrete: for a search model, the number of what `export` would return now.

    Warns:
        UserWarning: if it says "at least", because the multiplications of some operation are not known.

    Returns:
        For a plain model a number. For a search model a float32 scalar tensor of the same value as the discrete cost,
        differentiable with respect to the mask variables.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if the metric is unknown, the model cannot be followed, or (macs) an input has an open length.
    """
    known = costs.get(metric)
    if isinstance(model, SearchModel):
        warn_of_unknown(metric, model.name, model.channels)
        return model.cost(metric) if discrete else model.costs([metric], model.reader())[0]
    with seeds.functional(model) as graph:
        if known.whole:
            return known.function(Blueprint.of(graph).program())
        channels = trace(graph)
        warn_of_unknown(metric, model.name, channels)
        return total(channels, metric)


def get_regularization_loss(search: SearchModel) -> Any:
    """The cost in the loss without its strength, differentiable, for hand-written training loops.

    Args:
        search: a search model.

    Returns:
        A scalar tensor: the absolute cost of the chosen regularizer; of several the weighted sum of each cost's share
        of the seed's.

    Example:

        with tf.GradientTape() as tape:
            loss = task_loss(y, search(x, training=True)) + 1e-6 * keras_pit.get_regularization_loss(search)

    Raises:
        TypeError: if it is no search model.
    """
    names = list(require_search(search).origin.costs)
    return cost(search, names[0]) if len(names) == 1 else search.relative_cost(search.reader())
