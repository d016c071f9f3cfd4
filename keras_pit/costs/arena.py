"""The tensor arena that TFLite-Micro takes for a network on a 32-bit Cortex-M.

The arena has two ends. At its head lie buffers that are reused: activations, and scratch memory of CMSIS-NN's kernels.
TFLite-Micro places them greedily (see `planner`). At its tail lies what stays: a record for each tensor and operator,
multipliers for each channel, states.

    tail   before planning: records, kernels' data | what Prepare adds | handles, states | after: inputs and outputs
    head   during Prepare: requests, temporary tensors; while planning: notes on all buffers; then the buffers

`Arena.total` is what is used in the end, as `arena_used_bytes()` tells. `Arena.needed` is what must be there: while the
interpreter prepares and plans, the head holds other things, which small networks with many tensors or channels need
more room for than for their buffers.

The head is exact, by the kernels' own rules, on 905 networks measured with TFLite-Micro 90b983c and CMSIS-NN 4ab83cc.
The tail is counted record by record. The order in which records are aligned to 16 bytes is not followed: each kind of
operator counts with so much that no measured network is above; the estimate is up to some 100 bytes too high.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from . import cores
from .kernels.path import groups
from .planner import ALIGNMENT, Buffer, plan, soft_head
from .program import Call, Program, Scalar, choose, floor_div, is_number, larger, leftover, round_up, smaller


@dataclass(frozen=True)
class Arena:
    """Bytes at the two ends, and those that must be there for a moment."""

    head: Scalar
    tail: Scalar
    needed: Scalar
    """The size of the array to reserve: with less, the interpreter fails to allocate its tensors."""

    @property
    def total(self) -> Scalar:
        """All bytes that are used in the end."""
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
        >>> arena(program, "cortex-m55").needed
        9568
    """
    wanted = buffers(program, core)
    if all(is_number(buffer.size) for buffer in wanted):
        head = max((placed.end for placed in plan(wanted)), default=0)
    else:
        heads = _heads(program, wanted)
        head = heads[0]
        if program.orders:
            deciding = heads if core == cores.ORDERING else _heads(program, buffers(program, cores.ORDERING))
            head = _of_best_order(heads, deciding)
    return Arena(head, tail(program, core), _needed(program, core, head))


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
            if not program.tensors[number].variable:
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
    if call.source.dtype == "int16":
        return _conv_16(call, kernels, taps)
    column = 4 * round_up(taps, 16) if kernels == "helium" else 4 * round_up(taps, 4)
    if kernels == "helium":
        column = choose(_along_one_axis(call), _row_buffer(call, column), column)
    pointwise = (top + left <= 0) & (height * width <= 1) & (call.op.dilation == (1, 1)) & (groups(call) <= 1)
    return [choose(pointwise, 0, column)]


def _conv_16(call: Call, kernels: str, taps: Scalar) -> list[Scalar]:
    """Two columns of 16 bits, with Helium four."""
    return [8 * round_up(taps, 8) if kernels == "helium" else 4 * taps]


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
    if kernels == "plain" or call.op.dilation != (1, 1) or call.op.multiplier != 1 or call.source.dtype == "int16":
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


def _lstm(call: Call, kernels: str) -> list[Scalar]:
    """Two gates and the state of the cell, of 16 bits; not kept for the next inference."""
    return [2 * call.source.shape[0] * call.result.shape[-1]] * 3


def _svdf(call: Call, kernels: str) -> list[Scalar]:
    """Sums of 32 bits by filters, and by units."""
    rows = call.source.shape[0]
    return [4 * rows * call.weights.shape[0], 4 * rows * call.result.shape[-1]]


def _batch_matmul(call: Call, kernels: str) -> list[Scalar]:
    return [4 * call.result.shape[-1]] if kernels == "helium" else []


_SCRATCH: dict[str, Callable[[Call, str], list[Scalar]]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transposed,
    "AVERAGE_POOL_2D": _average_pool,
    "MEAN": _mean,
    "SUM": _mean,
    "REDUCE_MAX": _reduce,
    "REDUCE_MIN": _reduce,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
    "SVDF": _svdf,
    "BATCH_MATMUL": _batch_matmul,
}

# What the interpreter keeps whatever the network is: its allocator and planner, one input, one output, alignment.
_FIXED = 288
_FURTHER_INPUT_OR_OUTPUT = 60
_PER_TENSOR = 12
_PER_OPERATOR = 32
_PER_SCRATCH = 4
# The parameters read from the file and the data of the kernel, operator by operator, with what is lost by alignment.
_KERNEL_DATA = {
    "ADD": 64,
    "AVERAGE_POOL_2D": 88,
    "BATCH_MATMUL": 116,
    "CAST": 8,
    "CIRCULAR_BUFFER": 20,
    "CONCATENATION": 40,
    "CONV_2D": 92,
    "DEPTHWISE_CONV_2D": 92,
    "ELU": 272,
    "FULLY_CONNECTED": 88,
    "GATHER": 40,
    "HARD_SWISH": 32,
    "LEAKY_RELU": 36,
    "LOGISTIC": 20,
    "MAXIMUM": 4,
    "MAX_POOL_2D": 92,
    "MEAN": 64,
    "MINIMUM": 4,
    "MUL": 52,
    "PAD": 64,
    "PRELU": 40,
    "QUANTIZE": 32,
    "REDUCE_MAX": 52,
    "RELU": 32,
    "RELU6": 16,
    "RESHAPE": 36,
    "RESIZE_BILINEAR": 8,
    "RESIZE_NEAREST_NEIGHBOR": 8,
    "SLICE": 4,
    "SOFTMAX": 72,
    "SPLIT": 8,
    "STRIDED_SLICE": 124,
    "SUB": 68,
    "SVDF": 60,
    "TANH": 20,
    "TRANSPOSE": 4,
    "TRANSPOSE_CONV": 92,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 932,
}
_OTHER_KERNEL_DATA = 40 + 64
_TURNED = 24
"""An operand that BATCH_MATMUL turns: its record."""
_TABLE = 2 * 513
"""A softmax of 16 bits looks up exponentials and reciprocals, each in a table of so many bytes."""

