"""Native code that crashes, hangs or takes all memory is an error here, and leaves this process as it was."""

import copy
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_pit import deploy
from keras_pit.deployment import DeploymentError, converter, run_litert, run_tflite_micro, to_tflite, worker
from keras_pit.deployment.flatbuffer import File
from keras_pit.deployment.packing import repack
from keras_pit.lowering import form, lower

ROOT = Path(__file__).parents[2]
RUNS = {"TFLite-Micro": run_tflite_micro, "LiteRT": run_litert}


def samples(*shape, count=20):
    return np.random.default_rng(0).normal(size=(count, *shape)).astype("float32")


@pytest.fixture(scope="module")
def dense_file():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8,))
    return to_tflite(keras.Model(inputs, layers.Dense(3)(inputs)), samples(8), verify=False)


# -- what ends a process ----------------------------------------------------------------------------------------------


def channels(x):
    """Zeros before and behind, up to 8 channels."""
    return ops.pad(x, [(0, 0)] * (len(x.shape) - 1) + [(2, 2)])


def shrunk(x):
    """What a search makes of a kernel of 3 taps: one tap."""
    return layers.Add()([layers.Conv1D(8, 1, strides=2, padding="same")(x), channels(x[:, ::2])])


PADDED = {
    "conv1d": ((32, 4), lambda x: layers.Conv1D(8, 1)(x) + channels(x)),
    "conv1d_shrunk": ((32, 4), shrunk),
    "conv1d_causal": ((32, 4), lambda x: layers.Conv1D(8, 3, padding="causal")(x) + channels(x)),
    "conv2d": ((8, 8, 4), lambda x: channels(x) + layers.Conv2D(8, 1)(x)),
    "conv2d_valid": ((8, 8, 4), lambda x: layers.Conv2D(4, 3)(x) + layers.ZeroPadding2D(1)(layers.MaxPooling2D(2)(x))),
    "conv2d_of_the_padded": ((8, 8, 4), lambda x: (y := channels(x)) + layers.Conv2D(8, 1)(y)),
    "dense": ((32, 4), lambda x: layers.Dense(8)(x) + channels(x)),
    "dense_vector": ((4,), lambda x: layers.Dense(8)(x) + channels(x)),
}
"""Sums of what has a bias and what is padded: as a graph, some of them crash TensorFlow's oneDNN kernels."""


def convert_padded():
    for name, (shape, network) in PADDED.items():
        keras.utils.set_random_seed(0)
        inputs, x = keras.Input(shape), samples(*shape)
        model = keras.Model(inputs, network(inputs))
        # A bias of 0 is left out.
        model.set_weights([weight + 0.1 for weight in model.get_weights()])
        to_tflite(model, x, verify=name == "conv1d")
        (result,) = converter.evaluate(converter.Computation.of(lower(model)), [form_of(x)])
        np.testing.assert_allclose(result.reshape(model(x).shape), model(x), atol=1e-5)
        print(name, flush=True)


def form_of(x):
    return x.reshape(len(x), *form((1, *x.shape[1:]))[1:])


def test_sums_with_a_padded_tensor_are_converted():
    """In a process of its own, which is gone if one of them crashes."""
    done = finished(start("convert_padded"))
    assert done.stdout.split() == list(PADDED), done.stderr[-2000:]
    assert done.returncode == 0


def start(function):
    """A process that calls a function of this file."""
    code = f"from tests.deployment import test_worker; test_worker.{function}()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, text=True, **pipes)


def finished(process):
    out, errors = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


