"""What cannot run step by step is an error that names the layer and the reason."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_pit
from keras_pit.deployment import DeploymentError, to_tflite


def softmax_over_time(x):
    return layers.GlobalAveragePooling1D()(layers.Softmax(axis=1, name="culprit")(x))


def attention(x):
    scores = layers.Dense(1)(x)
    weights = layers.Softmax(axis=1, name="culprit")(scores)
    return layers.Flatten()(layers.Dot(axes=1)([weights, x]))


def products(x):
    return layers.GlobalAveragePooling1D()(layers.Dot(axes=(1, 1), name="culprit")([x, x]))


def upsampling(x):
    return layers.GlobalAveragePooling1D()(layers.UpSampling1D(2, name="culprit")(x))


def transposed(x):
    return layers.GlobalAveragePooling1D()(layers.Conv1DTranspose(4, 4, strides=2, padding="same", name="culprit")(x))


def recurrent(x):
    return layers.LSTM(4, unroll=True, name="culprit")(x)


def bidirectional(x):
    return layers.Bidirectional(layers.GRU(4, unroll=True), name="culprit")(x)


def backwards(x):
    return layers.Flatten()(layers.Conv1D(4, 3)(ops.flip(x, 1)))


def along_time(x):
    return layers.GlobalAveragePooling1D()(layers.Concatenate(axis=1, name="culprit")([x, x]))


def two_rates(x):
    one = layers.GlobalAveragePooling1D()(layers.MaxPooling1D(2)(x))
    two = layers.GlobalAveragePooling1D()(layers.MaxPooling1D(3, name="culprit")(x))
    return layers.Concatenate()([one, two])


def unequal_strides(x):
    one = layers.Conv1D(4, 2, strides=2, padding="same")(x)
    two = layers.Conv1D(4, 1)(x)[:, :6]
    return layers.Flatten()(layers.Add(name="culprit")([one, two]))


def chunks(x):
    return layers.GlobalAveragePooling1D()(layers.Conv1D(4, 3)(layers.Reshape((6, 8), name="culprit")(x)))


def average_of_edges(x):
    return layers.GlobalAveragePooling1D()(layers.AveragePooling1D(3, 1, "same", name="culprit")(x))


def maximum_of_edges(x):
    return layers.GlobalAveragePooling1D()(layers.MaxPooling1D(3, 1, "same", name="culprit")(x))


CULPRITS = {
    softmax_over_time: "softmax over time",
    attention: "softmax over time",
    products: "attention",
    upsampling: "is an upsampling",
    transposed: "is an upsampling",
    recurrent: "recurrent",
    bidirectional: "recurrent",
    along_time: "along time",
    two_rates: "every 3 steps beside layers that run every 2",
    unequal_strides: "every 1 and every 2",
    chunks: "takes time apart",
    average_of_edges: "padding 'same'",
    maximum_of_edges: "padding 'same'",
}


def model_of(build):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((12, 4))
    return keras.Model(inputs, build(inputs)), np.random.default_rng(0).normal(size=(8, 12, 4)).astype("float32")


@pytest.mark.parametrize("build", CULPRITS, ids=lambda build: build.__name__)
def test_the_layer_and_the_reason(build):
    model, x = model_of(build)
    with pytest.raises(DeploymentError, match=rf"cannot stream: .*'culprit'.*({CULPRITS[build]})"):
        to_tflite(model, x, streaming=True, verify=False)


def test_backwards():
    model, x = model_of(backwards)
    with pytest.raises(DeploymentError, match=r"cannot stream: .*backwards in time"):
        to_tflite(model, x, streaming=True, verify=False)


def test_a_vector_has_no_time():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    with pytest.raises(DeploymentError, match=r"cannot stream: .*input of shape \(6,\) without a time axis"):
        to_tflite(model, np.random.default_rng(0).normal(size=(8, 6)), streaming=True, verify=False)


def test_the_costs_name_it_too():
    model, _ = model_of(upsampling)
    with pytest.raises(ValueError, match=r"cannot stream: layer 'culprit' .*upsampling.*whole windows"):
        keras_pit.cost(model, "streaming_ram")


@pytest.mark.parametrize("quantization", ["int16x8", None])
def test_int8_alone(quantization):
    model, x = model_of(lambda x: layers.Conv1D(3, 3)(x))
    with pytest.raises(ValueError, match="streaming file needs quantization='int8'"):
        to_tflite(model, x, quantization=quantization, streaming=True)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"streaming": "yes"}, TypeError, "`streaming` must be True or False"),
        ({"streaming": True, "decide_every": 0}, ValueError, "`decide_every` must be a whole number of at least 1"),
        ({"decide_every": 4}, ValueError, "`decide_every` is for streaming files"),
    ],
)
def test_arguments(arguments, error, match):
    model, x = model_of(lambda x: layers.Conv1D(3, 3)(x))
    with pytest.raises(error, match=match):
        to_tflite(model, x, **arguments)
