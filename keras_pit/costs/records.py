"""Records at the arena's tail, and what the interpreter needs for a moment while it prepares a network.

    tail   before planning: records, kernels' data | what Prepare adds | handles, states | after: inputs and outputs
    head   during Prepare: requests, temporary tensors; while planning: notes on all buffers; then the buffers

The tail is counted record by record. The order in which records are aligned to 16 bytes is not followed: each kind of
operator counts with so much that no measured network is above; the estimate is up to some 100 bytes too high.
"""

from __future__ import annotations

from operator import mul

from . import cores
from .call import Call
from .planner import ALIGNMENT
from .program import Program
from .scratch import requests
from .sizes import Scalar, accumulated, choose, larger, largest, of_many, round_up, total, weighted

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
    return program.once(("tail", kernels), lambda: _tail(program, kernels))


def _tail(program: Program, kernels: str) -> Scalar:
    return round_up(_recorded(program) + total(_kept(program, kernels)) + _planned(program, kernels), 4)


def _kept(program: Program, kernels: str) -> list[Scalar]:
    """What each operator keeps from its Prepare."""
    sizes = program.of_each(("prepared", kernels), lambda call: _prepared(call, kernels))
    return of_many(mul, _presences(program), sizes)


def _asked(program: Program, kernels: str) -> list[Scalar]:
    """How many buffers of scratch memory each operator asks for."""
    found = program.of_each(("requests", kernels), lambda call: requests(call, kernels))
    return of_many(mul, _presences(program), list(map(len, found)))


def _presences(program: Program) -> list[Scalar]:
    return [op.presence for op in program.operators]


def _recorded(program: Program) -> Scalar:
    """What is there before the first operator is prepared, and the inputs' and outputs' records."""
    return program.once("recorded", lambda: _all_recorded(program))


def _all_recorded(program: Program) -> Scalar:
    unused = len(program.tensors) - len(program.presences())
    tensors = total(program.presences().values()) + unused
    further = _FURTHER_INPUT_OR_OUTPUT * max(len(program.inputs) + len(program.outputs) - 2, 0)
    operators = weighted(
        (op.presence, _PER_OPERATOR + _KERNEL_DATA.get(op.name, _OTHER_KERNEL_DATA)) for op in program.operators
    )
    return _FIXED + further + _PER_TENSOR * tensors + operators


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
    return program.once(("planned", kernels), lambda: _all_planned(program, kernels))


def _all_planned(program: Program, kernels: str) -> Scalar:
    handles = _PER_SCRATCH * total(_asked(program, kernels))
    handles_of = {op.inputs[0]: op.outputs[0] for op in program.operators if op.name == "READ_VARIABLE"}
    there = program.presences()
    states = [number for number, tensor in enumerate(program.tensors) if tensor.variable]
    counts = [there.get(number, 1) for number in states] + [1] * len(handles_of)
    sizes = [program.tensors[number].bytes for number in (*states, *handles_of.values())]
    return handles + total(of_many(lambda count, size: count * round_up(size, ALIGNMENT), counts, sizes))


def needed(program: Program, core: str, head: Scalar) -> Scalar:
    """The most that is there at any moment of the allocation: what must be reserved.

    Args:
        program: the network; sizes may be soft. Of a stretch that can run in several orders, each operator counts as
            if it were prepared last.
        core: a name of `costs.cores`.
        head: bytes of the head.
    """
    kernels = cores.get(core).kernels
    asked, kept = _asked(program, kernels), _kept(program, kernels)
    temporaries = program.of_each("temporaries", _temporaries)
    before = _recorded(program) - _AFTER_PLANNING * (len(program.inputs) + len(program.outputs))
    sums = accumulated([before, *of_many(lambda kept, asked: kept + _REQUEST * asked, kept, asked)])
    ends = {place: max(stretch.orders[0][0]) for stretch in program.stretches for place in stretch.orders[0][0]}
    there = [sums[1 + ends.get(place, place)] for place in range(len(program.operators))]
    prepared = of_many(lambda there, presence, size: there + presence * size, there, _presences(program), temporaries)
    noted = sums[-1] + _notes(program, kernels, total(asked))
    most = largest([*prepared, noted]) + _REQUEST * _SPARE_REQUESTS
    return round_up(larger(head + tail(program, core) + _ALIGNED, most), 4)


def _notes(program: Program, kernels: str, scratch: Scalar) -> Scalar:
    """What the planner writes down, and what there is then."""
    there = program.presences()
    tensors = total(there.values()) + len(program.tensors) - len(there)
    placed = [n for n in there if not (program.tensors[n].constant or program.tensors[n].variable)]
    activations = total(there[n] for n in placed)
    return _planned(program, kernels) + _NOTE * (tensors + scratch) + _PLAN * (activations + scratch)


def _temporaries(call: Call) -> Scalar:
    """Records of an operator's tensors while it is prepared."""
    size: Scalar = 0
    for tensor in (*call.inputs, *call.outputs):
        if tensor is not None:
            points = choose(tensor.channels > 0, _ITS_ZERO_POINTS + 4 * tensor.channels, 0)
            size = size + _TEMPORARY + points
    return size * (2 if call.op.name in _TWICE else 1)
