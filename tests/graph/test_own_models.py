"""What else a model may be: Sequential, subclassed, nested, of open length, with odd names and layers."""

import keras
import numpy as np
import pytest
from generator import random_masks
from keras import layers, ops
from pieces import (
    HEAD,
    DoubledSequential,
    Subclassed,
    classes_of,
    conv,
    dense,
    doubled_functional,
    frozen_of,
    headed,
    pruned,
)

import keras_pit


def test_sequential_that_is_not_built_needs_a_shape_and_stays_unbuilt():
    model = keras.Sequential([conv("a"), layers.Flatten(), dense("head", 2)], name="network")
    search = keras_pit.convert(model, input_shape=(8, 3))
    assert (classes_of(search), frozen_of(search)) == ({"a": 4}, HEAD)
    assert not model.built
    assert not model.layers[0].built


class BuiltLate(keras.Model):
    """Makes its layers when it knows the shape."""

    def build(self, shape):
        self.first, self.flatten, self.head = conv("a", shape[-1] + 1), layers.Flatten(), dense("head", 2)

    def call(self, x):
        return self.head(self.flatten(self.first(x)))


def test_subclassed_model_that_makes_its_layers_in_build():
    search = keras_pit.convert(BuiltLate(), input_shape=(8, 3))
    assert classes_of(search) == {"a": 4}


@pytest.mark.parametrize("called", [True, False])
def test_subclassed_model_is_traced(called):
    model, x = Subclassed(), np.random.default_rng(0).normal(size=(2, 8, 3)).astype("float32")
    expected = model(x) if called else None
    search = keras_pit.convert(model) if called else keras_pit.convert(model, input_shape=(8, 3))
    assert (classes_of(search), frozen_of(search)) == ({"a b": 4}, HEAD)
    np.testing.assert_array_equal(search(x), model(x) if expected is None else expected)
    assert not model.first._inbound_nodes


def doubled_sequential() -> keras.Model:
    return DoubledSequential(
        [keras.Input((8, 3)), conv("a"), layers.Flatten(), layers.Dropout(0.5), dense("head", 2)], name="network"
    )


@pytest.mark.parametrize("build", [doubled_functional, doubled_sequential])
def test_calls_of_functional_and_sequential_models_are_traced(build):
    model, x = build(), np.random.default_rng(0).normal(size=(2, 8, 3)).astype("float32")
    recorded = [len(layer._inbound_nodes) for layer in model.layers]
    search = keras_pit.convert(model)
    np.testing.assert_array_equal(search(x), model(x))
    np.testing.assert_allclose(keras_pit.export(search)(x), model(x), rtol=1e-5, atol=1e-6)
    assert recorded == [len(layer._inbound_nodes) for layer in model.layers]


class Held(keras.Model):
    """Layers in lists, dictionaries and models, one of which is called piece by piece; one that is for training."""

    def __init__(self) -> None:
        super().__init__(name="network")
        self.list, self.dict = [conv("a"), layers.ReLU()], {"b": conv("b")}
        self.whole = keras.Sequential([conv("c"), layers.Dropout(0.5)])
        self.pieces = keras.Sequential([keras.Input((8, 4)), conv("d"), layers.LSTM(3)])
        self.noise, self.head = layers.GaussianNoise(0.1), dense("head", 2)

    def call(self, x, training=False):
        x = self.noise(x, training=training)
        for layer in [*self.list, self.dict["b"], self.whole, *self.pieces.layers]:
            x = layer(x)
        return self.head(x)


def test_layers_are_found_wherever_a_subclassed_model_holds_them():
    model, x = Held(), np.random.default_rng(0).normal(size=(2, 8, 3)).astype("float32")
    model.compile(loss="mse", metrics=["mae"])
    expected = model(x)
    search = keras_pit.convert(model)
    np.testing.assert_array_equal(search(x), expected)
    assert np.abs(search(x, training=True) - expected).max() > 1e-3


def open_residual(x):
    x = conv("a")(x)
    return layers.MaxPooling1D(2)(x + conv("b", padding="causal", activation="sigmoid")(x))


def open_slices(x):
    x = conv("a")(x)[:, 2:-1]
    return layers.Concatenate(axis=1)([x, ops.flip(x, axis=1)])


def open_squeeze_excite(x):
    x = conv("a", 8)(x)
    return x * dense("excite", 8)(layers.GlobalAveragePooling1D(keepdims=True)(x))


def open_reshape(x):
    return layers.Reshape((-1, 2))(layers.DepthwiseConv1D(3, padding="same")(conv("a")(x)))


def open_strides(x):
    return conv("b", strides=2, padding="causal")(conv("a", strides=2)(x))


