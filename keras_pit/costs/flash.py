"""Bytes of the int8 .tflite file as this package writes it, from the network alone.

A trimmed file (deployment/trim.py) holds each distinct table and vector once, so its size is counted in the same way:

    weights, biases, other constants    their bytes, each in a vector that starts at a multiple of 16
    quantisation                        a scale a channel; zero points of weights once for each number of channels
    tensors, operators                  a table each, their shapes and options once where equal
    the file                            the tables and vectors that all files have

What a network does not tell is taken as it is after training: no two biases are equal, two activations have different
scales unless their operator hands values on (pooling, padding), a sum has the scale of an operand that it is the last
to read, and one zero point serves all that are behind a ReLU. Where values decide otherwise, it is up to 100 bytes off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from .program import BIAS, Call, Program, Scalar, Tensor, choose, is_number, round_up

_ALIGNMENT = 16
# Header, root, subgraph and the empty buffer with the vtables of all kinds of tables, but for operators' options.
_FILE = 238
_CODE = 12 + 4  # with its place in the vector of all of them, as the next ones
_ACTIVATION = 16
_PLACE = 4
_WEIGHTS = 20 + 4
_CONSTANT = 16 + 4
_OPERATOR = 24 + 4
_QUANTIZATION = 12
_SCALE = 8  # a vector of one
_ZERO_POINT = 16  # a vector of one 64-bit number, aligned
# Operators with options of their own; all of a kind share a vtable.
_OPTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D", "TRANSPOSE_CONV")
_OPTIONS_VTABLE = 14
_AXIS_VTABLE = 18
# Operators whose result has the quantisation of what they read, and those whose result has a fixed one.
_HAND_ON = {"AVERAGE_POOL_2D", "MAX_POOL_2D", "PAD", "RESHAPE", "STRIDED_SLICE", "TRANSPOSE", "CONCATENATION"}
_HAND_ON |= {"REDUCE_MAX", "REDUCE_MIN"}
_FIXED_RANGE = ("SOFTMAX", "LOGISTIC", "TANH")

Row = tuple[tuple[Any, ...], Scalar]
"""What tells two parts of a file apart, and their size."""


def flash(program: Program) -> Scalar:
    """Bytes of the file.

    Args:
        program: the network; sizes may be soft.

    Example:
        >>> flash(program)
        5056
    """
    calls, there = list(program.calls()), program.presences()
    total: Scalar = _FILE + _CODE * len({call.op.name for call in calls})
    for number, presence in there.items():
        total = total + presence * _place(program.tensors[number])
    shapes = {number: program.tensors[number].shape for number in there}
    total = total + _once((shape, (4 + 4 * len(shape)) * there[number]) for number, shape in shapes.items())
    lists = {program.inputs: 1, program.outputs: 1}
    for op in program.operators:
        total = total + _OPERATOR * op.presence
        lists |= {op.inputs: op.presence, op.outputs: op.presence}
    total = total + sum(presence * (4 + 4 * len(numbers)) for numbers, presence in lists.items())
    total += _once((_options(call), _options_table(call)) for call in calls)
    total += _OPTIONS_VTABLE * len({call.op.name for call in calls} & set(_OPTIONS))
    total += _AXIS_VTABLE * any(call.op.name == "DEPTHWISE_CONV_2D" for call in calls)
    total = total + _constants(program, calls) + _activations(program)
    return round_up(total, _ALIGNMENT)


def _constants(program: Program, calls: list[Call]) -> Scalar:
    """Contents and quantisation of constants."""
    total: Scalar = 0
    widths: list[Row] = []
    contents: list[Row] = []
    counted: set[int] = set()
    for call in calls:
        for place, (number, tensor) in enumerate(zip(call.op.inputs, call.inputs, strict=True)):
            if tensor is None or not tensor.constant or number in counted:
                continue
            counted.add(number)
            size, there = _buffer(tensor.bytes), call.op.presence
            if tensor.dtype in ("int8", "int16"):
                axis = 4 * (call.op.name == "DEPTHWISE_CONV_2D")  # the last one, instead of the first
                total = total + there * (size + _QUANTIZATION + axis + 4 + 4 * tensor.channels)
                widths.append(((tensor.channels,), 4 + 8 * tensor.channels + 4))
            elif place == BIAS.get(call.op.name):
                alone = _QUANTIZATION + _SCALE  # the kernel compares a single scale
                total = total + there * (size + choose(call.weights.channels <= 1, alone, 0))
            else:
                contents.append((_told(call), there * size))
    return total + _once(widths) + _once(contents)


def _activations(program: Program) -> Scalar:
    """Tables and quantisation of activations; equal ones have one table."""
    scale = _scales(program)
    lowest = {
        scale[number]
        for op in program.operators
        if op.activation != "none" or op.name in _FIXED_RANGE
        for number in op.outputs
    }
    distinct = set(scale.values())
    zero_points = len(distinct - lowest) + bool(lowest)
    quantization = (_QUANTIZATION + _SCALE) * len(distinct) + _ZERO_POINT * zero_points
    return quantization + _once(((scale[n], *program.tensors[n].shape), _ACTIVATION) for n in scale)


def _scales(program: Program) -> dict[int, int]:
    """For each activation, the first one with the same quantisation."""
    scale = {number: number for number, tensor in enumerate(program.tensors) if not tensor.constant}
    reads = Counter(number for op in program.operators for number in op.inputs)
    for op in program.operators:
        tied = [number for number in (*op.outputs, *op.inputs) if number in scale] if op.name in _HAND_ON else []
        if op.name == "ADD" and reads[op.inputs[-1]] == 1 and op.inputs[-1] in scale:
            # Calibration adds in place, and so sees the sum's range in the operand that is not needed any more.
            tied = [op.inputs[-1], *op.outputs]
        same = {scale[number] for number in tied}
        scale = {number: min(same) if first in same else first for number, first in scale.items()}
    return scale


def _place(tensor: Tensor) -> int:
    if not tensor.constant:
        return _PLACE  # its table may be that of another
    return _WEIGHTS if tensor.dtype in ("int8", "int16") else _CONSTANT


def _buffer(size: Scalar) -> Scalar:
    """A constant with its length and its table, which fills a part of the gap in front of it."""
    return _PLACE + round_up(size + 4 + 8, _ALIGNMENT)


def _options(call: Call) -> tuple[Any, ...]:
    op = call.op
    return (op.name, op.padding, op.activation, op.multiplier, *op.stride, *op.dilation, *op.window)


def _options_table(call: Call) -> int:
    """Fields with their default value are left out."""
    op = call.op
    size = 4 + 4 * (op.name == "SOFTMAX")
    size += 4 * (op.activation != "none" or (op.padding == "valid" and op.name in _OPTIONS))
    if op.name in _OPTIONS:
        size += 8 + 4 * sum(step != 1 for step in op.dilation if is_number(step))
        size += 8 * ("POOL" in op.name) + 4 * (op.name == "DEPTHWISE_CONV_2D")
    return size


def _told(call: Call) -> tuple[Any, ...]:
    """What the content of an operator's settings (pads, axes, a shape) follows from."""
    if call.op.name == "PAD":
        return ("PAD", *(after - before for before, after in zip(call.source.shape, call.result.shape, strict=True)))
    if call.op.name == "RESHAPE":
        return ("RESHAPE", *call.result.shape)
    return (call.op.name, len(call.source.shape))


def _once(rows: Iterable[Row]) -> Scalar:
    """The sizes of distinct parts."""
    total: Scalar = 0
    before: list[tuple[Any, ...]] = []
    for key, size in rows:
        again: Any = False
        for other in before:
            again = again | _equal(key, other)
        if again is True:
            continue
        total = total + choose(again, 0, size)
        before.append(key)
    return total


def _equal(one: tuple[Any, ...], two: tuple[Any, ...]) -> Any:
    """Whether two keys are equal: a boolean tensor where they are one soft size each, and no where they are more.

    To compare all soft shapes of a network would take longer than to train it; some vectors then count twice.
    """
    if len(one) == len(two) == 1:
        return one[0] == two[0]
    return all(map(_known, one + two)) and one == two


def _known(value: Any) -> bool:
    return isinstance(value, str) or is_number(value)
