"""What training changes in a model, and the model as if some training had changed it.

A converter leaves out what does nothing: a bias of zeros, a normalization of mean 0 and variance 1. A new model is full
of these, and none of them is left after the first step of training.

    as_if_trained(copy)    the costs of `copy` on a board are now those of what training makes of it
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from . import _keras

_NEW = 0.5, 1.5
"""What becomes of a 0 or a 1; positive, as variances are."""
_MOVED = 0.999, 1.001
"""By what all else is multiplied, so that no two weights are equal. It stays where it is, as that decides what folds: a
maximum lets a scale pass that is positive, weights of 8 bits take an offset that is not far away."""


def as_if_trained(model: keras.Model) -> keras.Model:
    """Give the weights that training changes values as after a step of it: none is 0 or 1, no two are equal.

    Args:
        model: is changed; what is frozen (`trainable=False`) stays as it is.

    Returns:
        The model.
    """
    random = np.random.default_rng(0)
    for layer in _keras.all_layers(model):
        if not _keras.is_graph(layer):
            for weight in _trained(layer):
                values = np.asarray(keras.ops.convert_to_numpy(weight), "float64")
                new, moved = (random.uniform(*ends, values.shape) for ends in (_NEW, _MOVED))
                weight.assign(np.where((values == 0) | (values == 1), new, values * moved))
    return model


def _trained(layer: Any) -> list[Any]:
    """The weights of a layer that training changes, moving statistics among them."""
    if not layer.trainable:
        return []
    moving = layer.non_trainable_weights if isinstance(layer, keras.layers.BatchNormalization) else []
    return [weight for weight in [*layer.trainable_weights, *moving] if keras.backend.is_float_dtype(weight.dtype)]