# What the head holds for a moment, and what comes behind it at the tail.
_AFTER_PLANNING = 58
"""The record of an input or output."""
_REQUEST, _SPARE_REQUESTS = 12, 12
"""A request for scratch memory; there is room for so many more."""
_NOTE, _PLAN = 24, 40
"""On each tensor and scratch buffer when planning, and on each that is to be placed."""
_TEMPORARY, _ITS_ZERO_POINTS = 40, 16
"""A tensor's record during Prepare; with quantization, 4 bytes a channel come to this."""
_TWICE = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
"""Operators whose Prepare has two records of each tensor."""
_ALIGNED = 12
"""The least arena that works is so much larger than what is used in the end."""


def tail(program: Program, core: str) -> Scalar:
    """Bytes of the records at the arena's tail."""
    kernels = cores.get(core).kernels
    prepared = sum(call.op.presence * _prepared(call, kernels) for call in program.calls())
    return round_up(_recorded(program) + prepared + _planned(program, kernels), 4)


def _recorded(program: Program) -> Scalar:
    """What is there before the first operator is prepared, and the inputs' and outputs' records."""
    unused = len(program.tensors) - len(program.presences())
    tensors = sum(program.presences().values()) + unused
    further = _FURTHER_INPUT_OR_OUTPUT * max(len(program.inputs) + len(program.outputs) - 2, 0)
    total: Scalar = _FIXED + further + _PER_TENSOR * tensors
    for op in program.operators:
        total = total + op.presence * (_PER_OPERATOR + _KERNEL_DATA.get(op.name, _OTHER_KERNEL_DATA))
    return total


def _prepared(call: Call, kernels: str) -> Scalar:
    """What an operator keeps from its Prepare: multipliers, shifts, sums of weights, turned operands."""
    name = call.op.name
    size: Scalar = 0
    if name in ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"):
        size = 2 * round_up(4 * call.weights.channels, ALIGNMENT)
    if name == "FULLY_CONNECTED":
        multipliers = 2 * round_up(4 * call.weights.channels, ALIGNMENT)
        size = choose(call.weights.channels > 1, multipliers, 0)
    if kernels == "helium" and (name == "SVDF" or (name == "FULLY_CONNECTED" and call.source.dtype != "int16")):
        size = size + round_up(4 * call.weights.shape[0], ALIGNMENT)
    if name == "SOFTMAX" and call.source.dtype == "int16":
        size = 2 * round_up(_TABLE, ALIGNMENT)
    if name == "UNIDIRECTIONAL_SEQUENCE_LSTM":
        size = 8 * round_up(4 * call.result.shape[-1], ALIGNMENT)
    if name == "BATCH_MATMUL":
        of_left, of_right = call.op.transposed
        for tensor, turned in zip(call.inputs[:2], (of_left, not of_right), strict=True):
            size = size + (_TURNED + round_up(tensor.bytes, ALIGNMENT) if turned and tensor is not None else 0)
    return size


def _planned(program: Program, kernels: str) -> Scalar:
    """Handles of scratch buffers, states of operators, and variables that are read by their handle."""
    handles = sum(
        call.op.presence * _PER_SCRATCH * len(_SCRATCH.get(call.op.name, _none)(call, kernels))
        for call in program.calls()
    )
    handles_of = {op.inputs[0]: op.outputs[0] for op in program.operators if op.name == "READ_VARIABLE"}
    there = program.presences()
    states = [number for number, tensor in enumerate(program.tensors) if tensor.variable]
    sizes = [round_up(program.tensors[number].bytes, ALIGNMENT) for number in (*states, *handles_of.values())]
    counts = [there.get(number, 1) for number in states] + [1] * len(handles_of)
    return handles + sum(count * size for count, size in zip(counts, sizes, strict=True))


def _needed(program: Program, core: str, head: Scalar) -> Scalar:
    """The most that is there at any moment of the allocation."""
    kernels = cores.get(core).kernels
    lasting = _AFTER_PLANNING * (len(program.inputs) + len(program.outputs))
    kept = _recorded(program) - lasting
    requests: Scalar = _SPARE_REQUESTS
    most: Scalar = head + tail(program, core) + _ALIGNED
    for call in program.calls():
        kept = kept + call.op.presence * _prepared(call, kernels)
        requests = requests + call.op.presence * len(_SCRATCH.get(call.op.name, _none)(call, kernels))
        most = larger(most, kept + _REQUEST * requests + call.op.presence * _temporaries(call))
    there = program.presences()
    scratch = requests - _SPARE_REQUESTS
    tensors = sum(there.values()) + len(program.tensors) - len(there)
    placed = [n for n in there if not (program.tensors[n].constant or program.tensors[n].variable)]
    activations = sum(there[n] for n in placed)
    plans = _NOTE * (tensors + scratch) + _PLAN * (activations + scratch)
    return round_up(larger(most, kept + _planned(program, kernels) + _REQUEST * requests + plans), 4)


def _temporaries(call: Call) -> Scalar:
    """Records of an operator's tensors while it is prepared."""
    total: Scalar = 0
    for tensor in (*call.inputs, *call.outputs):
        if tensor is not None:
            points = choose(tensor.channels > 0, _ITS_ZERO_POINTS + 4 * tensor.channels, 0)
            total = total + _TEMPORARY + points
    return total * (2 if call.op.name in _TWICE else 1)
