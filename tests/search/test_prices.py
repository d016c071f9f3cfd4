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


@pytest.mark.parametrize("build", [network, valid, strided], ids=["causal", "valid", "strided"])
@pytest.mark.parametrize("name", COSTS)
def test_the_cost_of_a_step_is_that_of_its_masks(name, build):
    seed, rng = build(), np.random.default_rng(0)
    randomize(seed, rng)
    search = keras_pit.convert(seed, name)
    whole = search.origin.costs[name]
    for _ in range(6):
        random_masks(search, rng)
        exact, soft = search.cost(name), float(search.costs([name], search.reader())[0])
        share = float(search.relative_cost(search.reader()))
        logged = float(search.controller.step()[0])
        assert logged == pytest.approx(soft, rel=1e-5)
        assert exact * (1 - 1e-5) <= logged
        if name != "flash":  # which is from above while sizes are soft
            assert logged == pytest.approx(exact, rel=1e-5)
        assert share == pytest.approx(logged / whole, rel=1e-5)
