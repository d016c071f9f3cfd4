"""Bytes of the int8 .tflite file as this package writes it, from the network alone.

A trimmed file (deployment/trim.py) holds each distinct part once, and no gaps (deployment/packing.py). So its size is a
sum over its parts, each a multiple of 4 bytes:

    vectors    a length and the numbers: constants, scales, zero points, shapes, lists of parts
    tables     a word and the fields that do not have their default value
    vtables    where the fields are, once for all tables with the same fields

What a network does not tell is taken as it is after training: no two biases are equal, two activations have different
scales unless their operator hands values on (pooling, padding), and one zero point serves all that are behind a ReLU.
Where values decide otherwise, it is some bytes off: 12 for two zero points that are equal, 16 or 32 for a sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import reduce
from typing import Any

from .program import BIAS, Call, Operator, Program, Scalar, Tensor, choose, is_number, round_up

Row = tuple[tuple[Any, ...], Scalar]
"""What tells two parts of a file apart, and their size."""
Layout = tuple[int, ...]
"""The widths of a table's fields in the order of the schema; 0 where a field is left out."""

_WORD = 4
_HEADER = 8
# Tables; a field of 4 bytes is a number or a reference to another part.
_MODEL = (4, 4, 4, 0, 4)
_SUBGRAPH = (4, 4, 4, 4)
_NO_DATA = ()
_BUFFER = (4,)
_ACTIVATION = (4, 1, 0, 0, 4)
_WEIGHTS = (4, 1, 4, 0, 4)
_CONSTANT = (4, 1, 4)
_INTEGERS = (4, 1)
_QUANTIZATION = (0, 0, 4, 4)
_ALONG_LAST_AXIS = (0, 0, 4, 4, 0, 0, 4)
# Operators that the schema has no options for, and those in the first version of their kernel.
_BARE = {"LOGISTIC", "RESHAPE", "TANH", "RELU", "RELU6", "PRELU", "ELU"}
_FIRST_VERSION = {"RESHAPE", "ELU"}
# Operators whose result has the quantisation of what they read, and those whose result has a fixed one.
_HAND_ON = {"AVERAGE_POOL_2D", "MAX_POOL_2D", "PAD", "RESHAPE", "STRIDED_SLICE", "TRANSPOSE", "CONCATENATION"}
_HAND_ON |= {"REDUCE_MAX", "REDUCE_MIN", "MAXIMUM", "MINIMUM", "RESIZE_NEAREST_NEIGHBOR", "GATHER"}
_FIXED_RANGE = ("SOFTMAX", "LOGISTIC", "TANH")


def flash(program: Program) -> Scalar:
    """Bytes of the file.

    Args:
        program: the network; sizes may be soft.

    Example:
        >>> flash(program)
        3340
    """
    calls = list(program.calls())
    tables = _Tables()
    for layout in (_MODEL, _SUBGRAPH, _NO_DATA):
        tables.add(layout)
    total = _operators(program, calls, tables) + _constants(calls, tables) + _activations(program, tables)
    # The subgraph, and the buffer without data.
    lists = _vector(1) + _vector(1) + _tensors(program)
    return _HEADER + lists + total + tables.bytes


class _Tables:
    """The bytes of tables, and the layouts that there are."""

    def __init__(self) -> None:
        self._total: Scalar = 0
        self._layouts: set[Layout] = set()

    def add(self, layout: Layout, times: Scalar = 1) -> None:
        self._layouts.add(layout)
        self._total = self._total + times * _table(layout)

    @property
    def bytes(self) -> Scalar:
        return self._total + round_up(sum(4 + 2 * len(layout) for layout in self._layouts), _WORD)


def _table(layout: Layout) -> int:
    return _WORD + int(round_up(sum(layout), _WORD))


def _vector(length: Scalar, width: int = 4) -> Scalar:
    return _WORD + round_up(length * width, _WORD) if width % _WORD else _WORD + length * width


