"""Deployment of small networks: the file computes on TFLite-Micro what the Keras model does."""

import dataclasses
import importlib
import os
import sys
import time
import warnings
from collections import Counter

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from keras import layers
from versions import since

import keras_pit
from keras_pit.deployment import (
    DeploymentError,
    deploy,
    dissect,
    quantize,
    quantize_aware,
    run_litert,
    run_tflite_micro,
    to_tflite,
    verify,
)
from keras_pit.deployment.flatbuffer import read_graph
from keras_pit.lowering import form

# The package's function `verify` hides the module of the same name.
verification = importlib.import_module("keras_pit.deployment.verify")


def tcn():
    x = inputs = keras.Input((64, 6))
    for level in range(4):
        x = layers.Conv1D(16, 3, padding="causal", dilation_rate=2**level)(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(x))


def residual_tcn():
    x = inputs = keras.Input((32, 8))
    for dilation in (1, 4):
        y = layers.Conv1D(8, 5, padding="same", dilation_rate=dilation, activation="relu")(x)
        x = layers.Add()([x, y])
    x = layers.Flatten()(layers.AveragePooling1D(4)(x))
    return keras.Model(inputs, layers.Dense(3)(x))


def cnn():
    return keras.Sequential(
        [
            layers.Input((12, 12, 3)),
            layers.Conv2D(8, 3, padding="same", dilation_rate=2),
            layers.LeakyReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def ds_cnn():
    x = inputs = keras.Input((49, 10, 1))
    x = layers.Conv2D(16, (10, 4), strides=2, padding="same", use_bias=False)(x)
    for _ in range(2):
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Conv2D(16, 1, use_bias=False)(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    return keras.Model(inputs, layers.Dense(12, activation="softmax")(x))


def dense():
    sizes = (16, "relu"), (8, "tanh"), (3, "sigmoid")
    return keras.Sequential([layers.Input((8,)), *(layers.Dense(units, activation=f) for units, f in sizes)])


def two_by_two():
    """Outputs 2 left - right and left + 3 right, so that nothing can be swapped unseen."""
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    both = layers.Concatenate()([left, right])
    first, second = layers.Dense(4, name="first"), layers.Dense(4, name="second")
    model = keras.Model([left, right], [first(both), second(both)])
    unit = np.eye(4, dtype="float32")
    first.set_weights([np.concatenate([2 * unit, -unit]), np.zeros(4, "float32")])
    second.set_weights([np.concatenate([unit, 3 * unit]), np.zeros(4, "float32")])
    return model


NETWORKS = {f.__name__: f for f in (tcn, residual_tcn, cnn, ds_cnn, dense, two_by_two)}


def make(name, samples=40):
    """A network with non-trivial batch norms, and inputs for it."""
    keras.utils.set_random_seed(1)
    model = NETWORKS[name]()
    generator = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            size = layer.gamma.shape
            spread = [generator.uniform(0.5, 1.5, size) for _ in range(2)]
            shift = [generator.normal(size=size) for _ in range(2)]
            layer.set_weights([spread[0], shift[0], shift[1], spread[1]])
    x = [generator.normal(size=(samples, *tensor.shape[1:])).astype("float32") for tensor in model.inputs]
    return model, x


def predict(model, x):
    return [np.asarray(y) for y in keras.tree.flatten(model(x if len(x) > 1 else x[0]))]


def error(y, expected):
    return np.max(np.abs(y - expected)) / np.max(np.abs(expected))


# What 8-bit weights cost; steps of the output by which rounding may add up.
@pytest.mark.parametrize(("quantization", "bound", "steps"), [("int8", 0.05, 1), ("int16x8", 0.02, 8)])
@pytest.mark.parametrize("name", NETWORKS)
def test_quantised_file_follows_the_model(name, quantization, bound, steps):
    model, x = make(name)
    tflite = to_tflite(model, x, quantization=quantization, verify=False)
    report = verify(tflite, x)
    assert report.largest <= steps
    assert report.samples == 32
    graph = read_graph(tflite)
    kind = "int8" if quantization == "int8" else "int16"
    assert {tensor.dtype for tensor in (*graph.inputs, *graph.outputs)} == {kind}
    assert [tensor.shape for tensor in graph.inputs] == [form(t.shape) for t in model.inputs]
    run = run_tflite_micro(tflite, x)
    assert 500 < run.arena_bytes < 40_000
    for y, expected in zip(run.dequantized, predict(model, x), strict=True):
        assert error(y, expected) < bound


@pytest.mark.parametrize("name", NETWORKS)
def test_float_file_equals_the_model(name):
    model, x = make(name)
    run = run_tflite_micro(to_tflite(model, quantization=None), x)
    for y, expected in zip(run.outputs, predict(model, x), strict=True):
        assert y.shape == expected.shape
        assert error(y, expected) < 1e-5


@pytest.fixture(scope="module")
def naive():
    """What `from_keras_model` makes of the dilated TCN: the fault this package exists for."""
    model, x = make("tcn")
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample[None]] for sample in x[0])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return converter.convert(), model, x


def test_open_batch_computes_garbage_and_is_refused(naive, monkeypatch):
    tflite, model, x = naive
    expected = predict(model, x)[0]
    assert error(run_litert(tflite, x).dequantized[0], expected) < 0.05
    assert error(run_tflite_micro(tflite, x).dequantized[0], expected) > 0.2
    with pytest.raises(DeploymentError, match=r"leaves a dimension open in .* batch size 1"):
        verify(tflite, x)
    # The comparison finds it, too: the file overruns buffers, and LiteRT will not run its parts.
    monkeypatch.setattr(verification, "require_static", lambda graph: None)
    with pytest.raises(DeploymentError, match=r"share memory|BATCH_TO_SPACE_ND"):
        verify(tflite, x)


def test_file_is_right_and_half_of_the_naive_one(naive):
    """Four layers of 16 channels: some 2,600 bytes of weights and biases, and little else."""
    tflite, model, x = naive
    ours = to_tflite(model, x[0])
    assert [op.name for op in read_graph(ours).ops] == [
        *(4 * ["PAD", "CONV_2D"]), "AVERAGE_POOL_2D", "FULLY_CONNECTED", "SOFTMAX",
    ]  # fmt: skip
    assert error(run_tflite_micro(ours, x).dequantized[0], predict(model, x)[0]) < 0.05
    assert len(ours) <= 0.55 * len(tflite)


def test_deep_rounding_is_no_fault(monkeypatch):
    """Eight Dense layers round apart by more than one step, each of them by at most one."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([layers.Input((32,)), *(layers.Dense(32, activation="relu") for _ in range(8))])
    x = np.random.default_rng(0).normal(size=(32, 32)).astype("float32")
    tflite = to_tflite(model, x, quantization="int16x8", verify=False)
    report = verify(tflite, x)
    assert 1 < report.largest < 20
    # Two steps in one operator are a fault.
    honest = dissect.micro_results

    def off_by_two(*args, tensors=(), **options):
        results, log = honest(*args, tensors=tensors, **options)
        return [*results[:-1], results[-1] + np.int16(2)] if tensors else results, log

    monkeypatch.setattr(dissect, "micro_results", off_by_two)
    with pytest.raises(DeploymentError, match="differently when its tensors share memory"):
        verify(tflite, x)
    plain = verification.micro_run

    def also_off(*args, **options):
        run = plain(*args, **options)
        return dataclasses.replace(run, outputs=(run.outputs[0] + np.int16(2),))

    monkeypatch.setattr(verification, "micro_run", also_off)
    with pytest.raises(DeploymentError, match=r"misreads the file at FULLY_CONNECTED .* steps"):
        verify(tflite, x)


def selecting():
    """A network whose SELECT is written as SELECT_V2 before the file is trimmed."""
    inputs = keras.Input((8,))
    outputs = layers.Lambda(lambda x: keras.ops.where(x > 0, x, 2 * x))(layers.Dense(8)(inputs))
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize(("model", "files"), [(dense, 2), (selecting, 3)])
def test_each_file_is_read_once(model, files, tmp_path, monkeypatch):
    """The converter's, the trimmed one, and one between them if an operator changes."""
    x = np.random.default_rng(0).normal(size=(16, 8)).astype("float32")
    readings = Counter()

    def counted(name, read):
        def reading(content, offset):
            readings[name, content] += 1
            return read(content, offset)

        return reading

    for kind, name in ((schema.Model, "GetRootAs"), (schema.ModelT, "InitFromPackedBuf")):
        monkeypatch.setattr(kind, name, counted(name, getattr(kind, name)))
    tflite = to_tflite(model(), x, quantization=None)
    assert set(readings.values()) == {1}
    assert Counter(name for name, _ in readings) == {"GetRootAs": files, "InitFromPackedBuf": files}
    readings.clear()
    deploy(model(), tmp_path / "of_model", calibration=x)
    assert set(readings.values()) == {1}
    readings.clear()
    deploy(tflite, tmp_path / "of_file")
    assert readings == {("GetRootAs", tflite): 1, ("InitFromPackedBuf", tflite): 1}


def test_wrong_kernel_is_refused_by_name():
    """TFLite-Micro's quantised SUM ignores the scales and zero points."""
    inputs = keras.Input((8,))
    total = layers.Lambda(lambda x: keras.ops.sum(x, axis=-1, keepdims=True))
    model = keras.Model(inputs, total(layers.Dense(4)(inputs)))
    x = np.random.default_rng(0).normal(size=(16, 8)).astype("float32")
    with pytest.raises(DeploymentError, match=r"misreads the file at SUM \('dense.* steps from"):
        to_tflite(model, x)
    assert to_tflite(model, x, quantization=None)


def dataset(*tensors):

    return tf.data.Dataset.from_tensor_slices(tensors if len(tensors) > 1 else tensors[0])


def test_calibration_forms_give_one_file():
    model, (x,) = make("dense")
    y = np.zeros(len(x))
    expected = to_tflite(model, x, verify=False)
    for calibration in (
        [x],
        x.astype("float64"),
        {model.inputs[0].name: x},
        dataset(x),
        dataset(x).batch(7),
        dataset(x, y),
        dataset(x, y).batch(7),
        dataset(x, y, y),
    ):
        assert to_tflite(model, calibration, verify=False) == expected


def test_calibration_forms_of_two_inputs_give_one_file():
    model, (left, right) = make("two_by_two")
    y = np.zeros(len(left))
    expected = to_tflite(model, [left, right], verify=False)
    for calibration in (
        (left, right),
        {"right": right, "left": left},
        dataset(left, right),
        dataset((left, right), y).batch(7),
        dataset({"right": right, "left": left}, y),
    ):
        assert to_tflite(model, calibration, verify=False) == expected


def nan_at_3(x):
    x = x.copy()
    x[3, 0] = np.nan
    return x


BAD_CALIBRATION = {
    "none": (lambda x: None, r"needs calibration data, received None. .*x_train\[:200\]"),
    "sample": (lambda x: x[0], r"has shape \(8,\); expected \('samples', 8\). Add the batch axis"),
    "shape": (lambda x: x[:, :5], r"'signal' has shape \(40, 5\); expected \('samples', 8\)"),
    "targets": (lambda x: (x, x[:, 0]), "tuple of 2; expected one array per input .* 1 in all"),
    "not finite": (lambda x: nan_at_3(x), "'signal' has NaN .* in 1 of 40 samples, .* sample 3"),
    "overflow": (lambda x: x.astype("float64") * 1e300, "infinite values in 40 of 40"),
    "text": (lambda x: x.astype(str), "is of type <U.*; expected float32"),
    "empty": (lambda x: x[:0], "at least one, for every input; received .0."),
    "endless": (lambda x: dataset(x).repeat(), r"infinite dataset; .*take\(200\)"),
    "empty dataset": (lambda x: dataset(x).take(0), "empty dataset"),
    "dataset shape": (lambda x: dataset(x[:, :5]), r"\(5,\); expected \('samples', 8\)"),
    "name": (lambda x: {"other": x}, "a dictionary of 'other'; expected .*'signal'"),
}


@pytest.mark.parametrize("case", BAD_CALIBRATION)
def test_bad_calibration_is_refused(case):
    change, message = BAD_CALIBRATION[case]
    model = keras.Sequential([layers.Input((8,), name="signal"), layers.Dense(2)])
    x = np.random.default_rng(0).normal(size=(40, 8)).astype("float32")
    with pytest.raises(ValueError, match=message):
        to_tflite(model, change(x))


def test_constant_calibration_is_refused():
    model, (left, right) = make("two_by_two")
    with pytest.raises(ValueError, match="'right' is 0 in all of 40 samples; expected typical inputs"):
        to_tflite(model, [left, 0 * right])
    with pytest.raises(ValueError, match="'left' is 1 in all of 40 samples"):
        quantize_aware(model, [0 * left + 1, right])
    assert to_tflite(model, [left, 0 * right], quantization=None)  # there is nothing to calibrate


@pytest.mark.parametrize("quantization", ["int8", "int16x8"])
def test_integers_far_from_the_floats_are_refused(quantization, monkeypatch):
    """A converter that is given samples of another scale, as a broken calibration would."""
    model, x = make("residual_tcn")
    honest = quantize.to_flatbuffer
    for factor in (0.01, 1e5):

        def scaled(frozen, scheme, feeds, by=factor):
            return honest(frozen, scheme, [by * feed for feed in feeds])

        monkeypatch.setattr(quantize, "to_flatbuffer", scaled)
        message = r"is not the float one: on 32 calibration samples, output 0 is .* off, .*% of their spread.*verify="
        with pytest.raises(DeploymentError, match=message):
            to_tflite(model, x, quantization=quantization)
        assert to_tflite(model, x, quantization=quantization, verify=False)


def test_unequal_calibration_is_refused():
    model, (left, right) = make("two_by_two")
    with pytest.raises(ValueError, match=r"received \[40, 39\] for 'left' .*'right'"):
        to_tflite(model, [left, right[1:]])
    with pytest.raises(ValueError, match=r"one ndarray; expected one array for each .* 2 inputs"):
        to_tflite(model, left)


def poisoned():
    model = keras.Sequential([layers.Input((4,)), layers.Dense(2, name="bad")])
    model.get_layer("bad").bias.assign([0.0, np.nan])
    return model


def unused_input():
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    return keras.Model([left, right], layers.Dense(2)(right))


class SearchLayer(layers.Dense):
    __module__ = "keras_pit.layers.example"


def simple(*stack, shape=(4,), **options):
    return keras.Sequential([layers.Input(shape, **options), *stack])


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


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_models_of_other_precisions_are_deployed_as_float32(policy):
    def network(policy):
        inputs = keras.Input((16, 3))
        x = layers.Conv1D(6, 3, padding="same", activation="relu", dtype=policy, name="conv")(inputs)
        x = layers.BatchNormalization(dtype=policy, name="norm")(x)
        x = keras.Sequential([keras.Input((16, 6)), layers.GlobalAveragePooling1D(dtype=policy)], name="inner")(x)
        return keras.Model(inputs, layers.Dense(2, dtype=policy, name="out")(x), name="net")

    model, whole = network(policy), network("float32")
    whole.set_weights(model.get_weights())
    x = np.random.default_rng(0).normal(size=(20, 16, 3)).astype("float32")
    assert to_tflite(model, x) == to_tflite(whole, x)
    for metric in ("flash", "ram", "latency"):
        assert keras_pit.cost(model, metric) == keras_pit.cost(whole, metric)
        assert keras_pit.convert(model, metric).origin.costs == keras_pit.convert(whole, metric).origin.costs
    assert bool(keras_pit.fits(model, "pico"))
    assert model.layers[1].compute_dtype != "float32"


def test_unknown_quantization_is_refused():
    with pytest.raises(ValueError, match=r"`quantization` must be one of 'int8', 'int16x8', received 'int4'"):
        to_tflite(make("dense")[0], quantization="int4")


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


def test_an_exported_model_of_mixed_precision():
    x = np.random.default_rng(0).normal(size=(32, 12, 3)).astype("float32")
    model = simple(layers.Conv1D(8, 3, dtype="mixed_float16"), layers.Flatten(), layers.Dense(2), shape=(12, 3))
    assert keras_pit.fits(model, "nano33ble")
    slim = keras_pit.export(keras_pit.convert(model, "ram:nano33ble"))
    assert slim.layers[1].dtype_policy.name == "mixed_float16"
    assert to_tflite(slim, x)
    assert to_tflite(keras_pit.quantize_aware(slim, x), x)


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_unsupported_layer_is_named(case):
    build, message = UNSUPPORTED[case]
    model = build()
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (8, *model.inputs[0].shape[1:]))
    with pytest.raises(DeploymentError, match=f"(?s){message}"):
        to_tflite(model, x)


