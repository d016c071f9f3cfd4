"""What a microcontroller charges: hand-counted programs, soft sizes, and the measured networks where they are."""

import importlib
import sys
from itertools import pairwise
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

from keras_pit.costs import arena as arenas
from keras_pit.costs import cores
from keras_pit.costs.arena import Buffer, arena, plan
from keras_pit.costs.flash import flash
from keras_pit.costs.kernels import PATHS
from keras_pit.costs.latency import instructions, interval, milliseconds, operator_instructions, unknown, worst
from keras_pit.costs.operators import Operator, Tensor
from keras_pit.costs.program import Program
from keras_pit.costs.sizes import choose, floor_div, larger, leftover, round_up
from keras_pit.deployment import profile, to_tflite, trim
from keras_pit.deployment.flatbuffer import read_program

ROOT = Path(__file__).resolve().parents[2]
MEASURED = ROOT / "tests/data"
"""A quarter of the measured networks that nothing was fitted on; see `benchmarks/cost_models.py`."""


def conv_net(channels=8, taps=3, dilation=1, height=1, width=8, inputs=4, stride=1):
    """A convolution with "same" padding, average pooling over the map, a Dense layer."""
    out = -(-width // stride)
    tensors = (
        Tensor((1, height, width, inputs), channels=1),
        Tensor((channels, 1, taps, inputs), constant=True, channels=channels),
        Tensor((channels,), "int32", True),
        Tensor((1, height, out, channels), channels=1),
        Tensor((1, 1, 1, channels), channels=1),
        Tensor((3, channels), constant=True, channels=3),
        Tensor((1, 3), channels=1),
    )
    operators = (
        Operator("CONV_2D", (0, 1, 2), (3,), (1, stride), (1, dilation), padding="same", activation="relu"),
        Operator("AVERAGE_POOL_2D", (3,), (4,), (height, out), window=(height, out)),
        Operator("FULLY_CONNECTED", (4, 5, -1), (6,)),
    )
    return Program(operators, tensors, (0,), (6,))


def depthwise(channels=8, size=5, dilation=1, multiplier=1):
    tensors = (
        Tensor((1, 8, 8, channels)),
        Tensor((1, size, size, channels * multiplier), constant=True, channels=channels * multiplier),
        Tensor((1, 8, 8, channels * multiplier)),
    )
    op = Operator(
        "DEPTHWISE_CONV_2D", (0, 1, -1), (2,), dilation=(dilation,) * 2, multiplier=multiplier, padding="same"
    )
    return Program((op,), tensors, (0,), (2,))


def scratch(program, core):
    return [buffer.size for buffer in arenas.buffers(program, core) if buffer.tensor is None]


@pytest.mark.parametrize(
    ("program", "m4", "m55"),
    [
        # Two columns of 3 x 4 16-bit values; pooling: 8 sums. On the M55 one window beside the padding: (3 + 1) x 4.
        (conv_net(), [48, 32], [16]),
        # Four columns of 12 bytes, each rounded up to 16.
        (conv_net(dilation=2), [48, 32], [64]),
        # 21 values are rounded up to 24, or to 32.
        (conv_net(inputs=7, dilation=2), [96, 32], [128]),
        (conv_net(taps=1), [0, 32], [0]),
        (conv_net(taps=1, dilation=2), [16, 32], [64]),
        (depthwise(), [400], [12400]),
        (depthwise(size=3), [0], [4464]),
        (depthwise(size=3, dilation=2), [], []),
        (depthwise(multiplier=2), [], []),
    ],
)
def test_scratch_memory_of_kernels(program, m4, m55):
    assert scratch(program, "cortex-m4") == m4
    assert scratch(program, "cortex-m55") == m55


def test_arena_counted_by_hand():
    found = arena(conv_net())
    # Alive at once: input (32) and result (64) of the convolution and its columns (48).
    assert found.head == 32 + 64 + 48
    # The interpreter, 7 tensors, 3 operators and their data, 2 scratch handles, multipliers of 8 and 3 channels.
    assert found.tail == 288 + 7 * 12 + 3 * 32 + (92 + 88 + 88) + 2 * 4 + 2 * 32 + 2 * 16
    assert found.total == found.head + found.tail
    # While planning: 14 requests, notes on 9 buffers, 6 of them to be placed; records of input and output come later.
    assert found.needed == found.tail - 2 * 58 + 14 * 12 + 9 * 24 + 6 * 40


def dense_chain(*widths, channels=1):
    """Dense layers with biases, as the usual converter writes them."""
    tensors, operators, last = [Tensor((1, widths[0]), channels=1)], [], 0
    for before, width in pairwise(widths):
        weights = len(tensors)
        tensors += [Tensor((width, before), "int8", True, channels), Tensor((width,), "int32", True)]
        tensors.append(Tensor((1, width), channels=1))
        operators.append(Operator("FULLY_CONNECTED", (last, weights, weights + 1), (weights + 2,)))
        last = weights + 2
    return Program(tuple(operators), tuple(tensors), (0,), (last,))


@pytest.mark.parametrize(("core", "used", "needed"), [("cortex-m4", 2580, 3024), ("cortex-m55", 9268, 9712)])
def test_what_an_autoencoder_used_and_the_least_arena_that_works(core, used, needed):
    found = arena(dense_chain(640, *(128,) * 4, 8, *(128,) * 4, 640), core)
    assert used <= found.total <= used + 64
    assert needed <= found.needed <= needed + 64


def test_zero_points_of_channels_need_memory_while_an_operator_is_prepared():
    few, many = (arena(dense_chain(4, 4, 500, channels=channels)) for channels in (1, 500))
    # Multipliers and shifts stay; 4 bytes a channel are there for a moment, in place of the head.
    assert many.tail - few.tail == 2 * 2 * 2000
    assert many.needed - many.tail > 2000 + few.needed - few.tail - few.head


def test_states_stay_at_the_tail():
    tensors = (Tensor((1, 1, 1, 10), channels=1), Tensor((1, 5, 1, 10), channels=1, variable=True))
    found = arena(Program((Operator("CIRCULAR_BUFFER", (0,), (1,)),), tensors, (0,), (1,)))
    assert found.head == 16
    assert found.tail == 288 + 2 * 12 + 32 + 20 + 64


def test_rows_of_weights_are_summed_in_advance_on_helium():
    program = conv_net()
    assert arenas.tail(program, "cortex-m55") == arenas.tail(program, "cortex-m4") - 4 + 16


def test_a_softmax_of_16_bits_keeps_two_tables():
    def program(dtype):
        return Program((Operator("SOFTMAX", (0,), (1,)),), (Tensor((1, 4), dtype), Tensor((1, 4), dtype)), (0,), (1,))

    assert arenas.tail(program("int16"), "cortex-m4") - arenas.tail(program("int8"), "cortex-m4") == 2 * 1040


def test_host_takes_as_much_more_of_16_bits_as_of_8():
    inputs = keras.Input((12, 2))
    x = layers.GlobalAveragePooling1D()(layers.Conv1D(4, 3, activation="relu")(inputs))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    samples = np.random.default_rng(0).normal(size=(4, 12, 2)).astype("float32")
    more = []
    for quantization in ("int8", "int16x8"):
        report = profile(to_tflite(model, samples, quantization=quantization, verify=False))
        more.append(report.host_arena - report.arena["cortex-m4"].total)
    assert abs(more[0] - more[1]) <= 80


@pytest.mark.parametrize(
    ("wanted", "offsets"),
    [
        ([(16, 0, 1), (32, 1, 2), (16, 2, 2)], [32, 0, 32]),
        # Of equal sizes the last one is placed first.
        ([(16, 0, 1), (16, 0, 1)], [16, 0]),
        # A gap between two others is filled.
        ([(64, 0, 0), (48, 0, 2), (32, 1, 1), (32, 1, 2)], [0, 64, 32, 0]),
        ([], []),
    ],
)
def test_plans(wanted, offsets):
    buffers = [Buffer(*row, tensor=number) for number, row in enumerate(wanted)]
    found = {placed.buffer.tensor: placed.offset for placed in plan(buffers)}
    assert [found[number] for number in range(len(wanted))] == offsets


lives = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted)
anything = st.lists(st.tuples(st.integers(1, 64).map(lambda n: 16 * n), lives), max_size=20)


