"""Quantization-aware fine-tuning: starts as the slim model, trains on the same data, ends as the same kind of file."""

import keras
import numpy as np
import pytest
from generator import randomize
from keras import layers, ops
from small import lively, randomized

import keras_pit
from examples.networks import NETWORKS
from keras_pit.deployment import run_litert, run_tflite_micro, to_tflite, verify
from keras_pit.deployment.flatbuffer import read_graph, unpack
from keras_pit.deployment.qat import as_tf_keras
from keras_pit.lowering import form, lower

HAND_TUNED = [name for name in NETWORKS if not name.endswith("_seed")]
SEQUENCE = (24, 4)


def conv(filters=6, **options):
    return layers.Conv1D(filters, 3, **{"padding": "causal", "activation": "relu", **options})


def tcn(x):
    x = layers.ReLU()(layers.BatchNormalization()(conv(activation=None, dilation_rate=2)(x)))
    x = layers.GlobalAveragePooling1D()(conv(dilation_rate=4)(x))
    return layers.Dense(3, activation="softmax")(x)


def residual(x):
    y = layers.Add()([conv(activation=None)(x), conv(activation=None)(x)])
    return layers.Dense(2)(layers.Flatten()(layers.MaxPooling1D(2)(layers.ReLU()(y))))


def concatenated(x):
    y = layers.Concatenate()([conv()(x), conv(4)(x)])
    return layers.Dense(2)(layers.GlobalMaxPooling1D()(conv()(y)))


def pooled_before_relu(x):
    x = layers.BatchNormalization()(layers.ReLU()(layers.AveragePooling1D(2)(conv(activation=None)(x))))
    return layers.Dense(2)(layers.Flatten()(x))


def gated(x):
    y = layers.Dense(4, activation="sigmoid")(layers.GlobalAveragePooling1D(keepdims=True)(x))
    return layers.Conv1D(2, 1)(layers.LeakyReLU()(x * y))


def mobile(x):
    x = layers.DepthwiseConv1D(3, padding="same", activation="relu6")(x)
    x = layers.Conv1DTranspose(5, 4, strides=2, padding="same")(x)
    return layers.Dense(2)(layers.GlobalAveragePooling1D()(layers.UpSampling1D(2)(x)))


def attention(x):
    weights = layers.Softmax(axis=1)(layers.Dense(1)(x))
    return layers.Dense(2)(layers.Flatten()(layers.Dot(axes=1)([weights, x])))


def sequence_to_sequence(x):
    return layers.Conv1D(2, 1, name="last")(ops.tanh(conv(activation=None, name="first")(x)))


SMALL = {
    build.__name__: build
    for build in (
        tcn, residual, concatenated, pooled_before_relu, gated, mobile, attention, sequence_to_sequence,
    )
}  # fmt: skip


def small(name, samples=64):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SEQUENCE, name="signal")
    model, rng = keras.Model(inputs, SMALL[name](inputs), name=name), np.random.default_rng(0)
    randomize(model, rng)
    return model, lively(rng, samples, SEQUENCE)


def distance(results, expected):
    return float(np.abs(results - expected).max() / np.abs(expected).max())


def operators(tflite):
    return sorted(op.name for op in read_graph(tflite).ops)


@pytest.mark.parametrize("name", HAND_TUNED)
def test_float_form_is_the_model(name):
    model, x = randomized(name)
    floats = as_tf_keras(lower(model), model, rounding=False)
    assert floats.input_shape == model.input_shape
    assert floats.output_shape == model.output_shape
    assert distance(floats.predict(x[:4], verbose=0), model.predict(x[:4], verbose=0)) < 1e-5


@pytest.mark.parametrize("name", ["tcn", "residual", "sequence_to_sequence"])
def test_start_rounds_weights_alone(name):
    """Without data, nothing is known of activations: these pass, and weights round to 1 / 254 of the largest."""
    model, x = small(name)
    start = distance(keras_pit.quantize_aware(model).predict(x, verbose=0), model.predict(x, verbose=0))
    assert 1e-5 < start < 0.03


@pytest.mark.parametrize("name", SMALL)
def test_file_computes_what_was_trained(name):
    model, x = small(name)
    expected = model.predict(x, verbose=0)
    qat = keras_pit.quantize_aware(model, x)
    rounded = qat.predict(x, verbose=0)
    tflite = to_tflite(qat, x)
    assert operators(tflite) == operators(to_tflite(model, x, verify=False))
    output = read_graph(tflite).outputs[0]
    assert output.shape == form(model.outputs[0].shape)
    result = run_litert(tflite, x).dequantized[0].reshape(expected.shape)
    # Integer kernels also round where training does not (means of a pooling, softmax): a few steps of 256.
    assert np.abs(result - rounded).max() <= 6.01 * output.scale
    assert distance(result, expected) < 0.08
    assert verify(tflite, x).largest <= 1


