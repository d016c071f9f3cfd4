"""TFLite-Micro and LiteRT: what they take and return."""

import importlib
import sys
import time

import numpy as np
import pytest
from deployed import make, nan_at_3

from keras_pit.deployment import run_litert, run_tflite_micro, to_tflite
from keras_pit.deployment.flatbuffer import read_graph


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
