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
from typing import Any

from .call import Call
from .operators import BIAS, BYTES, Operator, Tensor
from .parts import Part, Row, once, total
from .program import Program
from .sizes import Scalar, either, is_number, round_up

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
_STATE = (4, 1, 0, 0, 4, 1)
_QUANTIZATION = (0, 0, 4, 4)
_ALONG_LAST_AXIS = (0, 0, 4, 4, 0, 0, 4)
# A custom operator: its code and its name; its options are a vector of bytes, with one number in it.
_CUSTOM, _NAME, _SETTING = (1, 4), 20, 6
# What the file says of time, behind its length.
_DESCRIPTION = 64
# Operators that the schema has no options for, and those in the first version of their kernel.
_BARE = {"CIRCULAR_BUFFER", "LOGISTIC", "RESHAPE", "TANH", "RELU", "RELU6", "PRELU", "ELU"}
_FIRST_VERSION = {"RESHAPE", "ELU"}
# Operators whose result has the quantisation of what they read, and those whose result has a fixed one.
_HAND_ON = {"AVERAGE_POOL_2D", "MAX_POOL_2D", "PAD", "RESHAPE", "STRIDED_SLICE", "TRANSPOSE", "CONCATENATION"}
_HAND_ON |= {"GATHER", "REDUCE_MAX", "REDUCE_MIN", "MAXIMUM", "MINIMUM", "RESIZE_NEAREST_NEIGHBOR"}
_HAND_ON |= {"CIRCULAR_BUFFER"}
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
    parts = [*_operators(program, calls, tables), *_constants(program, calls, tables), *_activations(program, tables)]
    # The subgraph, and the buffer without data.
    lists = [Part(fixed=_HEADER), _vector(1), _vector(1), *_tensors(program)]
    return total([*parts, *lists, *tables.parts()])


class _Tables:
    """The tables, and the layouts that there are."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._layouts: set[Layout] = set()

    def add(self, layout: Layout, times: Scalar = 1) -> None:
        self._layouts.add(layout)
        self._parts.append(Part(times, _table(layout)))

    def parts(self) -> list[Part]:
        """All tables and vtables."""
        return [*self._parts, Part(fixed=int(round_up(sum(4 + 2 * len(layout) for layout in self._layouts), _WORD)))]


def _table(layout: Layout) -> int:
    return _WORD + int(round_up(sum(layout), _WORD))


def _vector(length: Scalar, width: int = 4, times: Scalar = 1) -> Part:
    return Part(times, lengths=(length,), width=width)


def _tensors(program: Program) -> list[Part]:
    """Places in the list of tensors, their shapes, and the numbers that operators know them by."""
    there = program.presences()
    numbers: dict[tuple[int, ...], Scalar] = {program.inputs: 1, program.outputs: 1}
    for op in program.operators:
        numbers |= {op.inputs: op.presence, op.outputs: op.presence}
    lists = [*numbers.items(), *((program.tensors[number].shape, presence) for number, presence in there.items())]
    places = [Part(fixed=_WORD), *(Part(times, _WORD) for times in there.values())]
    return [*places, *once((found, [_vector(len(found), 4, times)]) for found, times in lists)]


def _operators(program: Program, calls: list[Call], tables: _Tables) -> list[Part]:
    """Lists of operators and of their codes; their tables and those of their options."""
    presences: dict[str, list[Scalar]] = {}
    for op in program.operators:
        presences.setdefault(op.name, []).append(op.presence)
    names = {name: either(some) for name, some in presences.items()}
    for name, there in names.items():
        if name == "CIRCULAR_BUFFER":
            tables.add(_CUSTOM, there)
            continue
        of_code: Layout = (int(name != "ADD"), 0, 0 if name in _FIRST_VERSION else 4)
        tables.add(of_code[: 1 if name in _FIRST_VERSION else 3], there)
    first = _first(program)
    for op in program.operators:
        code = 0 if op.name == first else 4
        if op.name == "CIRCULAR_BUFFER":
            tables.add((code, 4, 4, 0, 0, 4), op.presence)
            continue
        tables.add((code, 4, 4) if op.name in _BARE else (code, 4, 4, 1, 4), op.presence)
    options: dict[tuple[Any, ...], tuple[Layout, list[Scalar]]] = {}
    for call in calls:
        fields = _options(call)
        layout = tuple(0 if _known(value) and value == default else width for width, value, default in fields)
        while layout and not layout[-1]:
            layout = layout[:-1]
        key = (*layout, *(value for _, value, _ in fields))
        # Without fields, they are the table of the buffer without data.
        if layout and call.op.name not in _BARE:
            key = key if all(map(_known, key)) else (layout, len(options))
            options.setdefault(key, (layout, []))[1].append(call.op.presence)
    for layout, some in options.values():
        tables.add(layout, either(some))
    places = (Part(op.presence, _WORD) for op in program.operators)
    codes = (Part(there, _WORD) for there in names.values())
    return [Part(fixed=_WORD), *codes, Part(fixed=_WORD), *places, *_streaming(program, tables)]


def _first(program: Program) -> str:
    """The operator that runs first; where that depends on the masks, the rarest of those that may, to be from above."""
    if not program.stretches:
        return program.operators[0].name
    counts = Counter(op.name for op in program.operators)
    given = {*program.inputs, *(number for number, tensor in enumerate(program.tensors) if tensor.constant)}
    return min((op.name for op in program.operators if given.issuperset(op.inputs)), key=counts.__getitem__)


def _streaming(program: Program, tables: _Tables) -> list[Part]:
    """What a file of one time step has besides: the name and settings of CIRCULAR_BUFFER, and what it says of time."""
    cycles = {op.cycles for op in program.operators if op.name == "CIRCULAR_BUFFER"}
    if not cycles:
        return []
    tables.add(_STATE, 0)
    return [Part(fixed=_NAME + _DESCRIPTION + 2 * _WORD), *(_vector(_SETTING, 1) for _ in cycles)]


def _options(call: Call) -> tuple[tuple[int, Any, Any], ...]:
    """The fields of an operator's options: width, value, and the value that is left out."""
    op = call.op
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
        "MEAN": ((1, len(call.result.shape) == len(call.source.shape), False),),
        "CAST": ((1, "from", None), (1, "to", None)),
    }.get(op.name, (activation,))


