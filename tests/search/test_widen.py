"""Wider seeds compute the same, and a search can find the old kernels in them."""

import keras
import numpy as np
import pytest
from generator import randomize
from keras import layers

import keras_pit

X = np.random.default_rng(0).normal(size=(4, 24, 3)).astype("float32")


def network(make, shape=(24, 3)):
    inputs = keras.Input(shape)
    x = make(inputs)
    model = keras.Model(inputs, layers.Dense(2, name="out")(layers.Flatten()(x)), name="net")
    randomize(model, np.random.default_rng(0))
    return model


def conv(*args, **kwargs):
    return layers.Conv1D(*args, name="conv", **kwargs)


CASES = {
    "causal": (conv(4, 3, padding="causal", dilation_rate=4), 1, 9),
    "causal, doubled": (conv(4, 3, padding="causal", dilation_rate=4), 2, 18),
    "no further than the input": (conv(4, 3, padding="causal", dilation_rate=4), 9, 24),
    "same": (conv(4, 3, padding="same", dilation_rate=3), 1, 7),
    "same, doubled": (conv(4, 5, padding="same"), 2, 10),
    "same, of even length": (conv(4, 4, padding="same", dilation_rate=2), 3, 21),
    "same, strided": (conv(4, 3, padding="same", strides=2), 3, 9),
    "same, a stride longer than the kernel": (conv(4, 2, padding="same", strides=5), 2, 4),
    "valid": (conv(4, 3, dilation_rate=5), 1, 11),
    "valid, not doubled": (conv(4, 3, dilation_rate=5), 2, 11),
    "depthwise": (layers.DepthwiseConv1D(3, padding="same", dilation_rate=4, name="conv"), 1, 9),
    "grouped": (conv(6, 3, padding="causal", dilation_rate=4, groups=3), 2, 18),
}


@pytest.mark.parametrize("name", CASES)
def test_a_wider_seed_computes_the_same(name):
    layer, kernels, taps = CASES[name]
    seed = network(layer)
    config, weights = seed.get_config(), seed.get_weights()
    wide = keras_pit.widen(seed, kernels=kernels)
    assert wide.get_layer("conv").kernel_size == (taps,)
    assert wide.get_layer("conv").dilation_rate == (1,)
    assert wide.name == "net"
    assert wide.predict(X, verbose=0) == pytest.approx(seed.predict(X, verbose=0), rel=1e-5, abs=1e-5)
    assert seed.get_config() == config
    assert all((one == other).all() for one, other in zip(seed.get_weights(), weights, strict=True))


@pytest.mark.parametrize("padding", ["causal", "same", "valid"])
def test_a_search_can_come_back_to_the_seed(padding):
    seed = network(conv(4, 3, padding=padding, dilation_rate=4))
    search = keras_pit.convert(keras_pit.widen(seed))
    (layer,) = [layer for layer in search.search_layers if layer.beta is not None]
    layer.gamma.assign([0.4 if step < 4 else 0.6 for step in layer.kernel_mask.steps])
    slim = keras_pit.export(search)
    assert slim.get_layer("conv").kernel_size == (3,)
    assert slim.get_layer("conv").dilation_rate == (4,)
    assert slim.get_layer("conv").get_weights()[0] == pytest.approx(seed.get_layer("conv").get_weights()[0])


def test_kernels_of_two_dimensions_are_widened_along_one():
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(4, (1, 3), padding="same", dilation_rate=(1, 4), name="row")(inputs)
    x = layers.DepthwiseConv2D((3, 1), padding="same", name="column")(x)
    x = layers.Conv2D(4, 3, padding="same", dilation_rate=2, name="square")(x)
    seed = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    randomize(seed, np.random.default_rng(0))
    wide = keras_pit.widen(seed, kernels=2)
    assert [wide.get_layer(name).kernel_size for name in ("row", "column", "square")] == [(1, 18), (6, 1), (3, 3)]
    x = np.random.default_rng(0).normal(size=(4, 12, 12, 3)).astype("float32")
    assert wide.predict(x, verbose=0) == pytest.approx(seed.predict(x, verbose=0), rel=1e-5, abs=1e-5)


def test_shared_layers_and_models_inside_of_models_are_widened_once():
    shared = conv(3, 3, padding="same", strides=2)
    inputs = keras.Input((24, 3))
    inner = keras.Model(inputs, conv(3, 2, padding="causal", dilation_rate=3)(inputs), name="inner")
    seed = network(lambda x: layers.Concatenate(axis=1)([shared(inner(x)), shared(layers.Cropping1D(2)(inner(x)))]))
    wide = keras_pit.widen(seed, kernels=2)
    assert wide.get_layer("conv").kernel_size == (6,)
    assert wide.get_layer("inner").get_layer("conv").kernel_size == (8,)
    assert wide.predict(X, verbose=0) == pytest.approx(seed.predict(X, verbose=0), rel=1e-5, abs=1e-5)


def test_calls_that_pad_differently_keep_a_strided_kernel():
    shared = conv(3, 3, padding="same", strides=4)
    seed = network(lambda x: layers.Concatenate(axis=1)([shared(x), shared(layers.Cropping1D((2, 0))(x))]))
    with pytest.warns(UserWarning, match="Nothing can be widened in model 'net'"):
        wide = keras_pit.widen(seed, kernels=2)
    assert wide.predict(X, verbose=0) == pytest.approx(seed.predict(X, verbose=0), rel=1e-5, abs=1e-5)


def test_what_cannot_be_widened_is_refused():
    seed = network(conv(4, 3))
    with pytest.raises(TypeError, match="search model already"):
        keras_pit.widen(keras_pit.convert(seed))
    with pytest.raises(ValueError, match="`kernels`"):
        keras_pit.widen(seed, kernels=0)
    with pytest.raises(TypeError, match=r"keras\.Model"):
        keras_pit.widen("model.keras")