@given(anything)
def test_plans_never_overlap(rows):
    buffers = [Buffer(size, *life, number) for number, (size, life) in enumerate(rows)]
    placed = plan(buffers)
    assert sorted(one.buffer.tensor for one in placed) == list(range(len(rows)))
    for index, one in enumerate(placed):
        assert one.offset >= 0
        for two in placed[:index]:
            apart = one.end <= two.offset or two.end <= one.offset
            assert apart or not one.buffer.beside(two.buffer)
    peak = max(sum(b.size for b in buffers if b.first <= step <= b.last) for step in range(10))
    assert max((one.end for one in placed), default=0) >= peak


def test_time_is_instructions_times_cycles_over_clock():
    program = conv_net()
    cycles = cores.get("cortex-m7").cycles
    expected = instructions(program, "cortex-m4") * cycles / 216_000
    assert milliseconds(program, "cortex-m7", 216) == pytest.approx(expected)


@pytest.mark.parametrize("clock", [-1, 0, float("nan"), float("inf"), "64", None])
@pytest.mark.parametrize("function", [milliseconds, interval])
def test_a_clock_is_a_number_above_0(function, clock):
    program = Program((), (), (), ())
    with pytest.raises((TypeError, ValueError), match="`clock_mhz` must be a finite number above 0, received"):
        function(program, "cortex-m4", clock)


