"""What a model is trained for: its own loss and metrics if it was compiled, else what outputs and targets say.

    one output of classes, whole numbers as targets       sparse_categorical_crossentropy, accuracy
    one output of classes, rows of 0 and 1 as targets     categorical_crossentropy, accuracy
    one number from 0 to 1, targets 0 and 1               binary_crossentropy, accuracy
    anything else                                         mse, mae

Whether outputs are probabilities or logits is seen from what the model computes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

from .data import Data, spread
from .score import are_shares, kind_of

_LOOK = 64
"""Samples that are looked at."""


class Task(NamedTuple):
    """What `compile` needs beside an optimizer, and whether outputs are classes."""

    losses: Callable[[], dict[str, Any]]
    """Makes new ones for each model: metrics have a state."""
    kind: str
    """"classes", "binary" or "numbers": how results are measured."""
    told: str
    """In words."""


def of(model: keras.Model, data: Data) -> Task:
    """The task of a model.

    Raises:
        ValueError: if targets and outputs do not fit.
    """
    x, y = spread(data.x, _LOOK), spread(data.y, _LOOK)
    outputs = model.predict(x, verbose=0)
    several = not isinstance(outputs, np.ndarray) or not isinstance(y, np.ndarray)
    kind = "numbers" if several else kind_of(data.y, outputs)
    compiled = model.get_compile_config()
    if compiled and compiled.get("loss"):
        own = {key: value for key, value in compiled.items() if key in ("loss", "loss_weights", "metrics")}
        return Task(lambda: keras.saving.deserialize_keras_object(own), kind, _OWN)
    if several:
        raise ValueError(
            f"Model '{model.name}' has several outputs and was not compiled: what it is trained for is not known. "
            "Compile it with a loss for each, and save it again."
        )
    return _seen(model, y, outputs, kind)


_OWN = "the loss that the model was compiled with"


def _seen(model: keras.Model, y: np.ndarray, outputs: np.ndarray, kind: str) -> Task:
    """What outputs and targets say."""
    if kind == "numbers":
        if y.reshape(len(y), -1).shape != outputs.reshape(len(outputs), -1).shape:
            raise ValueError(
                f"The targets have shape {y.shape[1:]}, but model '{model.name}' makes {outputs.shape[1:]}: expected "
                "the number of a class for each sample, or as many numbers as the model makes."
            )
        return Task(lambda: {"loss": "mse", "metrics": ["mae"]}, kind, "mean squared error")
    if kind == "binary":
        logits = not are_shares(outputs)
        return Task(lambda: _binary(logits), kind, "binary cross-entropy" + " (logits)" * logits)
    logits = not (are_shares(outputs) and np.allclose(outputs.sum(-1), 1, atol=1e-3))
    entropy = (
        keras.losses.CategoricalCrossentropy if y.shape == outputs.shape else keras.losses.SparseCategoricalCrossentropy
    )
    told = "cross-entropy of classes" + " (logits)" * logits
    return Task(lambda: {"loss": entropy(from_logits=logits), "metrics": ["accuracy"]}, kind, told)


def _binary(logits: bool) -> dict[str, Any]:
    """Keras rounds at one half, which is 0 for logits."""
    accuracy = keras.metrics.BinaryAccuracy("accuracy", threshold=0.0 if logits else 0.5)
    return {"loss": keras.losses.BinaryCrossentropy(from_logits=logits), "metrics": [accuracy]}
