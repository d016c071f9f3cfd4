"""The tensor arena that TFLite-Micro takes for a network on a 32-bit Cortex-M.

The arena has two ends. At its head lie buffers that are reused: activations, and scratch memory of CMSIS-NN's kernels.
TFLite-Micro places them greedily (see `planner`). At its tail lies what stays: a record for each tensor and operator,
multipliers for each channel.

The head is exact, by the kernels' own rules, on 600 networks measured with TFLite-Micro 90b983c and CMSIS-NN 4ab83cc.
The tail's records are counted one by one. The order in which they are aligned to 16 bytes is not followed, so it is up
to 72 bytes above the measured one, never below. The estimate is that of `arena_used_bytes()`: while the interpreter
prepares the operators, it needs up to some 300 bytes more for a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from . import cores
from .planner import ALIGNMENT, Buffer, plan, soft_head
from .program import Call, Program, Scalar, choose, floor_div, is_number, larger, leftover, round_up, smaller


@dataclass(frozen=True)
class Arena:
    """Bytes at the two ends."""

    head: Scalar
    tail: Scalar

    @property
    def total(self) -> Scalar:
        """All bytes."""
        return self.head + self.tail


def arena(program: Program, core: str = "cortex-m4") -> Arena:
    """The arena of a network.

    Args:
        program: the network; sizes may be soft.
        core: "cortex-m4", "cortex-m55" or another name of `costs.cores`.

    Returns:
        An `Arena`, in bytes. Of a soft head, the gradient goes to the steps at which most is alive.

    Raises:
        ValueError: if the core is unknown.

    Example:
        >>> arena(program, "cortex-m55").total
        9556
    """
    wanted = buffers(program, core)
    if all(is_number(buffer.size) for buffer in wanted):
        return Arena(max((placed.end for placed in plan(wanted)), default=0), tail(program, core))
    heads = _heads(program, wanted)
    if program.orders:
        deciding = heads if core == cores.ORDERING else _heads(program, buffers(program, cores.ORDERING))
        return Arena(_of_best_order(heads, deciding), tail(program, core))
    return Arena(heads[0], tail(program, core))


def _heads(program: Program, wanted: list[Buffer]) -> list[Scalar]:
    """The soft head for each order that the program may have."""
    orders = [wanted, *(_moved(wanted, program, each) for each in program.orders)]
    return [soft_head(some, len(program.operators)) for some in orders]


def _of_best_order(heads: list[Scalar], deciding: list[Scalar]) -> Scalar:
    """The head in the order that needs the least on the core that decides; in the worst one of these."""
    from keras import ops

    least = reduce(smaller, deciding)
    return ops.max(ops.stack([choose(one <= least, head, 0.0) for head, one in zip(heads, deciding, strict=True)]))


def buffers(program: Program, core: str) -> list[Buffer]:
    """What is to be placed: activations by their numbers, then scratch memory by operator."""
    kernels, there = cores.get(core).kernels, program.presences()
    scratch: list[Buffer] = []
    for step, (op, call) in enumerate(zip(program.operators, program.calls(), strict=True), start=1):
        requests = _SCRATCH.get(op.name, _none)(call, kernels)
        scratch += [Buffer(round_up(size, ALIGNMENT) * op.presence, step, step) for size in requests]
    lives = _lives(program, range(len(program.operators)))
    sizes = {number: round_up(program.tensors[number].bytes, ALIGNMENT) * there[number] for number in lives}
    return [Buffer(sizes[n], *lives[n], n) for n in sorted(lives)] + scratch


def _lives(program: Program, order: Sequence[int]) -> dict[int, tuple[int, Scalar]]:
    """The first and the last step at which each activation is needed, by its number, if operators run in an order."""
    first: dict[int, int] = dict.fromkeys(program.inputs, 0)
    last: dict[int, Scalar] = dict(first)
    for step, op in enumerate((program.operators[place] for place in order), start=1):
        for number in op.outputs:
            if not program.tensors[number].variable:  # these are kept, see `tail`
                first.setdefault(number, step)
        for number in (*op.inputs, *op.outputs):
            if number in first:
                last[number] = larger(step * op.presence, last.get(number, 0))
    last |= dict.fromkeys(program.outputs, len(program.operators))
    return {number: (first[number], last[number]) for number in first}


def _moved(wanted: Sequence[Buffer], program: Program, order: Sequence[int]) -> list[Buffer]:
    """The buffers of a network whose operators run in another order, as that network asks for them."""
    lives, step = _lives(program, order), {place: turn for turn, place in enumerate(order, start=1)}
    moved = [
        replace(one, first=step[one.first - 1], last=step[one.first - 1])
        if one.tensor is None
        else replace(one, first=lives[one.tensor][0], last=lives[one.tensor][1])
        for one in wanted
    ]
    return sorted(moved, key=lambda one: (one.tensor is None, one.first))


def _none(call: Call, kernels: str) -> list[Scalar]:
    return []


def _conv(call: Call, kernels: str) -> list[Scalar]:
    """Columns of input values (im2col): two of 16 bits, or four of 8 bits."""
    (top, left), (height, width) = call.pads, call.kernel
    channels = call.source.shape[-1]
    taps = height * width * channels
    column = 4 * round_up(taps, 16) if kernels == "helium" else 4 * round_up(taps, 4)
    if kernels == "helium":
        column = choose(_along_one_axis(call), _row_buffer(call, column), column)
    pointwise = (top + left <= 0) & (height * width <= 1) & (call.op.dilation == (1, 1))
    return [choose(pointwise, 0, column)]


def _along_one_axis(call: Call) -> Any:
    """Whether Helium's convolution along a row applies, but for the width of the input (see `_row_buffer`)."""
    return (call.source.shape[1] <= 1) & (call.kernel[0] <= 1) & (call.op.dilation[1] == 1)


