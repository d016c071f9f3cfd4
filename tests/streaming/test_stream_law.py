"""A streaming file computes at each step, bit for bit, what the network of a window computes of the whole sequence."""

import numpy as np
import pytest
from random_streams import random_stream, windows
from streamable import NETWORKS, built

from keras_pit.deployment import DeploymentError, run_tflite_micro, to_tflite
from keras_pit.deployment.flatbuffer import File
from keras_pit.deployment.runtimes import step_run
from keras_pit.deployment.stream_file import timing_of

NO_HEAD = {"sequence"}


def run(tflite, x):
    """A streaming file on one sequence of integers."""
    file = File.of(tflite)
    (tensor,) = file.graph.inputs
    return timing_of(file), step_run(file, [tensor.quantize(x)[None]])


@pytest.mark.parametrize("name", NETWORKS)
def test_equal_at_each_step(name):
    """`to_tflite` compares with the whole sequence itself; the first window's own inference tells the same."""
    model, x = built(name)
    window, tflite = to_tflite(model, x, verify=False), to_tflite(model, x, streaming=True)
    timing, steps = run(tflite, np.concatenate(x[:3]))
    (expected,) = run_tflite_micro(window, x[:1]).outputs
    assert timing.window == len(x[0])
    if timing.delay <= 0:
        computed = steps.outputs[0][0, timing.window - 1 + timing.delay]
        last = expected[0, :, -1:] if name in NO_HEAD else expected[0]
        assert np.array_equal(computed.reshape(-1), last.reshape(-1))
        assert len(np.unique(expected)) > 1


def check_random(seed):
    """`to_tflite` raises if a single number of a step differs; what it refuses to stream is told by its reason."""
    model = random_stream(seed)
    x = windows(model, 6)
    try:
        to_tflite(model, x, verify=False)
    except DeploymentError:  # random weights may leave nothing to quantize
        return "not quantized"
    try:
        tflite = to_tflite(model, x, streaming=True, decide_every=1)
    except DeploymentError as error:
        if "is off the float network" in str(error) or "The quantised network is not the float one" in str(error):
            return "far off"
        raise
    return timing_of(File.of(tflite))


@pytest.mark.parametrize("number", range(6))
def test_random_networks(number, request):
    """New ones in each run."""
    check_random(request.config.option.fresh_seed + 7919 * number)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200))
def test_200_random_networks(seed):
    check_random(seed)
