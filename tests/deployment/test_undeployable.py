"""Models and options that cannot be deployed are refused, each by name."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from deployed import make, simple
from keras import layers
from versions import since

from keras_pit.deployment import DeploymentError, to_tflite


def poisoned():
    model = keras.Sequential([layers.Input((4,)), layers.Dense(2, name="bad")])
    model.get_layer("bad").bias.assign([0.0, np.nan])
    return model


def unused_input():
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    return keras.Model([left, right], layers.Dense(2)(right))


class SearchLayer(layers.Dense):
    __module__ = "keras_pit.layers.example"


class OwnCall(keras.Model):
    def call(self, inputs):
        return 2.0 * super().call(inputs)


def own_call():
    inputs = keras.Input((4,))
    return OwnCall(inputs, layers.Dense(2)(inputs), name="double")


BAD_MODELS = {
    "time": (
        lambda: simple(layers.Conv1D(2, 3), layers.GlobalMaxPool1D(), shape=(None, 3)),
        r"\(None, None, 3\); expected fixed sizes",
    ),
    "batch": (lambda: simple(layers.Dense(2), batch_size=4), "batch size 4 built in"),
    "unbuilt": (lambda: keras.Sequential([layers.Dense(2)]), "no defined inputs; .*Wrap it"),
    "words": (
        lambda: simple(layers.Embedding(9, 4, name="words"), layers.Flatten(), shape=(5,)),
        r"'words' \(Embedding\) reads float32; expected integers.*dtype='int32'",
    ),
    "poisoned": (poisoned, r"'bad' \(Dense\): weight .*bad/bias' holds NaN"),
    "unused": (unused_input, "Input 'left' .* has no effect on the outputs"),
    "search": (lambda: simple(SearchLayer(2)), "search model; .* Call keras_pit.export first"),
    "own call": (own_call, r"'double' \(OwnCall\) has a call of its own.*keras.Model\(x, model.call\(x\)\)"),
    "own call inside": (lambda: simple(own_call()), r"'double' \(OwnCall\) has a call of its own"),
}


NEW_KERAS = since("keras", "3.15", "does not build models with an input that is not used")


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=NEW_KERAS if case == "unused" else ()) for case in BAD_MODELS]
)
def test_bad_model_is_refused(case):
    build, message = BAD_MODELS[case]
    with pytest.raises(ValueError, match=message):
        to_tflite(build(), quantization=None)


def test_unknown_quantization_is_refused():
    with pytest.raises(ValueError, match=r"`quantization` must be one of 'int8', 'int16x8', received 'int4'"):
        to_tflite(make("dense")[0], quantization="int4")


def test_wrong_kernel_is_refused_by_name():
    """TFLite-Micro's quantised SUM ignores the scales and zero points."""
    inputs = keras.Input((8,))
    total = layers.Lambda(lambda x: keras.ops.sum(x, axis=-1, keepdims=True))
    model = keras.Model(inputs, total(layers.Dense(4)(inputs)))
    x = np.random.default_rng(0).normal(size=(16, 8)).astype("float32")
    with pytest.raises(DeploymentError, match=r"misreads the file at SUM \('dense.* steps from"):
        to_tflite(model, x)
    assert to_tflite(model, x, quantization=None)


UNSUPPORTED = {
    "no integer kernel": (
        lambda: simple(layers.Lambda(lambda x: keras.ops.cumsum(x, axis=1), name="summed"), shape=(4, 2)),
        r"computes with floats: CUMSUM \(.*summed.*replace the layer",
    ),
    "no micro kernel": (
        lambda: simple(layers.Lambda(lambda x: tf.tile(x, (1, 1, 2)), name="bigger"), shape=(4, 2)),
        r"TFLite-Micro has no kernel for TILE \(.*bigger.*Didn't find op for builtin opcode",
    ),
    "no kernel": (
        lambda: simple(layers.Lambda(lambda x: keras.ops.erfinv(x[:, ::-1]), name="odd")),
        "TFLite has no kernel for Erfinv in 'odd",
    ),
    "loop": (
        lambda: simple(layers.LSTM(3, name="memory"), shape=(4, 3)),
        "loop or branch in 'memory.*unroll=True",
    ),
}


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_unsupported_layer_is_named(case):
    build, message = UNSUPPORTED[case]
    model = build()
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (8, *model.inputs[0].shape[1:]))
    with pytest.raises(DeploymentError, match=f"(?s){message}"):
        to_tflite(model, x)