def test_fit_takes_the_data_of_the_model_and_learns():
    model, x = small("tcn", samples=256)
    target = model.predict(x, verbose=0).argmax(-1)
    for layer in model.layers:  # weights that are wrong by a fifth
        noise = [np.random.default_rng(1).normal(1, 0.2, w.shape) for w in layer.get_weights()]
        layer.set_weights([w * n if w.ndim > 1 else w for w, n in zip(layer.get_weights(), noise, strict=True)])
    qat = keras_pit.quantize_aware(model)
    qat.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = qat.fit(x, target, epochs=15, verbose=0).history
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    tflite = to_tflite(qat, x[:32])
    on_micro = (run_tflite_micro(tflite, x).dequantized[0].argmax(-1) == target).mean()
    in_training = (qat.predict(x, verbose=0).argmax(-1) == target).mean()
    assert on_micro == pytest.approx(in_training, abs=0.02)


def test_weights_in_the_file_are_those_that_were_trained_with():
    model, x = small("sequence_to_sequence")
    qat = keras_pit.quantize_aware(model, x)
    (kernel,) = [w.numpy() for w in qat.get_layer("first").trainable_weights if w.name.endswith("kernel:0")]
    content = unpack(to_tflite(qat, x, verify=False))
    convolution = next(op for op in content.subgraphs[0].operators if len(op.inputs) == 3)
    tensor = content.subgraphs[0].tensors[convolution.inputs[1]]
    integers = np.asarray(content.buffers[tensor.buffer].data).view(np.int8).reshape(tensor.shape)
    scale = np.abs(kernel).max((0, 1, 2)) / 127
    np.testing.assert_allclose(tensor.quantization.scale, scale, rtol=1e-6)
    np.testing.assert_array_equal(integers, np.moveaxis(np.round(kernel / scale), 3, 0))


def test_ranges_start_with_the_first_batch_and_move_slowly():
    model, x = small("sequence_to_sequence")
    qat = keras_pit.quantize_aware(model)
    entry = {weight.name: weight for weight in qat.get_layer("signal_entry").non_trainable_weights}
    low, high = entry["signal_entry/output_min:0"], entry["signal_entry/output_max:0"]
    qat(x, training=True)
    assert (float(low), float(high)) == (x.min(), x.max())
    qat(2 * x, training=True)
    assert float(low) == pytest.approx(1.01 * x.min())
    qat(2 * x, training=False)
    assert float(high) == pytest.approx(1.01 * x.max())


def test_structures_of_inputs_and_outputs_stay():
    left, right = keras.Input((8, 2), name="left"), keras.Input((8, 2), name="right")
    y = layers.Conv1D(3, 3, padding="same")(layers.Add()([left, right]))
    model = keras.Model({"left": left, "right": right}, {"map": y, "mean": layers.GlobalAveragePooling1D()(y)})
    rng = np.random.default_rng(0)
    x = {"left": lively(rng, 40, (8, 2)), "right": lively(rng, 40, (8, 2))}
    qat = keras_pit.quantize_aware(model, x)
    expected, results = model.predict(x, verbose=0), qat.predict(x, verbose=0)
    assert results.keys() == expected.keys()
    for name in expected:
        assert results[name].shape == expected[name].shape
        assert distance(results[name], expected[name]) < 0.05
    assert [tensor.shape for tensor in read_graph(to_tflite(qat, x)).outputs] == [(1, 1, 8, 3), (1, 3)]


def test_logits_leave_out_the_softmax():
    model, x = small("tcn")
    qat = keras_pit.quantize_aware(model, x)
    assert "SOFTMAX" in operators(to_tflite(qat, verify=False))
    tflite = to_tflite(qat, logits=True)
    assert "SOFTMAX" not in operators(tflite)
    probabilities = np.asarray(keras.ops.softmax(run_litert(tflite, x).dequantized[0]))
    assert distance(probabilities, qat.predict(x, verbose=0)) < 0.05


