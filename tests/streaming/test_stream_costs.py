"""Costs of a streaming network: known before its file is made, and told of the file."""

import numpy as np
import pytest
from streamable import built

import keras_pit
from keras_pit.costs.latency import instructions, instructions_per_step
from keras_pit.deployment import to_tflite


def test_a_step_takes_less_than_one_that_decides():
    model, x = built("strides")
    report = keras_pit.profile(to_tflite(model, x, streaming=True, verify=False))
    program = report.program
    first = [op.cycles for op in program.operators].index(2)
    share, wanted = 1.0, 0.0
    for op, told in zip(program.operators, report.operators, strict=True):
        wanted += share * told.instructions["cortex-m4"]
        share /= op.cycles
    assert first > 0 and share == 0.25
    overhead = instructions_per_step(program) - wanted
    assert 0 < overhead < instructions(program) - sum(told.instructions["cortex-m4"] for told in report.operators)
    assert report.stream.per_step["cortex-m4"] < report.instructions["cortex-m4"]


def test_profile_tells_of_time():
    model, x = built("same")
    report = keras_pit.profile(to_tflite(model, x, streaming=True, decide_every=3))
    timing = report.stream.timing
    assert (timing.window, timing.period) == (20, 6)
    assert report.stream.state == sum(one.bytes for one in report.program.tensors if one.variable)
    assert report.as_dict()["stream"]["timing"]["delay"] == timing.delay > 0
    assert "decided about" in str(report) and "every 6 steps" in str(report)
    assert report.stream.per_second("cortex-m4", 50) == 50 * report.stream.per_step["cortex-m4"]
    assert 0 < report.stream.load("cortex-m4", 64, 50) < 1
    assert keras_pit.profile(to_tflite(model, x, verify=False)).stream is None


def test_fits_knows_the_streaming_form():
    model, x = built("causal")
    tflite = to_tflite(model, x, streaming=True, verify=False)
    of_model_, of_file = keras_pit.fits(model, "nano33ble", streaming=True), keras_pit.fits(tflite, "nano33ble")
    assert of_model_.ram == of_file.ram
    assert of_model_.latency.used == pytest.approx(of_file.latency.used)
    assert of_model_.latency.used == pytest.approx(keras_pit.cost(model, "streaming_latency"))
    assert of_model_.latency.used < keras_pit.fits(model, "nano33ble").latency.used


def test_the_summary_tells_of_it():
    model, _ = built("causal")
    report = keras_pit.summary(model, streaming=True)
    wanted = {name: keras_pit.cost(model, name) for name in ("streaming_ram", "streaming_latency")}
    assert report.streaming == report.as_dict()["streaming"] == wanted
    assert f"step by step: {wanted['streaming_ram']:,.0f} B of RAM" in " ".join(str(report).split())
    assert "step by step" not in str(keras_pit.summary(model)) and "streaming" not in keras_pit.summary(model).as_dict()


def test_a_head_that_runs_seldom_is_cheap():
    model, x = built("causal")
    often, seldom = (to_tflite(model, x, streaming=True, decide_every=n, verify=False) for n in (1, 8))
    steps = [keras_pit.profile(tflite).stream.per_step["cortex-m4"] for tflite in (often, seldom)]
    assert steps[1] < 0.8 * steps[0]
    assert np.diff([len(tflite) for tflite in (often, seldom)])[0] <= 16
