"""Small networks that stream, by what they have in them."""

import functools

import keras
import numpy as np
from generator import randomize
from keras import layers

import keras_pit

LENGTH = 20


def _conv(x, filters=8, size=3, padding="causal", **arguments):
    x = layers.Conv1D(filters, size, padding=padding, **arguments)(x)
    return layers.ReLU()(layers.BatchNormalization()(x))


def _classified(x, pool=layers.GlobalAveragePooling1D):
    return layers.Dense(3)(pool()(x))


def causal(x):
    for dilation in (1, 2, 4):
        x = _conv(x, dilation_rate=dilation)
    return layers.Softmax()(_classified(x))


def valid(x):
    return _classified(_conv(_conv(x, padding="valid"), padding="valid", dilation_rate=2))


def strides(x):
    short = layers.Conv1D(8, 1, strides=2, padding="causal")(x)
    x = layers.Add()([_conv(x, size=5, strides=2), short])
    return _classified(_conv(x, strides=2), layers.GlobalMaxPooling1D)


def pooled(x):
    x = layers.MaxPooling1D(2)(_conv(x, padding="valid"))
    x = layers.AveragePooling1D(3)(_conv(x))
    return layers.Dense(3)(layers.Flatten()(x))


def same(x):
    x = _conv(x, padding="same")
    x = layers.Concatenate()([x, _conv(x, 4, 5, "same"), layers.Activation("tanh")(x)])
    return _classified(layers.Conv1D(8, 4, strides=2, padding="same")(x))


def look_ahead_twice(x):
    x = layers.Conv1D(8, 3, padding="same")(layers.Conv1D(8, 5, padding="valid")(x))
    return _classified(layers.Activation("tanh")(layers.Conv1D(8, 3, padding="causal")(x)))


def depthwise(x):
    x = layers.DepthwiseConv1D(3, depth_multiplier=2, dilation_rate=2)(layers.ZeroPadding1D((4, 0))(x))
    return _classified(layers.SeparableConv1D(8, 3, activation="relu")(layers.ReLU()(x)))


def squeeze_and_excite(x):
    x = _conv(x)
    gate = layers.Dense(8, activation="sigmoid")(layers.GlobalAveragePooling1D()(x))
    x = layers.Multiply()([x, layers.Reshape((1, 8))(gate)])
    return _classified(_conv(x))


def sequence(x):
    x = _conv(_conv(x), padding="valid")
    return layers.Dense(3)(layers.Activation("gelu")(x))


def last_step(x):
    return layers.Dense(3)(_conv(_conv(x), dilation_rate=3)[:, -1])


def later_steps(x):
    return layers.Dense(3)(layers.Flatten()(layers.Cropping1D((4, 1))(_conv(x))[:, ::3]))


def thinned(x):
    """Nothing is kept of the steps that are left out."""
    x = layers.Conv1D(8, 1, strides=2, activation="relu")(layers.MaxPooling1D(1, 2)(x[:, 1:]))
    return _classified(x)


def every_third(x):
    return _classified(layers.Conv1D(8, 2, activation="relu")(x[:, 1::3]))


def functions(x):
    x = layers.PReLU(shared_axes=[1])(layers.Conv1D(8, 3, padding="causal")(x))
    x = layers.LayerNormalization()(layers.LeakyReLU()(x) + 1.0)
    return _classified(keras.ops.minimum(layers.Activation("silu")(x), 2.0 * x))


def grouped(x):
    x = layers.Conv1D(8, 3, padding="causal", groups=2)(_conv(x))
    return layers.Dense(3)(layers.Concatenate()([layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)]))


def frames(x):
    x = layers.Conv2D(8, (5, 4), strides=2, padding="same", activation="relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    x = layers.Conv2D(8, 1, activation="relu")(x)
    return layers.Dense(3)(layers.Flatten()(layers.AveragePooling2D(x.shape[1:3])(x)))


def bands(x):
    x = layers.Conv2D(4, (3, 3), activation="relu")(x)
    x = layers.MaxPooling2D((1, 2))(x)
    x = layers.Reshape((x.shape[1], x.shape[2] * x.shape[3]))(x)
    return _classified(_conv(x))


NETWORKS = {
    function.__name__: function
    for function in (
        causal, valid, strides, pooled, same, look_ahead_twice, depthwise, squeeze_and_excite, sequence, last_step,
        later_steps, thinned, every_third, functions, grouped, frames, bands,
    )
}  # fmt: skip
MAPS = ("frames", "bands")


@functools.cache
def built(name):
    """A network with random weights, and windows to calibrate it with."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((LENGTH, 7, 1) if name in MAPS else (LENGTH, 4))
    model = keras.Model(inputs, NETWORKS[name](inputs))
    rng = np.random.default_rng(3)
    randomize(model, rng)
    return model, rng.normal(size=(12, *model.input_shape[1:])).astype("float32")


@functools.cache
def streaming_file(name):
    """Its streaming file, verified."""
    model, x = built(name)
    return keras_pit.to_tflite(model, x, streaming=True)