def test_model_is_left_alone_and_weights_are_copies():
    model, x = small("tcn")
    before = model.get_weights()
    qat = keras_pit.quantize_aware(model)
    qat.compile("sgd", "mse")
    qat.fit(x, np.zeros((len(x), 3)), verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    model.compile("adam", "mse")
    model.fit(x, np.zeros((len(x), 3)), verbose=0)


def test_weights_can_be_saved(tmp_path):
    model, x = small("tcn")
    qat = keras_pit.quantize_aware(model, x)
    qat.compile("sgd", "mse")
    qat.fit(x, np.zeros((len(x), 3)), verbose=0)
    with pytest.raises(NotImplementedError, match=r"cannot be saved whole.* qat.save_weights\(path\)"):
        qat.save(tmp_path / "q.keras")
    qat.save_weights(tmp_path / "q.weights.h5")
    again = keras_pit.quantize_aware(model)
    again.load_weights(tmp_path / "q.weights.h5")
    np.testing.assert_array_equal(again.predict(x, verbose=0), qat.predict(x, verbose=0))
    assert to_tflite(again, x, verify=False) == to_tflite(qat, x, verify=False)


def test_what_cannot_be_converted_is_refused():
    import tf_keras

    model, x = small("tcn")
    qat = keras_pit.quantize_aware(model)
    with pytest.raises(
        ValueError, match=r"'tcn' has seen no data since quantize_aware, so the outputs of signal_entry"
    ):
        to_tflite(qat)
    with pytest.raises(ValueError, match=r"'tcn' from quantize_aware was trained for int8; received .*'int16x8'"):
        to_tflite(qat, x, quantization="int16x8")
    other = tf_keras.Sequential([tf_keras.layers.Dense(2, input_shape=(3,))], name="other")
    with pytest.raises(ValueError, match="'other' is a tf_keras model that quantize_aware did not make"):
        to_tflite(other)
    with pytest.raises(ValueError, match=r"calibration for input 'signal' has shape \(64, 4\)"):
        keras_pit.quantize_aware(model, x[:, 0])


def twice(kind):
    """Two layers of a kind, each in a model of its own, with names that others lead to."""

    def inner(name):
        x = keras.Input((12, 4))
        return keras.Model(x, kind("same")(x), name=name)

    inputs = keras.Input((12, 4), name="same_1")
    x = layers.Concatenate(name="same_2")([inner("one")(inputs), inner("two")(inputs)])
    return keras.Model(inputs, layers.Dense(2, name="same_1_entry")(layers.Flatten(name="exit_0")(x)), name="same")


TWICE = {
    "separable": lambda name: layers.SeparableConv1D(4, 3, name=name),
    "pooling": lambda name: layers.MaxPooling1D(2, name=name),
    "swish": lambda name: layers.Conv1D(4, 3, activation="swish", name=name),
    "activation": lambda name: layers.Activation("silu", name=name),
    "hard sigmoid": lambda name: layers.Activation("hard_sigmoid", name=name),
    "gelu": lambda name: layers.Activation("gelu", name=name),
    "batch norm": lambda name: layers.BatchNormalization(name=name),
}


@pytest.mark.parametrize("name", TWICE)
def test_two_layers_of_a_kind(name):
    x = lively(np.random.default_rng(0), 32, (12, 4))
    qat = keras_pit.quantize_aware(twice(TWICE[name]), x)
    names = [layer.name for layer in qat.layers]
    assert len(set(names)) == len(names)
    assert to_tflite(qat, x)


def test_names_beyond_ascii():
    """Of layers, inputs and the model; data by the names that the model has."""
    inputs = {name: keras.Input((12, 4), name=name) for name in ("вход", "b c")}
    x = layers.Conv1D(4, 3, name="Ürsprung ä")(layers.Add(name="层")(list(inputs.values())))
    model = keras.Model(inputs, layers.Dense(2, name="面")(layers.Flatten(name="it's")(x)), name="模型")
    rng = np.random.default_rng(0)
    data = {name: lively(rng, 32, (12, 4)) for name in inputs}
    assert to_tflite(model, data)
    qat = keras_pit.quantize_aware(model, data)
    qat.compile("sgd", "mse")
    qat.fit(data, np.zeros((32, 2)), verbose=0)
    assert to_tflite(qat, data)


@pytest.mark.parametrize("pads", [(0, 0), (4, 4)], ids=["valid", "same"])
def test_gradient_of_a_dilated_convolution_is_that_of_its_kernel_with_gaps(pads):
    import tensorflow as tf

    from keras_pit.deployment.qat_layers import dilated
    from keras_pit.lowering.operators import Conv
    from keras_pit.lowering.windows import Window

    rng = np.random.default_rng(0)
    x, kernel = (tf.constant(rng.normal(size=size).astype("float32")) for size in ((2, 1, 20, 3), (1, 3, 3, 5)))
    conv = Conv(kernel, np.zeros(5, "float32"), Window((1, 3), dilation=(1, 4), pads=((0, 0), pads)))
    with tf.GradientTape() as tape:
        tape.watch((x, kernel))
        y = dilated(x, conv)
        weight = tf.constant(rng.normal(size=y.shape).astype("float32"))
        loss = tf.reduce_sum(weight * y)
    found = tape.gradient(loss, (x, kernel))
    with tf.GradientTape() as tape:
        tape.watch((x, kernel))
        gaps = tf.reshape(tf.stack([kernel, *3 * [tf.zeros_like(kernel)]], 2), (1, 12, 3, 5))[:, :9]
        expected_y = tf.nn.conv2d(tf.pad(x, [(0, 0), (0, 0), pads, (0, 0)]), gaps, 1, "VALID")
        expected_loss = tf.reduce_sum(weight * expected_y)
    np.testing.assert_allclose(y, expected_y, rtol=1e-4, atol=1e-5)
    for one, two in zip(found, tape.gradient(expected_loss, (x, kernel)), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