@pytest.mark.parametrize("function", [arena, instructions])
def test_unknown_cores_are_named(function):
    with pytest.raises(ValueError, match=r"`core` must be one of 'cortex-m4', 'cortex-m55', .*, received 'z80'"):
        function(conv_net(), "z80")


def causal_tcn():
    x = inputs = keras.Input((1, 64, 6))
    for dilation in (1, 2, 4):
        x = layers.ZeroPadding2D(((0, 0), (2 * dilation, 0)))(x)
        x = layers.Conv2D(12, (1, 3), dilation_rate=(1, dilation), activation="relu")(x)
    x = layers.Flatten()(layers.AveragePooling2D((1, 64))(x))
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(x))


def separable():
    x = inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    for width in (12, 20):
        x = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
        x = layers.Conv2D(width, 1, activation="relu")(x)
    x = layers.Flatten()(layers.MaxPooling2D(2)(x))
    return keras.Model(inputs, layers.Dense(10)(x))


def two_dense():
    return keras.Sequential([layers.Input((30,)), layers.Dense(24, activation="relu"), layers.Dense(4)])


@pytest.mark.parametrize("network", [causal_tcn, separable, two_dense])
def test_flash_is_the_size_of_the_file(network):
    model = network()
    rng = np.random.default_rng(0)
    # As after training: no bias is zero, as equal ones would be shared.
    model.set_weights([weight + rng.normal(0, 0.1, weight.shape) for weight in model.get_weights()])
    samples = rng.normal(size=(16, *model.inputs[0].shape[1:]))
    tflite = trim(to_tflite(model, samples, verify=False))
    assert flash(read_program(tflite)) == pytest.approx(len(tflite), rel=0.02)