def _constants(program: Program, calls: list[Call], tables: _Tables) -> list[Part]:
    """Constants and their quantisation."""
    parts: list[Part] = []
    widths: list[Row] = []
    others: list[Row] = []
    counted: set[int] = set()
    for call in calls:
        for place, (number, tensor) in enumerate(zip(call.op.inputs, call.inputs, strict=True)):
            if tensor is None or not tensor.constant or number in counted:
                continue
            counted.add(number)
            there = program.used[number]
            if tensor.dtype in ("int8", "int16"):
                tables.add(_WEIGHTS, there)
                tables.add(_BUFFER, there)
                parts += _content(tensor, there)
                if call.op.name in _HAND_ON:  # as its other operand
                    continue
                tables.add(_ALONG_LAST_AXIS if call.op.name == "DEPTHWISE_CONV_2D" else _QUANTIZATION, there)
                parts.append(_vector(tensor.channels, 4, there))
                widths.append(((tensor.channels,), [_vector(tensor.channels, 8)]))
            elif place == BIAS.get(call.op.name):
                tables.add(_CONSTANT, there)
                tables.add(_BUFFER, there)
                parts += _content(tensor, there)
                # The kernel compares a single scale.
                alone = _table(_WEIGHTS) - _table(_CONSTANT) + _table(_QUANTIZATION) + 2 * _WORD
                parts.append(Part(there, alone, if_single=call.weights.channels))
            else:
                tables.add(_CONSTANT, 0)
                tables.add(_BUFFER, 0)
                table = Part(there, _table(_CONSTANT) + _table(_BUFFER))
                others.append((_told(call), [table, *_content(tensor, there)]))
    return [*parts, *once(widths), *once(others)]


def _content(tensor: Tensor, times: Scalar) -> list[Part]:
    """A constant, and its place in the list of all of them."""
    return [Part(times, _WORD), Part(times, lengths=tensor.shape, width=BYTES[tensor.dtype])]