def _tensors(program: Program) -> Scalar:
    """Places in the list of tensors, their shapes, and the numbers that operators know them by."""
    there = program.presences()
    numbers: dict[tuple[int, ...], Scalar] = {program.inputs: 1, program.outputs: 1}
    for op in program.operators:
        numbers |= {op.inputs: op.presence, op.outputs: op.presence}
    lists = [*numbers.items(), *((program.tensors[number].shape, presence) for number, presence in there.items())]
    return _vector(sum(there.values())) + _once((found, _vector(len(found)) * times) for found, times in lists)


def _operators(program: Program, calls: list[Call], tables: _Tables) -> Scalar:
    """Lists of operators and of their codes; their tables and those of their options."""
    names = dict.fromkeys(op.name for op in program.operators)
    for name in names:
        tables.add((int(name != "ADD"), 0, 0 if name in _FIRST_VERSION else 4)[: 1 if name in _FIRST_VERSION else 3])
    for op in program.operators:
        code = 0 if op.name == next(iter(names)) else 4
        tables.add((code, 4, 4) if op.name in _BARE else (code, 4, 4, 1, 4), op.presence)
    written: list[tuple[Any, ...]] = []
    for call in calls:
        fields = _options(call.op)
        layout = tuple(0 if _known(value) and value == default else width for width, value, default in fields)
        while layout and not layout[-1]:
            layout = layout[:-1]
        key = (*layout, *(value for _, value, _ in fields))
        # Without fields, they are the table of the buffer without data.
        if layout and call.op.name not in _BARE and _is_among(key, written) is not True:
            tables.add(layout)
            written.append(key)
    return _vector(len(names)) + _vector(sum(op.presence for op in program.operators))


def _options(op: Operator) -> tuple[tuple[int, Any, Any], ...]:
    """The fields of an operator's options: width, value, and the value that is left out."""
    padding, activation = (1, op.padding, "same"), (1, op.activation, "none")
    strides, windows = (tuple((4, step, None) for step in reversed(pair)) for pair in (op.stride, op.window))
    dilations = tuple((4, step, 1) for step in reversed(op.dilation))
    pool = (padding, *strides, *windows, activation)
    return {
        "CONV_2D": (padding, *strides, activation, *dilations),
        "DEPTHWISE_CONV_2D": (padding, *strides, (4, op.multiplier, None), activation, *dilations),
        "TRANSPOSE_CONV": (padding, *strides, activation),
        "AVERAGE_POOL_2D": pool,
        "MAX_POOL_2D": pool,
        "SOFTMAX": ((4, "beta", None),),
        "LEAKY_RELU": ((4, "alpha", None),),
        "CONCATENATION": ((4, "axis", None), activation),
        "MEAN": ((1, "keep", None),),
        "CAST": ((1, "from", None), (1, "to", None)),
    }.get(op.name, (activation,))


def _constants(calls: list[Call], tables: _Tables) -> Scalar:
    """Constants and their quantisation."""
    total: Scalar = 0
    widths: list[Row] = []
    others: list[Row] = []
    counted: set[int] = set()
    for call in calls:
        for place, (number, tensor) in enumerate(zip(call.op.inputs, call.inputs, strict=True)):
            if tensor is None or not tensor.constant or number in counted:
                continue
            counted.add(number)
            there = call.op.presence
            if tensor.dtype in ("int8", "int16"):
                tables.add(_WEIGHTS, there)
                tables.add(_BUFFER, there)
                total = total + there * _content(tensor)
                if call.op.name in _HAND_ON:  # as its other operand
                    continue
                tables.add(_ALONG_LAST_AXIS if call.op.name == "DEPTHWISE_CONV_2D" else _QUANTIZATION, there)
                total = total + there * _vector(tensor.channels)
                widths.append(((tensor.channels,), _vector(tensor.channels, 8)))
            elif place == BIAS.get(call.op.name):
                tables.add(_CONSTANT, there)
                tables.add(_BUFFER, there)
                # The kernel compares a single scale.
                alone = _table(_WEIGHTS) - _table(_CONSTANT) + _table(_QUANTIZATION) + _vector(1)
                total = total + there * (_content(tensor) + choose(call.weights.channels <= 1, alone, 0))
            else:
                tables.add(_CONSTANT, 0)
                tables.add(_BUFFER, 0)
                others.append((_told(call), there * (_table(_CONSTANT) + _table(_BUFFER) + _content(tensor))))
    return total + _once(widths) + _once(others)