METRICS = {
    "arena": lambda program: arena(program).total,
    "arena, M55": lambda program: arena(program, "cortex-m55").total,
    "tail": lambda program: arenas.tail(program, "cortex-m55"),
    "latency": instructions,
    "latency, M55": lambda program: instructions(program, "cortex-m55"),
    "flash": flash,
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("sizes", [(8, 3), (7, 1), (1, 5), (13, 17)])
def test_soft_sizes_have_the_value_of_hard_ones(metric, sizes):
    channels, taps = (tf.constant(float(size)) for size in sizes)
    with tf.GradientTape() as tape:
        tape.watch((channels, taps))
        soft = METRICS[metric](conv_net(channels, taps, width=40))
    assert float(soft) == pytest.approx(METRICS[metric](conv_net(*sizes, width=40)), rel=1e-6)
    by_channels, by_taps = tape.gradient(soft, (channels, taps), unconnected_gradients="zero")
    # More channels always cost more; more taps, nothing where only activations count.
    assert float(by_channels) > 0 and float(by_taps) >= 0


@pytest.mark.parametrize("metric", METRICS)
def test_soft_sizes_need_no_value_in_a_graph(metric):
    function = tf.function(lambda channels, taps: METRICS[metric](conv_net(channels, taps, width=40)))
    traced = function.get_concrete_function(*[tf.TensorSpec((), "float32")] * 2)
    for sizes in ((8, 3), (6, 1)):
        soft = traced(*(tf.constant(float(size)) for size in sizes))
        assert float(soft) == pytest.approx(METRICS[metric](conv_net(*sizes, width=40)), rel=1e-6)


@pytest.mark.parametrize(
    ("function", "arguments", "value", "gradient"),
    [
        (floor_div, (7, 4), 1, 0.25),
        (round_up, (7, 4), 8, 1),
        (leftover, (7, 4), 3, 0),
        (larger, (7, 4), 7, 1),
        (larger, (3, 4), 4, 0),
    ],
)
def test_helpers(function, arguments, value, gradient):
    assert function(*arguments) == value
    size = tf.constant(float(arguments[0]))
    with tf.GradientTape() as tape:
        tape.watch(size)
        soft = function(size, arguments[1])
    assert float(soft) == value
    assert float(tape.gradient(soft, size, unconnected_gradients="zero")) == gradient


def test_choose():
    assert choose(True, 1, 2) == 1
    assert float(choose(tf.constant(False), 1, tf.constant(2.0))) == 2


def benchmark(name):
    """A module of the folder benchmarks."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def aside():
    """Measured networks that nothing was fitted on."""
    found = benchmark("measured").read(MEASURED)
    assert len(found) == 27 + 34 + 8 and all(network.kept_aside for network in found)
    return found


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55", "cortex-m0+"])
def test_measured_networks_kept_aside(core, aside):
    errors = []
    for network in aside:
        estimated, true = arena(network.program, core), network.arena[core]
        assert true <= estimated.total <= 1.05 * true + 256
        assert estimated.needed >= estimated.total + 12
        errors.append(abs(instructions(network.program, core) / network.invoke[core] - 1))
    assert np.median(errors) <= 0.02 and np.percentile(errors, 95) <= 0.08


def test_measured_operators_kept_aside(aside):
    found = benchmark("cost_models").operators(aside)
    assert set(found) >= set(PATHS) - {"QUANTIZE", "PADV2", "REDUCE_MIN"}
    few = {"RESIZE_NEAREST_NEIGHBOR"}  # of these only a handful were measured, and the time depends on the values
    for name, cores_of_it in found.items():
        for core, errors in cores_of_it.items():
            assert errors["median"] <= (0.08 if name in few or errors["operators"] == 1 else 0.05), (name, core)


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55", "cortex-m0+"])
def test_a_softmax_takes_no_more_than_its_bound(core, aside):
    for network in aside:
        for call, taken in zip(network.program.calls(), network.operators[core], strict=True):
            if call.op.name == "SOFTMAX" and call.source.dtype == "int8":
                assert taken <= worst(call, core) <= 1.3 * taken


def test_flash_of_measured_networks_kept_aside(aside):
    found = benchmark("cost_models").flashes(MEASURED, aside)
    assert found["networks within 2 %"] == found["networks"] == 27
    assert found["median"] <= 0.001


@pytest.mark.parametrize(("other", "expected"), [((1, 4, 4, 8), False), ((1, 1, 1, 8), True)])
def test_a_sum_with_a_smaller_operand_was_not_measured(other, expected):
    tensors = (Tensor((1, 4, 4, 8), channels=1), Tensor(other, channels=1), Tensor((1, 4, 4, 8), channels=1))
    (call,) = Program((Operator("ADD", (0, 1), (2,)),), tensors, (0, 1), (2,)).calls()
    assert unknown(call) == expected == (operator_instructions(call, "cortex-m4") == 0)