def test_model_and_surroundings_are_left_alone(tmp_path, monkeypatch, capfd):
    from absl import logging

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    inputs = keras.Input((8,))
    x = layers.Dense(4, activity_regularizer="l2", kernel_regularizer="l2")(inputs)
    x = layers.Dropout(0.5)(layers.BatchNormalization()(x))
    model = keras.Model(inputs, layers.Dense(2)(x))
    model.compile("adam", "mse")
    data = np.random.default_rng(0).normal(size=(16, 8)).astype("float32")
    model.fit(data, data[:, :2], verbose=0)
    weights, nodes = model.get_weights(), [len(layer._inbound_nodes) for layer in model.layers]
    optimizer = [v.numpy() for v in model.optimizer.variables]
    levels = tf.get_logger().level, logging.get_absl_logger().level
    losses = len(model.losses)
    capfd.readouterr()

    to_tflite(model, data)

    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    assert (tf.get_logger().level, logging.get_absl_logger().level) == levels
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    for before, after in zip(optimizer, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(before, after.numpy())
    assert [len(layer._inbound_nodes) for layer in model.layers] == nodes
    assert len(model.losses) == losses
    model.fit(data, data[:, :2], verbose=0)
    os.write(2, b"stderr is back")
    assert capfd.readouterr().err == "stderr is back"


@pytest.fixture(scope="module")
def dense_file():
    model, x = make("dense", samples=1000)
    return to_tflite(model, x[0][:100], verify=False), x[0]


def test_runtimes_take_reals_and_integers(dense_file):
    tflite, x = dense_file
    signal = read_graph(tflite).inputs[0]
    micro = run_tflite_micro(tflite, x)
    quantized = run_tflite_micro(tflite, [signal.quantize(x)])
    litert = run_litert(tflite, x)
    np.testing.assert_array_equal(micro.outputs[0], quantized.outputs[0])
    assert micro.outputs[0].dtype == litert.outputs[0].dtype == "int8"
    assert micro.outputs[0].shape == litert.dequantized[0].shape == (1000, 3)
    # A sigmoid's output is quantised as q / 256 + 1 / 2.
    np.testing.assert_array_equal(micro.dequantized[0], micro.outputs[0] / 256 + 0.5)
    steps = np.array([-1e9, -0.5, 0.0, 0.49, 0.5, 1.5, 1e9], "float32") * np.float32(signal.scale)
    expected = np.array([-1000, -1, 0, 0, 1, 2, 1000]) + signal.zero_point
    np.testing.assert_array_equal(signal.quantize(steps), np.clip(expected, -128, 127))


def test_thousand_samples_take_one_quick_process(dense_file):
    tflite, x = dense_file
    start = time.monotonic()
    run_tflite_micro(tflite, x)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("run", [run_tflite_micro, run_litert])
def test_bad_inputs_are_refused(dense_file, run):
    tflite, x = dense_file
    for inputs, message in (
        (x[0], r"expects an array of shape \('samples', 8\); received \(8,\). Add the batch axis"),
        (x[:, :5], r"received \(1000, 5\)"),
        ([x, x], "has 1 inputs .*; received 2 arrays"),
        (x[:0], r"at least one, for every input; received \[0\]"),
        (nan_at_3(x), "finite values"),
        (x.astype("int32"), r"reals?.* int8; received type int32. .*astype\('float32'\)"),
    ):
        with pytest.raises(ValueError, match=message):
            run(tflite, inputs)
    with pytest.raises(TypeError, match=r"The \.tflite file must be its content as bytes, or its path, received 3"):
        run(3, x)


def test_arena_grows_until_it_suffices(dense_file):
    tflite, x = dense_file
    enough, small = (run_tflite_micro(tflite, x[:4], arena_bytes=n) for n in (2**20, 100))
    assert small.arena_bytes == enough.arena_bytes
    np.testing.assert_array_equal(small.outputs[0], enough.outputs[0])


@pytest.mark.parametrize("package", ["tflite_micro", "ai_edge_litert"])
def test_missing_package_names_the_install_line(dense_file, monkeypatch, package):
    tflite, x = dense_file
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else find_spec(name))
    for name in [n for n in sys.modules if n.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf'{package}.* pip install "keras_pit\[deploy\]"'):
        run_tflite_micro(tflite, x)