def _content(tensor: Tensor) -> Scalar:
    """A constant, and its place in the list of all of them."""
    return _WORD + _vector(tensor.bytes, 1)


def _activations(program: Program, tables: _Tables) -> Scalar:
    """Tables and quantisation of activations; equal ones have one table."""
    scale = _scales(program)
    makers = {number: op for op in program.operators for number in op.outputs}
    lowest = {number for number, op in makers.items() if op.activation != "none" or op.name in _FIXED_RANGE}
    handed = {n for n, op in makers.items() if op.name in _HAND_ON and not scale.keys().isdisjoint(op.inputs)}
    others = scale.keys() - lowest - handed
    distinct, apart = set(scale.values()), {scale[number] for number in others}
    tables.add(_QUANTIZATION, len(distinct))
    tables.add(_ACTIVATION, 0)
    quantization = _vector(1) * len(distinct) + _vector(1, 8) * (len(apart) + (apart != distinct))
    equal = _once(((scale[n], *program.tensors[n].shape), _table(_ACTIVATION)) for n in scale)
    integers = [n for n in (*program.inputs, *makers) if n not in scale]
    tables.add(_INTEGERS, 0) if integers else None
    equal = equal + _once((program.tensors[n].shape, _table(_INTEGERS)) for n in integers)
    # Calibration adds in place. So it sees the sum in the operand that is not needed any more, but if that has been in
    # a wider range before, they differ. Mostly they are equal, so two thirds of what that saves lie between the two.
    reads = Counter(number for op in program.operators for number in op.inputs)
    saved = _table(_QUANTIZATION) + _vector(1) + _vector(1, 8) + _table(_ACTIVATION)
    in_place = [
        op.presence * (2 * saved // 3)
        for op in program.operators
        for last in op.inputs[-1:]
        if op.name == "ADD" and reads[last] == 1 and last in scale and (op.activation == "none" or last in lowest)
    ]
    return quantization + equal - sum(in_place)


def _scales(program: Program) -> dict[int, int]:
    """For each activation, the first one with the same quantisation; integers that stand for themselves have none."""
    scale = {number: number for number, tensor in enumerate(program.tensors) if not tensor.constant and tensor.channels}
    for op in program.operators:
        if op.name in _HAND_ON:
            same = {scale[number] for number in (*op.outputs, *op.inputs) if number in scale}
            scale = {number: min(same) if first in same else first for number, first in scale.items()}
    return scale


def _told(call: Call) -> tuple[Any, ...]:
    """What the content of an operator's settings (pads, axes, a shape) follows from."""
    if call.op.name == "PAD":
        return ("PAD", *(after - before for before, after in zip(call.source.shape, call.result.shape, strict=True)))
    if call.op.name == "ADD":  # what makes integers positive
        return ("ADD",)
    if call.op.name == "RESHAPE":
        return ("RESHAPE", *call.result.shape)
    return (call.op.name, len(call.source.shape))


def _once(rows: Iterable[Row]) -> Scalar:
    """The sizes of distinct parts."""
    total: Scalar = 0
    before: list[tuple[Any, ...]] = []
    for key, size in rows:
        again = _is_among(key, before)
        if again is True:
            continue
        total = total + choose(again, 0, size)
        before.append(key)
    return total


def _is_among(key: tuple[Any, ...], others: list[tuple[Any, ...]]) -> Any:
    """Whether a key is there already: a boolean tensor where that depends on a single soft size, and no if on more.

    To compare all soft shapes of a network would take longer than to train it; some vectors then count twice.
    """
    if all(map(_known, key)) and any(all(map(_known, other)) and key == other for other in others):
        return True
    if len(key) != 1:
        return False
    from keras import ops

    sizes = [other[0] for other in others if len(other) == 1]
    soft = [size for size in sizes if not _known(size)]
    numbers = [] if _known(*key) else [float(size) for size in sizes if is_number(size)]
    found = [ops.any(ops.equal(ops.stack(group), key[0])) for group in (numbers, soft) if group]
    return reduce(ops.logical_or, found) if found else False


def _known(value: Any) -> bool:
    return isinstance(value, str) or is_number(value)
