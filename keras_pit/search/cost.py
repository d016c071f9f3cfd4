"""What a model costs, for any model and from any place."""

from __future__ import annotations

import warnings
from typing import Any

import keras

from .. import blueprint, checks, costs
from ..costs.check import cost_of
from ..graph import seeds
from ..graph.tracer import trace
from .model import SearchModel, require_search
from .totals import total, warn_of_unknown
from .variables import as_written


def cost(model: keras.Model, metric: str = "size", *, discrete: bool | None = None) -> Any:
    """What a model costs, as a number.

    Flash, RAM and latency are those of the file that would be made now. It leaves out what does nothing: biases of
    zeros, normalizations that have seen no data. So a model that is not trained costs less than it will.

    Args:
        model: any Keras model; a search model costs what `export` would return now.
        metric: name of the cost: "size" (parameters), "macs", "flash", "ram", "latency", or one of your own (see
            `keras_pit.costs`).
        discrete: deprecated and without need: True for what is returned anyway, False for `soft_cost`.

    Warns:
        UserWarning: if it says "at least", because the multiplications of some operation are not known.

    Returns:
        The number. What training can differentiate is `soft_cost`.

    Raises:
        TypeError: if `model` is no Keras model, or `metric` no string.
        ValueError: if the metric is unknown, the model cannot be followed, or (macs) an input has an open length.

    Example:
        >>> keras_pit.cost(search, "macs"), keras_pit.cost(keras_pit.export(search), "macs")
        (29440, 29440)
    """
    if discrete is not None:
        warnings.warn(
            "`discrete` is deprecated: keras_pit.cost(model, metric) is a number for every model, and "
            "keras_pit.soft_cost(search, metric) the tensor that can be differentiated.",
            DeprecationWarning,
            stacklevel=2,
        )
        if not checks.flag(discrete, "`discrete`") and isinstance(model, SearchModel):
            return soft_cost(model, metric)
    known = costs.get(metric)
    if isinstance(model, SearchModel):
        warn_of_unknown(metric, model.name, model.channels)
        return model.cost(metric)
    with seeds.functional(model) as graph:
        if known.whole:
            return cost_of(known, blueprint.Blueprint.of(graph).program())
        channels = trace(graph)
        warn_of_unknown(metric, model.name, channels)
        return total(channels, metric)


@as_written
def soft_cost(search: SearchModel, metric: str = "size") -> Any:
    """What a search model costs, as a tensor that can be differentiated with respect to the mask variables.

    Args:
        search: a search model.
        metric: name of the cost, as for `cost`.

    Returns:
        A float32 scalar tensor. Its value is that of `cost` (for "flash", and for "ram" where a network branches, a
        bound from above), its gradient goes straight through the masks.

    Raises:
        TypeError: if it is no search model, or `metric` no string.
        ValueError: if the metric is unknown, or cannot be computed for the model.

    Example:

        with tf.GradientTape() as tape:
            loss = task_loss(y, search(x, training=True)) + 1e-3 * keras_pit.soft_cost(search, "latency")
    """
    costs.get(metric)
    return require_search(search).costs([metric], search.reader())[0]


@as_written
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
    return soft_cost(search, names[0]) if len(names) == 1 else search.relative_cost(search.reader())
