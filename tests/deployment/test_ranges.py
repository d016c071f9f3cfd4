"""Ranges that hold nothing: files fail with the tensor's name, or run where zeros do no harm."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_pit.deployment import DeploymentError, run_litert, to_tflite

X = np.random.default_rng(0).normal(size=(32, 12, 4)).astype("float32")


def zeros(**options):
    return layers.Dense(3, kernel_initializer="zeros", name="dead", **options)


def norm():
    return layers.BatchNormalization(gamma_initializer="zeros", name="dead")


SMALL = keras.initializers.Constant(1e-9)

EMPTY = {
    "zeros before softmax": (lambda x: layers.Softmax()(zeros()(layers.Flatten()(x))), "'dead/.*SOFTMAX", 1),
    "gamma before softmax": (lambda x: layers.Softmax()(norm()(layers.Conv1D(3, 1, name="dead_conv")(x))), "'dead", 1),
    "difference": (lambda x: layers.Flatten()(layers.Subtract(name="dead")([x, x])), "'dead/Sub.*kernel of SUB", 1),
    "inputs": (lambda x: layers.Dense(2)(layers.Flatten()(x)), "'signal'", 1e-12),
    "small weights": (
        lambda x: layers.Softmax()(layers.Dense(3, name="dead", kernel_initializer=SMALL)(x)),
        "'dead/.*SOFTMAX",
        1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EMPTY)
def test_empty_range_is_named(name):
    build, message, scale = EMPTY[name]
    keras.utils.set_random_seed(0)
    inputs = keras.Input((12, 4), name="signal")
    model = keras.Model(inputs, build(inputs))
    expected = rf"(?s)Tensor {message}.*(Train it|calibrate with inputs as they are in use)"
    with pytest.raises(DeploymentError, match=expected.replace("Tensor 'dead", r"Tensor '[^']*dead")) as refusal:
        to_tflite(model, X * np.float32(scale))
    assert "SIGABRT" not in str(refusal.value)


def test_no_process_is_started_for_a_kernel_that_would_end_it():
    inputs = keras.Input((12, 4))
    model = keras.Model(inputs, layers.Softmax()(zeros()(layers.Flatten()(inputs))))
    with pytest.raises(DeploymentError, match="which would end the program"):
        to_tflite(model, X, verify=False)


def test_zeros_that_do_no_harm_pass():
    """A block that starts as the identity, as those of residual networks."""
    inputs = keras.Input((12, 4))
    x = layers.Add()([inputs, norm()(layers.Conv1D(4, 3, padding="same")(inputs))])
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    expected = model.predict(X, verbose=0)
    result = run_litert(to_tflite(model, X), X).dequantized[0]
    assert np.abs(result - expected).max() < 0.05 * np.ptp(expected)


RAW = {
    "far from zero": ([1.0, 1.0, 1.0, 1.0], [1000.0, -500.0, 0.0, 0.0], "0 .*1 .*2 .*3 .*int16x8", 0.05),
    "unequal": ([100.0, 1.0, 0.5, 0.5], [1000.0, 0.0, 0.0, 0.0], "1 .*2 .*3 .*int16x8", 0.1),
    "beyond 16 bits": ([1e5, 1.0, 1e-2, 10.0], [1e5, 0.0, 0.0, 30.0], "1 .*2 .*3 ", None),
}


@pytest.mark.parametrize("name", RAW)
def test_channels_that_one_scale_swallows(name):
    """8 bits say why they fail, and name 16 bits where these serve, which then do."""
    scale, offset, channels, bound = RAW[name]
    x = (X * np.array(scale) + np.array(offset)).astype("float32")
    keras.utils.set_random_seed(0)
    adapted = layers.Normalization(axis=-1)
    adapted.adapt(x)
    head = [layers.Conv1D(4, 3, activation="relu"), layers.Flatten(), layers.Dense(2)]
    model = keras.Sequential([keras.Input((12, 4), name="signal"), adapted, *head])
    message = f"'signal' has one scale for all of its channels, .* channels {channels}"
    with pytest.raises(DeploymentError, match=message) as refusal:
        to_tflite(model, x)
    if bound is None:
        assert "int16x8" not in str(refusal.value)
        return
    expected = model.predict(x, verbose=0)
    result = run_litert(to_tflite(model, x, quantization="int16x8"), x).dequantized[0]
    assert np.sqrt(np.mean((result - expected) ** 2)) < bound * expected.std()
