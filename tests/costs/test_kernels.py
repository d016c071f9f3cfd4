"""The loops of kernels: counted by hand, chosen by geometry, the same on numbers and on tensors."""

import numpy as np
import pytest
import tensorflow as tf
from test_device import conv_net, depthwise

from keras_pit.costs import cores
from keras_pit.costs.call import Call
from keras_pit.costs.kernels import PATHS
from keras_pit.costs.kernels.path import taps_inside
from keras_pit.costs.latency import coefficients, instructions, operator_instructions, paths, unknown
from keras_pit.costs.operators import Operator, Tensor
from keras_pit.costs.program import Program

MEASURED = ("cortex-m4", "cortex-m55", "cortex-m0+")


def call(name, inputs, outputs, **options):
    """An operator on tensors of its own."""
    tensors = [*inputs, *outputs]
    numbers = tuple(range(len(inputs))), tuple(range(len(inputs), len(tensors)))
    program = Program((Operator(name, *numbers, **options),), tuple(tensors), numbers[0][:1], numbers[1])
    return next(program.calls())


def activation(*shape, **fields):
    return Tensor(shape, channels=1, **fields)


def test_loops_counted_by_hand():
    (conv, pool, dense) = conv_net(inputs=5, channels=6, width=7).calls()
    (*_, path) = paths(conv, "cortex-m4")
    assert path.name == "conv"
    # 7 positions are 3 pairs and an odd one, 6 outputs 3 couples; 15 taps are 3 fours and 3 more.
    assert path.loops == {
        "call": 1,
        "position": 7,
        "block": 9,
        "block_macs": 9 * 3,
        "block_rest": 9 * 3,
        "odd_output": 0,
        "odd_output_macs": 0,
        "odd_output_rest": 0,
        "odd_position": 6,
        "odd_position_macs": 18,
        "odd_position_rest": 18,
        "copy": 21,
        "copied_4": 21,
        "copied_rest": 21,
    }
    assert conv.macs == 7 * 6 * 15 and pool.macs == 0 and dense.macs == 18
    (path,) = paths(dense, "cortex-m55")
    assert path.loops == {"call": 1, "output": 3, "vector": 3, "rest_output": 3, "rest_vector": 3}


@pytest.mark.parametrize(
    ("program", "path"),
    [
        (conv_net(), "conv"),
        (conv_net(taps=1), "conv_1x1"),
        (conv_net(taps=1, stride=2), "conv_1x1_strided"),
        (conv_net(taps=1, dilation=2), "conv"),
        (depthwise(size=3), "depthwise_3x3"),
        (depthwise(size=5), "depthwise"),
        (depthwise(size=3, dilation=2), "depthwise_plain"),
        (depthwise(multiplier=2), "depthwise_plain"),
    ],
)
def test_paths(program, path):
    one = next(program.calls())
    taken = next(path for path in paths(one, "cortex-m4") if path.condition)
    assert taken.name == path
    factors = coefficients()["cortex-m4"][path]
    expected = sum(factors[name] * number for name, number in taken.loops.items())
    assert operator_instructions(one, "cortex-m4") == pytest.approx(expected)


def test_grouped_convolutions_are_products_of_their_groups():
    weights = Tensor((24, 1, 1, 4), constant=True, channels=24)
    grouped = call("CONV_2D", [activation(1, 1, 10, 12), weights], [activation(1, 1, 10, 24)])
    taken = next(path for path in paths(grouped, "cortex-m4") if path.condition)
    # Three times 8 outputs of 4 channels, and no short cut for 1x1 kernels.
    assert taken.name == "conv"
    assert taken.loops["block"] == 3 * 5 * 4 and taken.loops["block_macs"] == 3 * 5 * 4
    assert taken.loops["copy"] == 3 * 10


def test_a_transposed_convolution_is_a_convolution_or_scatters():
    for channels, path in ((17, "transpose_conv_reversed"), (16, "transpose_conv")):
        inputs = [Tensor((4,), "int32", True), Tensor((5, 1, 3, channels), constant=True, channels=5)]
        one = call("TRANSPOSE_CONV", [*inputs, activation(1, 1, 9, channels)], [activation(1, 1, 18, 5)], stride=(1, 2))
        assert next(path for path in paths(one, "cortex-m4") if path.condition).name == path


