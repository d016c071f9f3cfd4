"""Pieces of small networks, and what a search found in one."""

from collections import Counter
from typing import Any

import keras
import numpy as np
from keras import layers, ops

import keras_pit

HEAD = {"head": "reaches the output 'head'"}


def conv(name: str, filters: int = 4, **kwargs: Any) -> layers.Conv1D:
    return layers.Conv1D(filters, 3, name=name, **{"padding": "same", **kwargs})


def dense(name: str, units: int, **kwargs: Any) -> layers.Dense:
    return layers.Dense(units, name=name, **kwargs)


def headed(x: Any, inputs: Any, others: Any = ()) -> keras.Model:
    if len(x.shape) > 2:
        x = layers.Flatten(name="flat")(x)
    return keras.Model(inputs, [dense("head", 2)(x), *others] if others else dense("head", 2)(x), name="network")


def classes_of(search: keras_pit.SearchModel) -> dict[str, int]:
    """The number of classes that can be removed, by the names of the layers that make them."""
    makers: dict[int, set[str]] = {}
    for layer, channels in search.channels.layers.items():
        for label in channels.made[channels.made > 0]:
            makers.setdefault(int(label), set()).add(layer.name)
    return dict(Counter(" ".join(sorted(names)) for names in makers.values()))


def frozen_of(search: keras_pit.SearchModel) -> dict[str, str]:
    """The reason, for layers that make channels."""
    known = search.channels.layers
    return {layer.name: channels.frozen for layer, channels in known.items() if channels.frozen and len(channels.made)}


class Subclassed(keras.Model):
    """A model with a `call` of its own, on Keras layers."""

    def __init__(self) -> None:
        super().__init__(name="network")
        self.first, self.second = conv("a"), conv("b")
        self.flatten, self.head = layers.Flatten(), dense("head", 2)

    def call(self, x):
        x = ops.relu(self.first(x))
        return self.head(self.flatten(x + self.second(x)))


OTHER = "is searched for other things than channels"


def pruned(model: keras.Model, **kept: list[int]) -> keras.Model:
    """The slim model in which the named layers keep these of the classes that they own."""
    search = keras_pit.convert(model, search="channels")
    for layer in search.search_layers:
        if layer.name in kept:
            layer.alpha.assign(np.isin(np.arange(layer.alpha.shape[0]), kept[layer.name]))
    return keras_pit.export(search)


class Doubled(keras.Model):
    """A Functional model with a call of its own."""

    def call(self, inputs, training=None, mask=None):
        return 2.0 * super().call(inputs, training=training, mask=mask)


class DoubledSequential(keras.Sequential):
    """The same as a Sequential model."""

    def call(self, inputs, training=None, mask=None):
        return 2.0 * super().call(inputs, training=training, mask=mask)


def doubled_functional() -> keras.Model:
    inputs = keras.Input((8, 3))
    return Doubled(inputs, dense("head", 2)(layers.Flatten()(conv("a")(inputs))), name="network")


def doubled_inside() -> keras.Model:
    inputs = keras.Input((8, 3))
    return keras.Model(inputs, layers.ReLU()(doubled_functional()(inputs)), name="outer")
