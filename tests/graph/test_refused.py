"""What is refused, and that the error says why and what to do."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from pieces import (
    OTHER,
    DoubledSequential,
    Subclassed,
    conv,
    dense,
    doubled_inside,
    headed,
)

import keras_pit
from keras_pit.layers import PITConv1D


def small() -> keras.Model:
    inputs = keras.Input((8, 3))
    return headed(conv("a")(inputs), inputs)


class NotTraceable(Subclassed):
    """Looks at values."""

    def call(self, x):
        return super().call(x) if float(ops.sum(x)) > 0 else self.head(self.flatten(x))


class OwnWeights(Subclassed):
    """Has a weight that belongs to no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = self.add_weight(name="scale", shape=())

    def call(self, x):
        return super().call(x) * self.scale


class Branches(Subclassed):
    """Looks at `training`."""

    def __init__(self) -> None:
        super().__init__()
        self.noise = layers.GaussianNoise(0.1, name="noise")

    def call(self, x, training=False):
        return super().call(self.noise(x) if training else x)


class OwnStep(keras.Model):
    """Trains in its own way."""

    def train_step(self, data):
        return super().train_step(data)


class OwnLoss(keras.Model):
    """Has a loss of its own."""

    def compute_loss(self, *args, **kwargs):
        return super().compute_loss(*args, **kwargs)


def functional(kind: type[keras.Model]) -> keras.Model:
    inputs = keras.Input((8, 3))
    return kind(inputs, dense("head", 2)(layers.Flatten()(inputs)), name="network")


def reads_a_stray_variable() -> keras.Model:
    inputs = keras.Input((8, 3))
    return headed(conv("a")(inputs) * keras.Variable(2.0, name="stray"), inputs)


def poisoned() -> keras_pit.SearchModel:
    search = keras_pit.convert(small())
    search.get_layer("a").alpha.assign([1, np.nan, 1, 1])
    return search


def without_weights() -> keras.Model:
    inputs = keras.Input((8, 3))
    return keras.Model(inputs, layers.ReLU()(inputs), name="network")


def unbuilt() -> keras.Model:
    return keras.Sequential([conv("a"), dense("head", 2)], name="network")


def converted() -> keras_pit.SearchModel:
    return keras_pit.convert(small())


def placed_by_hand() -> keras.Model:
    return keras.Sequential([keras.Input((8, 3)), PITConv1D(4, 3, name="a")])


def open_length() -> keras.Model:
    inputs = keras.Input((None, 3))
    return keras.Model(inputs, conv("a")(inputs), name="network")