def test_copies_of_whole_words_are_faster_on_a_cortex_m0():
    slow, fast = (
        operator_instructions(
            call("CONCATENATION", [activation(1, 1, 50, width)] * 2, [activation(1, 1, 50, 2 * width)], axis=3),
            "cortex-m0+",
        )
        for width in (33, 32)
    )
    assert slow > 2 * fast


@pytest.mark.parametrize("axis", [1, 2, 3, -1, -3])
def test_the_axis_of_a_concatenation_decides_how_many_runs_are_copied(axis):
    shape = [1, 4, 6, 8]
    shape[axis] *= 2
    one = call("CONCATENATION", [activation(1, 4, 6, 8)] * 2, [activation(*shape)], axis=axis)
    (path,) = paths(one, "cortex-m4")
    assert path.loops["copy"] == 2 * {1: 1, 2: 4, 3: 24}[axis % 4]


def test_operands_of_other_shapes_run_row_by_row():
    same, by_channel = (
        operator_instructions(call("MUL", [activation(1, 1, 50, 16), other], [activation(1, 1, 50, 16)]), "cortex-m55")
        for other in (activation(1, 1, 50, 16), Tensor((16,), constant=True, channels=1))
    )
    assert by_channel > 4 * same


@pytest.mark.parametrize(
    ("outputs", "window", "stride", "inputs", "expected"),
    [(5, 3, 1, 5, 13), (3, 4, 3, 8, 10), (4, 5, 1, 4, 14), (1, 3, 1, 1, 1), (4, 2, 2, 7, 7)],
)
def test_taps_on_padding_are_not_counted(outputs, window, stride, inputs, expected):
    one = call(
        "MAX_POOL_2D", [activation(1, inputs, 1, 1)], [activation(1, outputs, 1, 1)], stride=(stride, 1), padding="same"
    )
    assert taps_inside(one, 0, window) == expected


