"""Networks whose costs on a board are known beforehand, and what these are, with soft sizes and without."""

import keras
import numpy as np
from keras import layers, ops

import keras_pit
from keras_pit.blueprint import Blueprint
from keras_pit.costs.arena import arena
from keras_pit.costs.device import flash
from keras_pit.costs.latency import instructions

CORES = ("cortex-m0+", "cortex-m4", "cortex-m55")
"""One for each set of kernels: plain C, DSP and Helium."""


def causal(length=64):
    x = inputs = keras.Input((length, 3))
    for dilation in (1, 2, 4):
        x = layers.Conv1D(12, 5, padding="causal", dilation_rate=dilation)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(x))


def same():
    x = inputs = keras.Input((48, 4))
    for taps, strides in ((8, 1), (7, 2), (5, 1)):
        y = layers.Conv1D(12, taps, strides=strides, padding="same", activation="relu")(x)
        x = layers.Add()([y, layers.Conv1D(12, 1, strides=strides)(x)])
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.MaxPooling1D(4)(x))))


def valid():
    x = inputs = keras.Input((60, 2))
    x = layers.Conv1D(10, 9, activation="relu")(x)
    x = layers.Conv1D(10, 5, strides=2, activation="relu")(layers.ZeroPadding1D(2)(x))
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def depthwise():
    x = inputs = keras.Input((16, 16, 2))
    for filters in (12, 20):
        x = layers.SeparableConv2D(filters, 3, padding="same")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


def branches():
    x = inputs = keras.Input((20, 20, 3))
    one = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    two = layers.Conv2D(6, 1, activation="relu")(x)
    x = layers.Concatenate()([one, two, layers.MaxPooling2D(3, 1, "same")(one)])
    x = layers.Conv2D(9, 3, strides=2)(x)
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))


def limits():
    """Of all kinds: fused, one after the other, of one side, with a constant."""
    x = inputs = keras.Input((40, 3))
    for limit in ("hard_tanh", layers.ReLU(3.0), lambda x: ops.clip(x, -2.0, 3.0), lambda x: ops.minimum(x, 2.0)):
        x = layers.Conv1D(10, 3, activation=limit if isinstance(limit, str) else None)(x)
        x = x if isinstance(limit, str) else limit(x)
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


def sharing_names():
    """Models in a model, with layers of the same name in them."""

    def block():
        inputs = keras.Input((32, 8))
        return keras.Model(inputs, layers.Conv1D(8, 3, padding="causal", activation="relu", name="conv")(inputs))

    inputs = keras.Input((32, 8))
    x = layers.Flatten()(block()(block()(inputs)))
    return keras.Model(inputs, layers.Dense(3)(x))


NETWORKS = {network.__name__: network for network in (causal, same, valid, depthwise, branches, limits, sharing_names)}


def made(name):
    """A network with weights as after training."""
    keras.utils.set_random_seed(0)
    model, rng = NETWORKS[name](), np.random.default_rng(0)
    for weight in model.weights:
        if weight.name in ("bias", "beta", "moving_mean"):
            weight.assign(0.1 * rng.normal(size=weight.shape))
        elif weight.name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 2.0, weight.shape))
    return model


def samples(model, count=8):
    return np.random.default_rng(1).normal(size=(count, *model.input_shape[1:])).astype("float32")


def soft_and_exact(search, core):
    """RAM, instructions and flash of a search model by its soft sizes, and of what it exports."""
    programs = search.blueprint.program(search.reader()), Blueprint.of(keras_pit.export(search)).program()
    for program in programs:
        yield [float(arena(program, core).total), float(instructions(program, core)), float(flash(program, None))]