@pytest.fixture(scope="module")
def aborting():
    """A file that both runtimes abort on: what goes into its softmax has a scale of 0."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8,))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(inputs))
    tree = copy.deepcopy(File(to_tflite(model, samples(8), verify=False)).tree)
    graph = tree.subgraphs[0]
    graph.tensors[graph.operators[0].outputs[0]].quantization.scale = np.zeros(1, "float32")
    return repack(tree).content


@pytest.mark.parametrize("runtime", RUNS)
def test_a_file_that_aborts_a_runtime_is_refused(aborting, runtime):
    with pytest.raises(DeploymentError, match=f"(?s){runtime} crashed with SIGABRT.*It printed:"):
        RUNS[runtime](aborting, np.zeros((1, 8), "int8"))


def test_a_file_that_aborts_is_not_deployed(aborting, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DeploymentError, match="crashed with SIGABRT"):
        deploy(aborting, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []  # no core either


FAULTS = {
    "crash": ("import os; os.kill(os.getpid(), 11)", "{runtime} crashed with SIGSEGV"),
    "refusal": ("import sys; sys.exit('no such thing')", "{runtime} refused the file.*no such thing"),
    "early end": ("", "{runtime} refused the file.*nothing"),
    "sleep": ("import time; time.sleep(60)", "{runtime} did not finish 1 samples within 0.5 s"),
    "greed": ("x = []\nwhile True: x.append(b'1' * 2**20)", "{runtime} did not finish .* within 256 MiB of memory"),
}


@pytest.mark.parametrize("runtime", RUNS)
@pytest.mark.parametrize("case", FAULTS)
def test_worker_fault_is_an_error_here(dense_file, tmp_path, monkeypatch, case, runtime):
    source, message = FAULTS[case]
    (tmp_path / "worker.py").write_text(source)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(worker, "_SCRIPT", tmp_path / "worker.py")
    monkeypatch.setattr(worker, "MEMORY", 256 * 2**20)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with pytest.raises(DeploymentError, match=f"(?s){message.format(runtime=runtime)}"):
        RUNS[runtime](dense_file, samples(8, count=1), timeout=0.5 if case == "sleep" else 60)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_silence_is_not_understood(dense_file, tmp_path, monkeypatch):
    (tmp_path / "worker.py").write_text(
        "import sys, numpy as np; np.savez(sys.argv[2] + '/results.npz', np.zeros((1, 1, 3)))"
    )
    monkeypatch.setattr(worker, "_SCRIPT", tmp_path / "worker.py")
    with pytest.raises(DeploymentError, match="did not print 'Arena allocation total"):
        run_tflite_micro(dense_file, samples(8, count=1))


@pytest.mark.parametrize(("package", "run"), [("tflite_micro", run_tflite_micro), ("ai_edge_litert", run_litert)])
def test_a_runtime_that_cannot_be_loaded_is_told(package, run, dense_file, tmp_path, monkeypatch):
    """As a version that was built for another Python: it is no fault of the file."""
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("raise ImportError('_runtime.so: undefined symbol: PyDict')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ImportError, match=rf"{package} is installed, but cannot be loaded: .*undefined symbol"):
        run(dense_file, samples(8))


def test_worker_needs_only_numpy_and_the_runtimes():
    lines = map(str.strip, worker._SCRIPT.read_text().splitlines())
    imports = {line.split()[1].partition(".")[0] for line in lines if line.startswith(("import ", "from "))}
    assert imports - set(sys.stdlib_module_names) == {"numpy", "tflite_micro", "ai_edge_litert"}


PARENT = """
import os, subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid())], stdin=subprocess.PIPE)
time.sleep(60)
"""
WORKER = """
import ctypes, sys, time
sys.path.insert(0, {folder!r})
import _worker
{before}
_worker.leave_no_core()
_worker.end_with(int(sys.argv[1]))
print("ready", flush=True)
{work}
"""
ORPHANS = {
    "native code holds Python": ("", "ctypes.PyDLL(None).sleep(60)"),
    "a system without prctl": ("_worker.ctypes = None", "time.sleep(60)"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="native code that holds Python is stopped by Linux alone")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("case", ORPHANS)
def test_workers_end_with_their_parent(case, number):
    before, work = ORPHANS[case]
    code = WORKER.format(folder=str(worker._SCRIPT.parent), before=before, work=work)
    with subprocess.Popen([sys.executable, "-c", PARENT, code], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        start = time.monotonic()
        # Both have this pipe: it ends with the second one.
        assert process.stdout.read() == b""
        assert time.monotonic() - start < 5


# -- what surrounds it ------------------------------------------------------------------------------------------------


def surroundings():
    import tensorflow as tf
    from absl import logging

    stderr = os.fstat(2)
    return (stderr.st_dev, stderr.st_ino, tf.get_logger().level, logging.get_absl_logger().level, warnings.filters[:])


def dilated(name="network", sequential=False):
    keras.utils.set_random_seed(0)
    stack = [
        layers.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="relu"),
        layers.Flatten(),
        layers.Dense(3),
    ]
    if sequential:
        return keras.Sequential([keras.Input((16, 4)), *stack], name=name)
    x = inputs = keras.Input((16, 4))
    for layer in stack:
        x = layer(x)
    return keras.Model(inputs, x, name=name)


@pytest.mark.parametrize("sequential", [False, True])
def test_threads_make_the_same_bytes_and_leave_their_surroundings(sequential):
    model, x = dilated(sequential=sequential), samples(16, 4)
    expected, before = to_tflite(model, x), surroundings()
    nodes = [len(layer._inbound_nodes) for layer in model.layers]

    with ThreadPoolExecutor(2) as threads:
        made = [threads.submit(to_tflite, model, x) for _ in range(6)]
    assert [one.result() for one in made] == [expected] * 6
    assert surroundings() == before
    assert [len(layer._inbound_nodes) for layer in model.layers] == nodes


def print_the_file():
    print(to_tflite(dilated(), samples(16, 4)).hex())


def test_two_processes_at_once_make_the_same_bytes():
    expected = to_tflite(dilated(), samples(16, 4)).hex()
    processes = [start("print_the_file") for _ in range(2)]
    assert [finished(process).stdout.strip() for process in processes] == [expected] * 2


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("count", [20, pytest.param(100, marks=pytest.mark.slow)])
def test_conversions_in_one_process_do_not_grow(count):
    model, x = dilated(), samples(16, 4)
    for _ in range(5):
        to_tflite(model, x)
    before = worker._resident(os.getpid())
    for number in range(count):
        to_tflite(model, x, verify=number % 10 == 0)
    assert worker._resident(os.getpid()) < 1.05 * before
