"""What a step of a search takes a cost for: that of the masks as they are, by whichever way it is computed."""

import keras
import numpy as np
import pytest
from generator import random_masks, randomize
from keras import layers
from small import network

import keras_pit

COSTS = ["size", "macs", "flash", "ram", "latency", "streaming_ram", "streaming_latency"]


def valid():
    """Valid convolutions, whose kernels change the length of what they make."""
    x = inputs = keras.Input((64, 3))
    for index in range(3):
        x = layers.Conv1D(8, 9, use_bias=False, name=f"conv{index}")(x)
        x = layers.ReLU(name=f"relu{index}")(layers.BatchNormalization(name=f"norm{index}")(x))
    return keras.Model(inputs, layers.Dense(3, name="out")(layers.GlobalAveragePooling1D(name="pool")(x)), name="valid")


def strided():
    """A strided kernel, whose dilations are multiples of its stride, and one of two taps."""
    x = inputs = keras.Input((64, 3))
    x = layers.Conv1D(6, 13, strides=2, padding="causal", name="strided")(x)
    x = layers.Conv1D(5, 2, padding="causal", name="two")(layers.ReLU(name="relu")(x))
    return keras.Model(inputs, layers.Dense(3, name="out")(layers.GlobalAveragePooling1D(name="pool")(x)), name="net")


def residual():
    """Branches, and inputs that may go."""
    x = inputs = keras.Input((32, 4))
    x = layers.Conv1D(6, 3, padding="same", name="stem")(x)
    for index in range(2):
        branch = layers.Conv1D(6, 5, padding="same", name=f"conv{index}")(layers.ReLU(name=f"relu{index}")(x))
        x = layers.Add(name=f"add{index}")([x, branch])
    return keras.Model(inputs, layers.Dense(3, name="out")(layers.GlobalAveragePooling1D(name="pool")(x)), name="res")


def search_of(build, name):
    """A search model of random weights in which all is searched that can be."""
    seed, rng = build(), np.random.default_rng(0)
    randomize(seed, rng)
    more = ("inputs", "branches") if build is residual else ()
    return keras_pit.convert(seed, name, search=("channels", "kernel", "dilation", *more)), rng


@pytest.mark.parametrize("name", COSTS[2:])
@pytest.mark.parametrize("build", [network, valid])
def test_what_is_not_trained_costs_what_it_will(name, build):
    """A file leaves out biases of zeros and normalizations that do nothing, of which training makes others."""
    rng, trained = np.random.default_rng(0), build()
    search = keras_pit.convert(build(), name)
    randomize(trained, rng)
    assert search.origin.costs[name] == keras_pit.cost(trained, name) >= keras_pit.cost(search, name)
    expected = keras_pit.convert(trained, name)
    for _ in range(2):
        random_masks(search, rng)
        for one, other in zip(keras_pit.mask_variables(search), keras_pit.mask_variables(expected), strict=True):
            other.assign(one)
        exact, soft = expected.cost(name), float(keras_pit.soft_cost(search, name))
        assert exact * (1 - 1e-5) <= soft
        if name != "flash":
            assert soft == pytest.approx(exact, rel=1e-5)


def test_a_frozen_normalization_stays_as_it_is():
    """It does nothing, and is behind an activation, so that no kernel takes it over."""
    inputs = keras.Input((32, 4))
    norm = layers.BatchNormalization(name="norm")
    x = norm(layers.Conv1D(8, 3, padding="same", activation="relu", name="conv")(inputs))
    seed = keras.Model(inputs, layers.Conv1D(4, 3, padding="same", name="last")(x))
    trained = keras_pit.convert(seed, "latency").origin.costs["latency"]
    norm.trainable = False
    assert keras_pit.convert(seed, "latency").origin.costs["latency"] < 0.95 * trained


CASES = [(network, name) for name in COSTS]
CASES += [(build, name) for build in (valid, strided) for name in COSTS[2:]]
CASES += [(residual, name) for name in COSTS[:5]]


@pytest.mark.parametrize(("build", "name"), CASES)
def test_the_cost_of_a_step_is_that_of_its_masks(name, build):
    search, rng = search_of(build, name)
    whole = search.origin.costs[name]
    for _ in range(4):
        random_masks(search, rng)
        trials = search.controller.trials
        trials.lose(np.concatenate([mask.numpy() for mask in keras_pit.mask_variables(search)]))
        trials.hear(0.0)
        logged = float(search.controller.step()[0])
        # After the step: a branch that went before has been switched off again.
        exact, soft = search.cost(name), float(search.costs([name], search.reader())[0])
        share = float(search.relative_cost(search.reader()))
        assert logged == pytest.approx(soft, rel=1e-5)
        assert exact * (1 - 1e-5) <= logged
        if name != "flash":  # which is from above while sizes are soft
            assert logged == pytest.approx(exact, rel=1e-5)
        assert share == pytest.approx(logged / whole, rel=1e-5)