@pytest.mark.parametrize("build", [open_residual, open_slices, open_squeeze_excite, open_reshape, open_strides])
def test_open_length_is_exported_exactly(build):
    inputs, rng = keras.Input((None, 3)), np.random.default_rng(0)
    model = headed(layers.GlobalAveragePooling1D()(conv("last", 5)(build(inputs))), inputs)
    search = keras_pit.convert(model)
    for density, length in [(1.0, 16), (0.6, 23), (0.3, 30)]:
        random_masks(search, rng, density)
        x = rng.normal(size=(2, length, 3)).astype("float32")
        np.testing.assert_allclose(keras_pit.export(search)(x), search(x), rtol=1e-4, atol=1e-6)


def test_layers_keep_their_names_inputs_too():
    inner = keras.Input((8, 4))
    model = keras.Model(inner, conv("b")(inner), name="block")
    inputs = keras.Input((8, 3))
    seed = headed(model(conv("a")(inputs)), inputs)
    search = keras_pit.convert(seed)
    for other in (search, keras_pit.export(search)):
        assert [layer.name for layer in other.layers] == [layer.name for layer in seed.layers]
        received = [layer.name for layer in other.get_layer("block").layers]
        assert received == [layer.name for layer in model.layers]


def test_normalization_keeps_what_it_adapted_to():
    rng = np.random.default_rng(0)
    inputs, normalization = keras.Input((8, 3)), layers.Normalization()
    normalization.adapt(rng.normal(5.0, 3.0, size=(40, 8, 3)))
    seed = headed(conv("a")(normalization(inputs)), inputs)
    search = keras_pit.convert(seed)
    x = rng.normal(5.0, 3.0, size=(2, 8, 3)).astype("float32")
    np.testing.assert_allclose(search(x), seed(x), rtol=1e-5)
    np.testing.assert_allclose(keras_pit.export(search)(x), seed(x), rtol=1e-5)


def test_kernel_2d_alone_is_the_whole_kernel():
    model = keras.Sequential([keras.Input((8, 1, 3)), layers.Conv2D(4, (3, 1), name="a")])
    layer = keras_pit.convert(model, search=("kernel_2d",)).get_layer("a")
    assert (layer.alpha, layer.beta is None, layer.gamma is None) == (None, False, False)


def test_nothing_to_search_is_told():
    with pytest.warns(UserWarning, match="Nothing can be searched in model 'network'.*'d' reaches the output 'd'"):
        keras_pit.convert(keras.Sequential([keras.Input((10,)), dense("d", 3)], name="network"))


def test_python_lambda_is_frozen():
    inputs = keras.Input((8, 3))
    model = headed(conv("b", 5)(layers.Lambda(lambda x: 2 * x, name="double")(conv("a")(inputs))), inputs)
    search = keras_pit.convert(model)
    assert classes_of(search) == {"b": 5}
    assert frozen_of(search) == {"a": "meets Lambda 'double', which is not followed", **HEAD}


def test_concatenated_constants_are_no_channels():
    inputs = keras.Input(batch_shape=(2, 8, 3))
    x = ops.concatenate([conv("a")(inputs), np.ones((2, 8, 2), "float32")], axis=-1)
    search = keras_pit.convert(headed(conv("b", 5)(x), inputs))
    random_masks(search, np.random.default_rng(0), 0.4)
    x = np.random.default_rng(0).normal(size=(2, 8, 3)).astype("float32")
    np.testing.assert_allclose(keras_pit.export(search)(x), search(x), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("width", [1, 2])
def test_noise_shape_with_the_channels_in_it_can_be_trained_on(width):
    inputs = keras.Input((8, 3))
    x = layers.Dropout(0.5, noise_shape=(None, 1, 4))(conv("a")(inputs))
    slim = pruned(headed(conv("b", 5)(x), inputs), a=list(range(width)))
    assert slim(np.ones((2, 8, 3), "float32"), training=True).shape == (2, 2)


@pytest.mark.parametrize("name", ["take", "get_item", "a_pad", "a_crop", "conv1d"])
def test_names_of_helpers_do_not_clash(name):
    inputs = keras.Input((8, 3))
    x = conv("a", padding="valid")(conv(name, 8)(inputs)[..., ::2])
    search = keras_pit.convert(headed(x, inputs))
    random_masks(search, np.random.default_rng(0), 0.5)
    # What stays of every second channel is then spaced unevenly.
    search.get_layer(name).alpha.assign([1, 1, 0, 1, 1, 1, 1, 0])
    slim = keras_pit.export(search)
    x = np.random.default_rng(0).normal(size=(2, 8, 3)).astype("float32")
    np.testing.assert_allclose(slim(x), search(x), rtol=1e-4, atol=1e-6)