def samples() -> list[Call]:
    """One or more of each measured operator, with odd sizes."""
    x, y = activation(1, 3, 7, 18), activation(1, 3, 7, 18)
    constant = Tensor((18,), constant=True, channels=18)
    settings = [Tensor((4,), "int32", True)] * 3
    alone = ("TANH", "LOGISTIC", "HARD_SWISH", "RELU", "RELU6", "LEAKY_RELU", "ELU", "QUANTIZE", "SOFTMAX")
    found = [call(name, [x], [y]) for name in alone]
    found += [call(name, [x, x], [y]) for name in ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM")]
    found += [call(name, [x, constant], [y]) for name in ("SUB", "MUL", "MAXIMUM", "PRELU")]
    for name, shape, options in (
        ("CONV_2D", (5, 3, 3, 18), {"padding": "same"}),
        ("CONV_2D", (5, 1, 1, 18), {}),
        ("CONV_2D", (6, 1, 3, 9), {"padding": "same"}),
        ("DEPTHWISE_CONV_2D", (1, 3, 3, 18), {"padding": "same"}),
        ("DEPTHWISE_CONV_2D", (1, 3, 5, 18), {"padding": "same", "dilation": (1, 2)}),
    ):
        weights = Tensor(shape, constant=True, channels=shape[0])
        made = 18 if name == "DEPTHWISE_CONV_2D" else shape[0]
        found.append(call(name, [x, weights, Tensor((made,), "int32", True)], [activation(1, 3, 7, made)], **options))
    dense = Tensor((5, 18), constant=True, channels=5)
    found.append(call("FULLY_CONNECTED", [activation(1, 18), dense], [activation(1, 5)]))
    for channels in (18, 9):
        kernel = Tensor((5, 2, 2, channels), constant=True, channels=5)
        read = [settings[0], kernel, activation(1, 3, 7, channels)]
        found.append(call("TRANSPOSE_CONV", read, [activation(1, 6, 14, 5)], stride=(2, 2), padding="same"))
    found.append(call("BATCH_MATMUL", [activation(1, 9, 5), activation(1, 5, 7)], [activation(1, 9, 7)]))
    gates = [Tensor((6, 18), constant=True)] * 4 + [Tensor((6, 6), constant=True)] * 4
    found.append(call("UNIDIRECTIONAL_SEQUENCE_LSTM", [activation(1, 9, 18), *gates], [activation(1, 9, 6)]))
    memory = [Tensor((8, 18), constant=True), Tensor((8, 10), "int16", True), Tensor((4,), "int32", True)]
    state = Tensor((1, 80), "int16", variable=True)
    found.append(call("SVDF", [activation(1, 18), *memory, state], [activation(1, 4)], rank=2))
    for name in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        pooled = [activation(1, 2, 4, 18)]
        found.append(call(name, [x], pooled, window=(2, 2), stride=(2, 2), padding="same"))
    found += [call(name, [x, settings[0]], [activation(1, 18)]) for name in ("MEAN", "REDUCE_MAX")]
    found.append(call("CONCATENATION", [x, x], [activation(1, 3, 7, 36)], axis=3))
    found.append(call("SPLIT", [Tensor((), "int32", True), x], [activation(1, 3, 7, 9)] * 2, axis=3))
    found.append(call("SLICE", [x, *settings[:2]], [activation(1, 2, 4, 18)]))
    found.append(call("STRIDED_SLICE", [x, *settings], [activation(1, 2, 4, 18)], strides=(1, 2, 2, 1)))
    found.append(call("STRIDED_SLICE", [x, *settings], [activation(1, 3, 7, 9)], strides=(1, 1, 1, 2)))
    found += [call(n, [x, settings[0]], [activation(1, 6, 14, 18)]) for n in PATHS if n.startswith("RESIZE")]
    found.append(call("TRANSPOSE", [x, settings[0]], [activation(1, 3, 18, 7)], permutation=(0, 1, 3, 2)))
    found.append(call("TRANSPOSE", [x, settings[0]], [activation(1, 18, 3, 7)], permutation=(0, 3, 1, 2)))
    found.append(call("PAD", [x, settings[0]], [activation(1, 3, 9, 18)]))
    found.append(call("RESHAPE", [x, settings[0]], [activation(1, 21, 18)]))
    found.append(call("CIRCULAR_BUFFER", [activation(1, 1, 1, 18)], [activation(1, 5, 1, 18, variable=True)]))
    return found


def test_samples_cover_all_kernels():
    assert {one.op.name for one in samples()} == set(PATHS) - {"PADV2", "REDUCE_MIN"}


@pytest.mark.parametrize("core", MEASURED)
@pytest.mark.parametrize("one", samples(), ids=lambda one: one.op.name)
def test_kernels_have_the_same_cost_on_numbers_and_tensors(one, core):
    assert not unknown(one)
    hard = operator_instructions(one, core)
    assert np.isfinite(hard) and hard > 0

    def soft(tensor, factor):
        """Channels as tensors, wherever there are 18 or 36."""
        shape = tuple(factor * size if size in (9, 18, 36) else size for size in tensor.shape)
        return Tensor(shape, tensor.dtype, tensor.constant, tensor.channels, tensor.variable, tensor.centred)

    factor = tf.constant(1.0)
    with tf.GradientTape() as tape:
        tape.watch(factor)
        inputs, outputs = ([soft(tensor, factor) for tensor in part] for part in (one.inputs, one.outputs))
        value = operator_instructions(call(one.op.name, inputs, outputs, **options(one.op)), core)
    assert float(value) == pytest.approx(hard, rel=1e-5)
    assert tape.gradient(value, factor) is not None


def options(op):
    names = ("stride", "dilation", "window", "multiplier", "padding", "axis", "permutation", "strides", "rank")
    return {name: getattr(op, name) for name in names}


@pytest.mark.parametrize("core", cores.names())
def test_what_was_never_measured_is_not_counted(core):
    x = activation(1, 4, 4, 8)
    square, floats = call("SQUARE", [x], [x]), call("ADD", [Tensor((1, 4), "float32")] * 2, [Tensor((1, 4), "float32")])
    wide = call("TANH", [Tensor((1, 4), "int16")], [Tensor((1, 4), "int16")])
    assert all(unknown(one) and operator_instructions(one, core) == 0 for one in (square, floats, wide))
    program = Program((Operator("SQUARE", (0,), (1,)),), (x, x), (0,), (1,))
    invoke = coefficients()[cores.get(core).measured]["invoke"]
    assert instructions(program, core) == pytest.approx(invoke["call"] + invoke["operator"])


def test_three_cores_are_measured():
    assert {cores.get(name).measured for name in cores.names()} == set(MEASURED) == set(coefficients())