# What is called, the error, and words that must be in it: what was received, what was expected, what to do.
REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], list[str]]] = {
    "no model": (lambda: keras_pit.convert("model"), TypeError, ["Expected a keras.Model", "received 'model' (str)"]),
    "search model": (lambda: keras_pit.convert(converted()), TypeError, ["search model already", "export"]),
    "own training step": (
        lambda: keras_pit.convert(functional(OwnStep)),
        TypeError,
        ["Model 'network' (OwnStep) has its own train_step", "keras.Model(inputs, outputs)", "get_regularization_loss"],
    ),
    "own loss": (lambda: keras_pit.convert(functional(OwnLoss)), TypeError, ["(OwnLoss) has its own compute_loss"]),
    "looks at values": (
        lambda: keras_pit.convert(NotTraceable(), input_shape=(8, 3)),
        ValueError,
        ["call of model 'network' (NotTraceable) cannot be traced on symbolic inputs", "functional API"],
    ),
    "own weights": (
        lambda: keras_pit.convert(OwnWeights(), input_shape=(8, 3)),
        ValueError,
        ["'network' (OwnWeights)", "weight", "lost", "scale"],
    ),
    "branches on training": (
        lambda: keras_pit.convert(Branches(), input_shape=(8, 3)),
        ValueError,
        ["'network' (Branches) does not use its layers 'noise'", "`training`", "pass them `training=`"],
    ),
    "own call inside": (
        lambda: keras_pit.convert(doubled_inside()),
        ValueError,
        ["Model 'network' (Doubled) inside of 'outer' has a call of its own", "x = network.call(x)"],
    ),
    "own call without inputs": (
        lambda: keras_pit.convert(DoubledSequential([conv("a")], name="network"), input_shape=(8, 3)),
        ValueError,
        ["Model 'network' (DoubledSequential) has a call of its own and is not built", "keras.Input"],
    ),
    "stray variable": (
        lambda: keras_pit.convert(reads_a_stray_variable()),
        ValueError,
        ["reads a variable that belongs to no layer", "keras.layers.Layer with add_weight"],
    ),
    "nothing to search": (
        lambda: keras_pit.convert(without_weights()),
        ValueError,
        ["The size of model 'network' is 0", "nothing to press down", "convolutions and Dense layers in the graph"],
    ),
    "nothing that can go": (
        lambda: keras_pit.convert(keras.Sequential([keras.Input((10,)), dense("d", 3)], name="network"), target=20),
        ValueError,
        ["Nothing can be searched in model 'network'", "layer 'd' reaches the output 'd'", "hidden layers"],
    ),
    "no kernels": (
        lambda: keras_pit.convert(headed(dense("d", 4)(x := keras.Input((8, 3))), x), search=("kernel",), target=20),
        ValueError,
        ["with search=('kernel',)", f"layer 'd' {OTHER}; layer 'head' {OTHER}", "Name more in `search`"],
    ),
    "sequential without shape": (
        lambda: keras_pit.convert(unbuilt()),
        ValueError,
        ["Model 'network' is not built", "pass `input_shape=`", "keras.Input"],
    ),
    "subclassed without shape": (
        lambda: keras_pit.convert(Subclassed()),
        ValueError,
        ["Model 'network' (Subclassed) has not been called yet", "pass `input_shape=`"],
    ),
    "other shape": (
        lambda: keras_pit.convert(small(), input_shape=(9, 3)),
        ValueError,
        ["Model 'network' is built for inputs of shape [(8, 3)]", "says [(9, 3)]", "leave the argument away"],
    ),
    "unknown regularizer": (
        lambda: keras_pit.convert(small(), regularizer="speed"),
        ValueError,
        ["Unknown cost 'speed'", "'macs'", "'size'"],
    ),
    "negative strength": (lambda: keras_pit.convert(small(), strength=-1), ValueError, ["`strength`", "received -1"]),
    "infinite strength": (
        lambda: keras_pit.convert(small(), strength=float("inf")),
        ValueError,
        ["`strength` must be a finite number of at least 0", "received inf"],
    ),
    "unknown search": (
        lambda: keras_pit.convert(small(), search=("channels", "depth")),
        ValueError,
        ["`search` must be some of 'channels', 'kernel', 'dilation', 'kernel_2d'", "'depth'"],
    ),
    "empty search": (lambda: keras_pit.convert(small(), search=()), ValueError, ["`search` must be some of", "()"]),
    "unknown name": (
        lambda: keras_pit.convert(small(), exclude=["b"]),
        ValueError,
        ["`exclude` has 'b'", "model 'network' has no such layer", "a, flat, head"],
    ),
    "unknown type": (
        lambda: keras_pit.convert(small(), exclude=layers.Conv2D),
        ValueError,
        ["`exclude` has", "Conv2D", "no such layer"],
    ),
    "export of a plain model": (
        lambda: keras_pit.export(small()),
        TypeError,
        ["Expected a search model", "received Functional", "keras_pit.convert(model)"],
    ),
    "export of search layers that know nothing": (
        lambda: keras_pit.export(placed_by_hand()),
        TypeError,
        ["Expected a search model", "received Sequential", "pass it through keras_pit.convert(model) first"],
    ),
    "mask variables of a plain model": (lambda: keras_pit.mask_variables(small()), TypeError, ["received Functional"]),
    "net variables of a plain model": (lambda: keras_pit.net_variables(small()), TypeError, ["received Functional"]),
    "export of what diverged": (
        lambda: keras_pit.export(poisoned()),
        ValueError,
        ["Layer 'a': mask variable alpha is not finite at [1]", "lower the learning rate", "clip"],
    ),
    "cost of what diverged": (
        lambda: keras_pit.cost(poisoned()),
        ValueError,
        ["Layer 'a': mask variable alpha is not finite"],
    ),
    "cost of no model": (lambda: keras_pit.cost(3), TypeError, ["Expected a keras.Model", "received 3 (int)"]),
    "unknown cost": (lambda: keras_pit.cost(small(), "speed"), ValueError, ["Unknown cost 'speed'"]),
    "macs of an open length": (
        lambda: keras_pit.cost(open_length(), "macs"),
        ValueError,
        ["Layer 'a'", "open length", "fixed shape", "'size'"],
    ),
    "unknown search of a layer": (
        lambda: PITConv1D(4, 3, search=("width",), name="p"),
        ValueError,
        ["`search` of layer 'p' must be some of 'channels', 'kernel', 'dilation', 'kernel_2d'", "'width'"],
    ),
}


@pytest.mark.parametrize(("act", "error", "words"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_refused_says_why_and_what_to_do(act, error, words):
    with pytest.raises(error) as caught:
        act()
    for word in words:
        assert word in str(caught.value)