def _row_buffer(call: Call, general: Scalar) -> Scalar:
    """Helium's convolution along a row copies only what touches the padding."""
    (_, left), (_, taps) = call.pads, call.kernel
    (*_, inputs, channels), (*_, outputs, _) = call.source.shape, call.result.shape
    stride = call.op.stride[1]
    missing = (outputs - 1) * stride + taps - inputs
    odd = choose(missing >= 0, leftover(missing, 2), -leftover(-missing, 2))
    at_left = choose(left > 0, larger(floor_div(left + stride - 1, stride), 1), 0)
    at_right = choose((left + odd > 0) | (left + odd < 0), larger(floor_div(left + odd + stride - 1, stride), 1), 0)
    pad_right = choose((odd > 0) | (odd < 0), at_right, left)
    row = larger((taps + left) * channels, (taps - 1 + pad_right) * channels)
    applies = (leftover(stride * channels, 4) <= 0) & (at_left + at_right <= outputs)
    return choose(applies, row, general)


def _depthwise(call: Call, kernels: str) -> list[Scalar]:
    """A column of input values; none for dilated kernels and several outputs a channel, which are plain C."""
    (top, left), (height, width) = call.pads, call.kernel
    if kernels == "plain" or call.op.dilation != (1, 1) or call.op.multiplier != 1:
        return []
    if kernels == "helium":
        return [4 * 124 * height * width]  # four columns for blocks of 124 channels
    special = (height >= 3) & (height <= 3) & (width >= 3) & (width <= 3) & (top <= 1) & (left <= 1)
    return [choose(special, 0, 2 * call.source.shape[-1] * height * width)]


def _transposed(call: Call, kernels: str) -> list[Scalar]:
    """Columns as of a convolution and its reversed kernel, or rows of 32-bit sums."""
    (height, width), (down, across) = call.kernel, call.op.stride
    channels, outputs = call.source.shape[-1], call.result.shape[-1]
    taps = height * width * channels
    columns = 4 * round_up(taps, 16 if kernels == "helium" else 4)
    sums = 4 * ((call.source.shape[2] - 1) * across + larger(width, down)) * outputs * larger(height, down)
    reverse = (channels > 16) & (down <= 2) & (across <= 2)
    return [choose(reverse, columns, sums), choose(reverse, taps * outputs, 0)]


def _average_pool(call: Call, kernels: str) -> list[Scalar]:
    return [4 * call.source.shape[-1]] if kernels == "dsp" else []


def _mean(call: Call, kernels: str) -> list[Scalar]:
    return [4 * call.result.elements]


def _reduce(call: Call, kernels: str) -> list[Scalar]:
    axes = call.inputs[1]
    return [4 * len(call.source.shape), 4 * (axes.elements if axes else 1)]