def _activations(program: Program, tables: _Tables) -> list[Part]:
    """Tables and quantisation of activations; equal ones have one table."""
    scale = _scales(program)
    makers = {number: op for op in program.operators for number in op.outputs}
    lowest = {number for number, op in makers.items() if op.activation != "none" or op.name in _FIXED_RANGE}
    handed = {n for op in _handing_on(program) for n in op.outputs if not scale.keys().isdisjoint(op.inputs)}
    others = scale.keys() - lowest - handed
    there = program.used
    distinct, apart = _each_scale(program, scale, scale.keys() - handed), _each_scale(program, scale, others)
    for times in distinct.values():
        tables.add(_QUANTIZATION, times)
    tables.add(_ACTIVATION, 0)
    zero_points = [*apart.values(), *[1] * (apart.keys() != distinct.keys())]
    quantization = [_vector(1, 4, times) for times in distinct.values()]
    quantization += [_vector(1, 8, times) for times in zero_points]
    equal = once(
        (
            (scale[n], program.tensors[n].variable, *program.tensors[n].shape),
            [Part(there.get(n, 0), _table(_STATE if program.tensors[n].variable else _ACTIVATION))],
        )
        for n in scale
    )
    integers = [n for n in (*program.inputs, *makers) if n not in scale]
    tables.add(_INTEGERS, 0) if integers else None
    equal += once((program.tensors[n].shape, [Part(there.get(n, 0), _table(_INTEGERS))]) for n in integers)
    # Calibration adds in place. So it sees the sum in the operand that is not needed any more, but if that has been in
    # a wider range before, they differ. Mostly they are equal, so two thirds of what that saves lie between the two.
    reads = Counter(number for op in program.operators for number in op.inputs)
    saved = _table(_QUANTIZATION) + 2 * _WORD + 3 * _WORD + _table(_ACTIVATION)
    in_place = [
        Part(op.presence, -(2 * saved // 3))
        for op in program.operators
        for last in op.inputs[-1:]
        if op.name == "ADD" and reads[last] == 1 and last in scale and (op.activation == "none" or last in lowest)
    ]
    return [*quantization, *equal, *in_place]


def _scales(program: Program) -> dict[int, int]:
    """For each activation, the first one with the same quantisation; integers that stand for themselves have none."""
    scale = {number: number for number, tensor in enumerate(program.tensors) if not tensor.constant and tensor.channels}
    for op in _handing_on(program):
        same = {scale[number] for number in (*op.outputs, *op.inputs) if number in scale}
        scale = {number: min(same) if first in same else first for number, first in scale.items()}
    return scale


def _each_scale(program: Program, scale: dict[int, int], tensors: Iterable[int]) -> dict[int, Scalar]:
    """The scales of some tensors, and whether any of these is there."""
    found: dict[int, list[Scalar]] = {}
    for number in tensors:
        found.setdefault(scale[number], []).append(program.used.get(number, 0))
    return {first: either(some) for first, some in found.items()}


def _handing_on(program: Program) -> list[Operator]:
    """The operators whose result has the quantisation of what is read; of several versions, the first one."""
    return list({op.outputs: op for op in reversed(program.operators) if _hands_on(op, program)}.values())


def _hands_on(op: Operator, program: Program) -> bool:
    """Whether a result has the quantisation of what is read; a SLICE of a state has."""
    return op.name in _HAND_ON or (op.name == "SLICE" and program.tensors[op.inputs[0]].variable)


def _told(call: Call) -> tuple[Any, ...]:
    """What the content of an operator's settings (pads, axes, a shape) follows from."""
    if call.op.name == "PAD":
        return ("PAD", *(after - before for before, after in zip(call.source.shape, call.result.shape, strict=True)))
    if call.op.name == "ADD":  # what makes integers positive
        return ("ADD",)
    if call.op.name == "RESHAPE":
        return ("RESHAPE", *call.result.shape)
    return (call.op.name, len(call.source.shape))


def _known(value: Any) -> bool:
    return isinstance(value, str) or is_number(value)
