"""Deployment of small networks: the file computes on TFLite-Micro what the Keras model does."""

import dataclasses
import importlib
import os
import warnings
from collections import Counter

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from deployed import NETWORKS, dense, make, simple
from keras import layers

import keras_pit
from keras_pit.deployment import (
    DeploymentError,
    deploy,
    dissect,
    run_litert,
    run_tflite_micro,
    to_tflite,
    verify,
)
from keras_pit.deployment.flatbuffer import read_graph
from keras_pit.lowering import form

# The package's function `verify` hides the module of the same name.
verification = importlib.import_module("keras_pit.deployment.verify")


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


def test_an_exported_model_of_mixed_precision():
    x = np.random.default_rng(0).normal(size=(32, 12, 3)).astype("float32")
    model = simple(layers.Conv1D(8, 3, dtype="mixed_float16"), layers.Flatten(), layers.Dense(2), shape=(12, 3))
    assert keras_pit.fits(model, "nano33ble")
    slim = keras_pit.export(keras_pit.convert(model, "ram:nano33ble"))
    assert slim.layers[1].dtype_policy.name == "mixed_float16"
    assert to_tflite(slim, x)
    assert to_tflite(keras_pit.quantize_aware(slim, x), x)


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