def _filters(call: Call, kernels: str) -> list[Scalar]:
    """32-bit sums, of the filters and of the results."""
    rows, filters, units = call.source.shape[0], call.weights.shape[0], call.result.shape[-1]
    return [4 * rows * filters, 4 * rows * units]


def _gates(call: Call, kernels: str) -> list[Scalar]:
    """Values of the gates, of 16 bits."""
    return [2 * call.source.shape[0] * call.result.shape[-1]] * 4


_SCRATCH: dict[str, Callable[[Call, str], list[Scalar]]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transposed,
    "AVERAGE_POOL_2D": _average_pool,
    "MEAN": _mean,
    "SUM": _mean,
    "REDUCE_MAX": _reduce,
    "REDUCE_MIN": _reduce,
    "SVDF": _filters,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _gates,
}

# What the interpreter keeps whatever the network is: its allocator and planner, input and output tensors, alignment.
_FIXED = 304
_PER_TENSOR = 12
_PER_OPERATOR = 32
_PER_SCRATCH = 4
# The parameters read from the file, and the data of the kernel, operator by operator.
_KERNEL_DATA = {
    "CONV_2D": 28 + 64,
    "DEPTHWISE_CONV_2D": 28 + 64,
    "TRANSPOSE_CONV": 28 + 80,
    "FULLY_CONNECTED": 16 + 64,
    "AVERAGE_POOL_2D": 40 + 48,
    "MAX_POOL_2D": 40 + 48,
    "SOFTMAX": 4 + 64,
    "ADD": 8 + 64,
    "CONCATENATION": 8 + 32,
    "RESHAPE": 36,
    "MEAN": 4 + 48,
    "REDUCE_MAX": 4 + 48,
    "PAD": 64,
    "LOGISTIC": 16,
    "ELU": 256,
    "CAST": 8,
    "GATHER": 8 + 32,
    "SVDF": 56,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 104 + 896,
}
_OTHER_KERNEL_DATA = 40 + 64
_TABLE = 2 * 513
"""A softmax of 16 bits looks up exponentials and reciprocals, each in a table of so many bytes."""


def tail(program: Program, core: str) -> Scalar:
    """Bytes of the records at the arena's tail."""
    kernels = cores.get(core).kernels
    total: Scalar = _FIXED + _PER_TENSOR * sum(program.presences().values()) + _kept(program)
    for call in program.calls():
        total = total + call.op.presence * (_PER_OPERATOR + _kernel_data(call, kernels))
    return round_up(total, 4)


def _kept(program: Program) -> Scalar:
    """What is kept from one inference to the next: states of operators, and variables that are read by their handle."""
    handles = {op.inputs[0]: op.outputs[0] for op in program.operators if op.name == "READ_VARIABLE"}
    tensors = [tensor for tensor in program.tensors if tensor.variable]
    tensors += [program.tensors[value] for value in handles.values()]
    return sum(round_up(tensor.bytes, ALIGNMENT) for tensor in tensors)


def _kernel_data(call: Call, kernels: str) -> Scalar:
    name = call.op.name
    size: Scalar = _KERNEL_DATA.get(name, _OTHER_KERNEL_DATA)
    size = size + _PER_SCRATCH * len(_SCRATCH.get(name, _none)(call, kernels))
    if name == "SOFTMAX" and call.source.dtype == "int16":
        size = size + 2 * round_up(_TABLE, ALIGNMENT)
    if name in ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"):
        size = size + 2 * round_up(4 * call.weights.channels, ALIGNMENT)
    if name == "UNIDIRECTIONAL_SEQUENCE_LSTM":  # sums of the rows of eight matrices of weights
        size = size + 8 * round_up(4 * call.result.shape[-1], ALIGNMENT)
    if name == "SVDF" and kernels == "helium":
        size = size + round_up(4 * call.weights.shape[0], ALIGNMENT)
    if name == "FULLY_CONNECTED":
        multipliers = 2 * round_up(4 * call.weights.channels, ALIGNMENT)
        size = size + choose(call.weights.channels > 1, multipliers, 0)
        if kernels == "helium":  # the sums of the weights' rows
            size = size + round_up(4 * call.weights.shape[0], ALIGNMENT)
    return size
