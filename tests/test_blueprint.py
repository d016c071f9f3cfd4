"""Costs of a board, before any file is made: the blueprint is what `to_tflite` makes, also with soft sizes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from generator import random_masks
from keras import layers

import keras_pit
from keras_pit import boards
from keras_pit.blueprint import Blueprint
from keras_pit.deployment.flatbuffer import read_program


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


def sharing_names():
    """Models in a model, with layers of the same name in them."""

    def block():
        inputs = keras.Input((32, 8))
        return keras.Model(inputs, layers.Conv1D(8, 3, padding="causal", activation="relu", name="conv")(inputs))

    inputs = keras.Input((32, 8))
    x = layers.Flatten()(block()(block()(inputs)))
    return keras.Model(inputs, layers.Dense(3)(x))


NETWORKS = {network.__name__: network for network in (causal, same, valid, depthwise, branches, sharing_names)}
METRICS = ("ram", "latency", "ram:pico2", "latency:disco-f746ng")


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


def listed(program):
    """Operators with all that decides what they cost."""
    return [
        (op.name, tuple(op.stride), tuple(op.dilation), op.padding, op.activation, program.tensors[op.outputs[0]].shape)
        for op in program.operators
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_blueprint_is_what_the_file_holds(name):
    model = made(name)
    tflite = keras_pit.to_tflite(model, samples(model), verify=False)
    found, expected = Blueprint.of(model).program(), read_program(tflite)
    assert sorted(listed(found)) == sorted(listed(expected))
    assert keras_pit.cost(model, "flash") == pytest.approx(len(tflite), rel=0.02)
    for metric in METRICS:
        board = boards.get(metric.partition(":")[2] or keras_pit.costs.registry.BOARD)
        function = getattr(keras_pit.costs, metric.partition(":")[0])
        assert keras_pit.cost(model, metric) == pytest.approx(function(expected, board), rel=0.01)


@pytest.mark.parametrize("name", NETWORKS)
def test_soft_costs_are_those_of_the_exported_model(name):
    search = keras_pit.convert(made(name), {"latency": 1.0})
    names = [*METRICS, "flash"]
    soft = tf.function(lambda: search.costs(names, search.reader()))
    for seed, density in enumerate((None, 0.3, 0.6, 0.9)):
        random_masks(search, np.random.default_rng(seed), density)
        slim = keras_pit.export(search)
        *now, flash = soft().numpy()
        exact = [keras_pit.cost(slim, metric) for metric in METRICS]
        # Each PAD has its own tensor of paddings, where those of the file share it: some bytes of RAM more.
        assert all(one * (1 - 1e-6) <= other <= one * 1.01 for one, other in zip(exact, now, strict=True))
        assert now[1::2] == pytest.approx(exact[1::2], rel=1e-5)
        assert [keras_pit.cost(search, metric, discrete=True) for metric in METRICS] == exact
        exact = keras_pit.cost(slim, "flash")
        assert exact <= flash <= 1.03 * exact + 400


@pytest.mark.parametrize("metric", ["flash", "ram", "latency"])
def test_more_channels_never_cost_less(metric):
    search = keras_pit.convert(made("causal"), metric)
    alphas = [layer.alpha for layer in search.search_layers if layer.alpha is not None]
    with tf.GradientTape() as tape:
        value = keras_pit.cost(search, metric)
    slopes = tape.gradient(value, [alpha.value for alpha in alphas])
    assert all((tf.convert_to_tensor(slope).numpy() >= 0).all() for slope in slopes if slope is not None)
    assert any(tf.convert_to_tensor(slope).numpy().max() > 0 for slope in slopes if slope is not None)


def test_gradient_of_a_channel_is_about_what_it_costs():
    search = keras_pit.convert(made("causal"), "latency")
    alpha = search.search_layers[0].alpha
    with tf.GradientTape() as tape:
        before = keras_pit.cost(search, "latency")
    slope = tf.convert_to_tensor(tape.gradient(before, alpha.value)).numpy()
    alpha.assign(np.where(np.arange(12) < 4, 0.4, 0.6))
    saved = float(before - keras_pit.cost(search, "latency"))
    assert slope[:4].sum() == pytest.approx(saved, rel=0.15)


@pytest.mark.parametrize("jit", [False, True])
def test_exact_costs_are_in_the_logs(jit):
    search = keras_pit.convert(made("causal"), {"flash": 1.0, "ram": 1.0, "latency": 1.0}, strength=30.0)
    search.compile("adam", "sparse_categorical_crossentropy", jit_compile=jit)
    x = samples(search, 64)
    history = search.fit(x, np.zeros(64), 8, epochs=16, verbose=0).history
    slim = keras_pit.export(search)
    for metric in ("flash", "ram", "latency"):
        assert history[metric][-1] == keras_pit.cost(slim, metric)
        assert history[metric][-1] < history[metric][0]


def test_a_board_is_a_target():
    board = boards.Board("tiny", "Tiny", "X", "cortex-m4", 64, 170_000, 40_000, "none")
    assert not keras_pit.fits(made("causal"), board, reserved=boards.Reserved(169_000, 0))
    reserved = boards.Reserved(165_000, 34_000)
    assert board.target(latency=5, reserved=reserved) == {"flash": 5000, "ram:tiny": 6000, "latency:tiny": 5}
    search = keras_pit.convert(made("causal"), target="nano33ble")
    assert set(search.origin.costs) == {"flash", "ram:nano33ble"}


def test_a_cost_of_a_layer_has_no_board():
    with pytest.raises(ValueError, match="Unknown cost 'size:pico'"):
        keras_pit.cost(made("causal"), "size:pico")
    with pytest.raises(ValueError, match="Unknown board 'pic'"):
        keras_pit.cost(made("causal"), "ram:pic")
