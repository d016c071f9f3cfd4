"""Costs of the streaming form while a network is searched: exact for what is exported, with a gradient (law 3)."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from generator import randomize
from keras import layers

import keras_pit

COSTS = ("streaming_ram", "streaming_latency")


def chain(x):
    for filters, size in ((12, 9), (8, 5), (8, 3)):
        x = layers.Conv1D(filters, size, padding="causal")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    return layers.Dense(3)(layers.GlobalAveragePooling1D()(x))


def residual(x):
    x = layers.Conv1D(8, 5, padding="causal", activation="relu")(x)
    y = layers.Conv1D(8, 9, padding="causal", activation="relu")(x)
    x = layers.Add()([x, y])
    x = layers.Conv1D(6, 7, strides=2, padding="causal", activation="relu")(x)
    return layers.Dense(3, activation="softmax")(layers.Flatten()(layers.MaxPooling1D(2)(x)))


def unpadded(x):
    x = layers.Conv1D(8, 5, activation="relu")(x)
    x = layers.DepthwiseConv1D(5, activation="relu")(x)
    return layers.Dense(3)(layers.GlobalAveragePooling1D()(layers.Conv1D(8, 3, activation="relu")(x)))


def searched(build):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((48, 4))
    model = keras.Model(inputs, build(inputs))
    randomize(model, np.random.default_rng(0))  # a bias of zeros is left out of a file
    return keras_pit.convert(model, list(COSTS))


def shuffle(search, rng):
    for variable in keras_pit.mask_variables(search):
        share = rng.uniform(0.2, 1)
        variable.assign(np.where(rng.random(variable.shape) < share, 0.6, 0.4))


@pytest.mark.parametrize("build", [chain, residual, unpadded], ids=lambda build: build.__name__)
def test_exact_for_what_is_exported(build):
    search, rng = searched(build), np.random.default_rng(0)
    for state in range(4):
        if state:
            shuffle(search, rng)
        slim = keras_pit.export(search)
        for name in COSTS:
            exact, soft = keras_pit.cost(slim, name), float(keras_pit.soft_cost(search, name))
            assert keras_pit.cost(search, name) == exact
            assert soft == pytest.approx(exact, rel=1e-5), (name, state)


@pytest.mark.parametrize("name", COSTS)
def test_gradient_by_channels_receptive_field_and_dilation(name):
    search = searched(chain)
    masks = keras_pit.mask_variables(search)
    with tf.GradientTape() as tape:
        cost = keras_pit.soft_cost(search, name)
    slopes = dict(zip((mask.path for mask in masks), tape.gradient(cost, masks), strict=True))
    for kind in ("alpha", "beta", "gamma"):
        found = [float(tf.reduce_max(slope)) for path, slope in slopes.items() if kind in path and slope is not None]
        assert max(found) > 0, kind


def test_one_fit_ends_at_the_bound():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((48, 4))
    model = keras.Model(inputs, chain(inputs))
    bound = 0.8 * keras_pit.cost(model, "streaming_latency")
    search = keras_pit.convert(model, target={"streaming_latency": bound})
    search.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    rng = np.random.default_rng(0)
    search.fit(rng.normal(size=(64, 48, 4)), rng.integers(3, size=64), epochs=20, batch_size=32, verbose=0)
    assert 0.85 * bound <= keras_pit.cost(keras_pit.export(search), "streaming_latency") <= bound


def test_what_looks_ahead_by_a_searched_kernel_is_refused():
    inputs = keras.Input((48, 4))
    x = layers.Conv1D(8, 9, padding="same", name="culprit")(inputs)
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))
    search = keras_pit.convert(model, "streaming_ram")
    with pytest.raises(ValueError, match=r"'culprit'.* looks ahead .*expected padding 'causal' or 'valid'"):
        keras_pit.soft_cost(search, "streaming_ram")
