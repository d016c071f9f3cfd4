"""A streaming file computes at each step, bit for bit, what the network of a window computes of the whole sequence.

And it costs what is known before it is made.
"""

import numpy as np
import pytest
from random_streams import random_stream, windows
from streamable import NETWORKS, built, streaming_file

import keras_pit
from keras_pit.blueprint import Blueprint
from keras_pit.costs.arena import arena
from keras_pit.costs.flash import flash
from keras_pit.costs.latency import instructions
from keras_pit.deployment import DeploymentError, run_tflite_micro, to_tflite
from keras_pit.deployment.flatbuffer import File, read_program
from keras_pit.deployment.runtimes import step_run
from keras_pit.deployment.stream_file import timing_of
from keras_pit.graph import seeds
from keras_pit.streaming import of_a_step

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
    window, tflite = to_tflite(model, x, verify=False), streaming_file(name)
    timing, steps = run(tflite, np.concatenate(x[:3]))
    (expected,) = run_tflite_micro(window, x[:1]).outputs
    assert timing.window == len(x[0])
    if timing.delay <= 0:
        computed = steps.outputs[0][0, timing.window - 1 + timing.delay]
        last = expected[0, :, -1:] if name in NO_HEAD else expected[0]
        assert np.array_equal(computed.reshape(-1), last.reshape(-1))
        assert len(np.unique(expected)) > 1


ROUGH = {"functions"}
"""Whose file of a window is not known better: scales of its many activations may be equal."""
UNLIKE = {"same", "squeeze_and_excite"}
"""Where the converter decides by values, or leaves out a reshape: their windows are not known exactly either."""


def of_model(model):
    with seeds.functional(model) as graph:
        return of_a_step(Blueprint.of(graph).program())


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - UNLIKE))
def test_known_before_the_file_is_made(name):
    (model, _), tflite = built(name), streaming_file(name)
    of_file, before = read_program(tflite), of_model(model)
    assert [op.name for op in before.operators] == [op.name for op in of_file.operators]
    for core in ("cortex-m4", "cortex-m55", "cortex-m0+"):
        assert arena(before, core) == arena(of_file, core)
        assert instructions(before, core) == pytest.approx(instructions(of_file, core), rel=1e-6)
    assert flash(before) == pytest.approx(len(tflite), rel=0.06 if name in ROUGH else 0.03)
    assert keras_pit.cost(model, "streaming_ram") == arena(of_file).needed


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


@pytest.mark.parametrize("number", range(2))
def test_random_networks(number, request):
    """New ones in each run."""
    check_random(request.config.option.fresh_seed + 7919 * number)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200))
def test_200_random_networks(seed):
    check_random(seed)
