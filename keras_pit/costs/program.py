"""An int8 network as a microcontroller runs it: operators in execution order, and the tensors between them.

    Program
      tensors    0: input (1, 1, 64, 6) int8       1: weights (8, 1, 3, 6) int8, constant, 8 channels
                 2: bias (8,) int32, constant      3: result (1, 1, 64, 8) int8
      operators  CONV_2D (0, 1, 2) -> (3,), padding "same"
      inputs (0,), outputs (3,)

It is all that arena, flash and latency depend on; `deployment.flatbuffer.read_program` reads one from a .tflite file.
For a cost function, `Program.calls` gives each operator together with its tensors.

Sizes may be soft: scalar tensors that carry the gradient of the masks of a search. So the cost functions are arithmetic
of sizes, with helpers for what is not smooth. On numbers they are exact. On tensors their value is exact, too, and the
gradient is that of what is smooth about them: `floor_div` is a division, `larger` and `choose` follow the branch taken.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from typing import Any

import numpy as np

Scalar = Any
"""A number, or a scalar tensor."""

BYTES = {
    **dict.fromkeys(("int8", "uint8", "bool"), 1),
    **dict.fromkeys(("int16", "uint16", "float16"), 2),
    **dict.fromkeys(("int32", "uint32", "float32"), 4),
    **dict.fromkeys(("int64", "uint64", "float64", "complex64"), 8),
    "complex128": 16,
}
"""Of a number, by its type: those that TFLite-Micro has a size for, but types below a byte."""
BIAS = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "TRANSPOSE_CONV": 3, "FULLY_CONNECTED": 2}
"""The operators with weights, which are their input 1, and where their bias is."""
SOURCE = {"TRANSPOSE_CONV": 2, "GATHER": 1}
"""The operators that do not work on their input 0, and which one they work on."""


Order = tuple[int, ...]
"""Places of operators, first to last."""


@dataclass(frozen=True)
class Tensor:
    """A tensor: an activation, or a constant."""

    shape: tuple[Scalar, ...]
    dtype: str = "int8"
    constant: bool = False
    channels: Scalar = 0
    """The number of its quantisation scales; 0 without quantisation."""
    variable: bool = False
    """Whether it is a state, which is kept from one inference to the next."""
    centred: bool = False
    """Whether its zero point is known to be 0, as that of a TANH: some kernels are faster then."""
    content: tuple[Scalar, ...] = ()
    """What a constant holds, where that may turn out to be what another one of this shape does: equal ones are one."""
    lowest: bool = field(default=False, compare=False)
    """Whether its zero point is known to be the smallest integer, as behind a ReLU."""

    @property
    def elements(self) -> Scalar:
        """The number of its elements."""
        return product(self.shape)

    @property
    def bytes(self) -> Scalar:
        """Its size in bytes; 0 for types that TFLite-Micro has no size for."""
        return self.elements * BYTES.get(self.dtype, 0)


@dataclass(frozen=True)
class Operator:
    """An operator by its name in the TFLite schema, and the numbers of its tensors; -1 stands for an absent input.

    Pairs are (height, width); `window` is that of a pooling.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    stride: tuple[Scalar, Scalar] = (1, 1)
    dilation: tuple[Scalar, Scalar] = (1, 1)
    window: tuple[Scalar, Scalar] = (1, 1)
    multiplier: int = 1
    """Output channels for each input channel of a depthwise convolution."""
    padding: str = "valid"
    activation: str = "none"
    axis: int | None = None
    """Along which a CONCATENATION or SPLIT works; None where it does not say."""
    permutation: tuple[int, ...] = ()
    """Of a TRANSPOSE: for each axis of the result, that of the input."""
    strides: tuple[int, ...] = ()
    """Of a STRIDED_SLICE: the step along each axis."""
    transposed: tuple[bool, bool] = (False, False)
    """Which operands of a BATCH_MATMUL are transposed first."""
    half_pixel: bool = False
    """Whether a RESIZE_NEAREST_NEIGHBOR or RESIZE_BILINEAR measures from the middle of pixels."""
    rank: int = 1
    """Filters for each unit of an SVDF."""
    amounts: tuple[tuple[Scalar, Scalar], ...] = field(default=(), compare=False)
    """What a PAD adds before and behind, for each axis."""
    begin: tuple[int, ...] = field(default=(), compare=False)
    """Of a SLICE or STRIDED_SLICE: the first position along each axis."""
    axes: tuple[int, ...] = field(default=(), compare=False)
    """Along which a reduction works."""
    ahead: Scalar | None = field(default=None, compare=False)
    """Of a convolution that adds its zeros itself along time, as a causal one: how many steps it looks ahead."""
    zeros: Scalar = field(default=0, compare=False)
    """The zeros that it adds in front of the first step."""
    cycles: int = 1
    """A CIRCULAR_BUFFER ends the run in all but every so many steps."""
    layer: str = field(default="", compare=False)
    """The layer that it comes from, where that is known; it makes no difference."""
    presence: Scalar = 1
    """0 where the masks of a search leave it nothing to do, as a PAD without zeros; what it costs counts so often."""


@dataclass(frozen=True)
class Program:
    """A network: operators in execution order; inputs and outputs by the numbers of their tensors."""

    operators: tuple[Operator, ...]
    tensors: tuple[Tensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    orders: tuple[tuple[Order, ...], ...] = ()
    """For each stretch of operators that can run in several orders, these, the listed one first: the network has those
    that need the least arena, and which these are depends on its sizes while they are soft."""
    variants: tuple[Program, ...] = ()
    """The same network as the file may have it instead; the arena is that of the one that needs most."""
    plain: Callable[[], Program] | None = field(default=None, compare=False, repr=False)
    """Of a search: makes the same network with a single operator for each kernel that is searched."""

    def calls(self) -> Iterator[Call]:
        """Each operator with its tensors, in execution order."""
        for op in self.operators:
            inputs = tuple(self.tensors[number] if number >= 0 else None for number in op.inputs)
            yield Call(op, inputs, tuple(self.tensors[number] for number in op.outputs))

    @cached_property
    def used(self) -> dict[int, Scalar]:
        """For each tensor that is used, 1, or 0 where none of its operators is present."""
        there: dict[int, Scalar] = dict.fromkeys(self.inputs, 1)
        for op in self.operators:
            constants = [number for number in op.inputs if number >= 0 and self.tensors[number].constant]
            for number in op.outputs:  # versions of an operator exclude each other
                there[number] = 1 if is_number(op.presence) else there.get(number, 0) + op.presence
            for number in constants:
                there[number] = either(there.get(number, 0), op.presence)
        return there

    def presences(self) -> dict[int, Scalar]:
        """For each tensor that is used, 1, or 0 where none of its operators is present, or an equal one is there."""
        return self._presences

    @cached_property
    def _presences(self) -> dict[int, Scalar]:
        there = dict(self.used)
        alike: dict[Any, list[int]] = {}
        for number in there:
            content = self.tensors[number].content
            if content:
                alike.setdefault((self.tensors[number].shape, len(content)), []).append(number)
        for group in alike.values():
            contents = [self.tensors[number].content for number in group]
            there |= zip(group, _distinct(contents, [there[number] for number in group]), strict=True)
        return there


def _distinct(contents: list[tuple[Scalar, ...]], there: list[Scalar]) -> list[Scalar]:
    """How present each of some contents is, if it counts only where none before has the same numbers."""
    if len(there) == 1:
        return there
    if all(is_number(value) for values in (*contents, there) for value in values):
        first = {values: place for place, values in reversed(list(enumerate(contents))) if there[place]}
        return [
            value * (first.get(values) == place)
            for place, (values, value) in enumerate(zip(contents, there, strict=True))
        ]
    from keras import ops

    rows = ops.stack([ops.cast(value, "float32") for values in contents for value in values])
    table, present = ops.reshape(rows, (len(there), -1)), ops.stack([ops.cast(value, "float32") for value in there])
    equal = ops.all(ops.equal(table[:, None], table), axis=2) & (present > 0)
    again = ops.any(equal & np.tril(np.ones((len(there),) * 2, bool), -1), axis=1)
    return list(ops.unstack(ops.where(again, 0.0, present), len(there)))


@dataclass(frozen=True)
class Call:
    """An operator together with its tensors."""

    op: Operator
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]

    @property
    def source(self) -> Tensor:
        """The tensor that it works on."""
        source = self.inputs[SOURCE.get(self.op.name, 0)]
        if source is None:
            raise ValueError(f"{self.op.name} has no input: expected the number of a tensor, received -1.")
        return source

    @property
    def weights(self) -> Tensor:
        """The weights of a convolution or FULLY_CONNECTED."""
        weights = self.inputs[1]
        if weights is None:
            raise ValueError(f"{self.op.name} has no weights: expected the number of a tensor, received -1.")
        return weights

    @property
    def bias(self) -> Tensor | None:
        """The bias, if there is one."""
        place = BIAS[self.op.name]
        return self.inputs[place] if len(self.inputs) > place else None

    @property
    def result(self) -> Tensor:
        """The tensor that it makes first."""
        return self.outputs[0]

    @property
    def kernel(self) -> tuple[Scalar, Scalar]:
        """Height and width of a convolution's kernel."""
        return self.weights.shape[1], self.weights.shape[2]

    @property
    def pads(self) -> tuple[Scalar, Scalar]:
        """What a convolution adds at the top and at the left."""
        if self.op.padding == "valid":
            return 0, 0
        top, left = (self._missing(axis) for axis in (0, 1))
        return floor_div(top, 2), floor_div(left, 2)

    def _missing(self, axis: int) -> Scalar:
        span = (self.kernel[axis] - 1) * self.op.dilation[axis] + 1
        outputs, inputs = self.result.shape[axis + 1], self.source.shape[axis + 1]
        return larger((outputs - 1) * self.op.stride[axis] + span - inputs, 0)

    @property
    def macs(self) -> Scalar | None:
        """Multiply-accumulates; taps on padding count. None where they are not known."""
        name = self.op.name
        if name in _WITHOUT_MACS:
            return 0
        if name not in _MACS:
            return None
        macs = _MACS[name](self)
        return int(macs) if is_number(macs) else macs


def _rows(tensor: Tensor) -> Scalar:
    """How many vectors along the last axis a tensor has."""
    return tensor.elements / tensor.shape[-1]


def _recurrent(call: Call) -> Scalar:
    """At each step, every weight of the gates once: inputs 1 to 8, connections from the cell to 11, projection 16."""
    weights = [tensor for tensor in (*call.inputs[1:12], *call.inputs[16:17]) if tensor is not None]
    return _rows(call.source) * sum(tensor.elements for tensor in weights)


def _filters(call: Call) -> Scalar:
    """A filter over the channels, and one over the time: inputs 1 and 2."""
    return _rows(call.source) * sum(tensor.elements for tensor in call.inputs[1:3] if tensor is not None)


def _matrices(call: Call) -> Scalar:
    """Every element of the result, times the length of the sums: of the left operand, what is not a row."""
    left = call.source.shape[-2] * call.source.shape[-1]
    return call.result.elements * left / call.result.shape[-2]


_MACS: dict[str, Callable[[Call], Scalar]] = {
    **dict.fromkeys(BIAS, lambda call: _rows(call.result) * call.weights.elements),
    "TRANSPOSE_CONV": lambda call: _rows(call.source) * call.weights.elements,
    "BATCH_MATMUL": _matrices,
    "SVDF": _filters,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _recurrent,
}
_WITHOUT_MACS = {
    "ABS", "ADD", "ADD_N", "ARG_MAX", "ARG_MIN", "ASSIGN_VARIABLE", "AVERAGE_POOL_2D", "BATCH_TO_SPACE_ND",
    "BROADCAST_ARGS", "BROADCAST_TO", "CALL_ONCE", "CAST", "CEIL", "CIRCULAR_BUFFER", "CONCATENATION", "COS",
    "CUMSUM", "DEPTH_TO_SPACE", "DEQUANTIZE", "DIV", "DYNAMIC_UPDATE_SLICE", "ELU", "EMBEDDING_LOOKUP", "EQUAL",
    "EXP", "EXPAND_DIMS", "FILL", "FLOOR", "FLOOR_DIV", "FLOOR_MOD", "GATHER", "GATHER_ND", "GREATER",
    "GREATER_EQUAL", "HARD_SWISH", "L2_NORMALIZATION", "L2_POOL_2D", "LEAKY_RELU", "LESS", "LESS_EQUAL", "LOG",
    "LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR", "LOGISTIC", "LOG_SOFTMAX", "MAXIMUM", "MAX_POOL_2D", "MEAN",
    "MINIMUM", "MIRROR_PAD", "MUL", "NEG", "NOT_EQUAL", "PACK", "PAD", "PADV2", "POW", "PRELU", "QUANTIZE",
    "READ_VARIABLE", "REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6", "RESHAPE", "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "ROUND", "RSQRT", "SELECT", "SELECT_V2", "SHAPE", "SIN", "SLICE",
    "SOFTMAX", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SQRT", "SQUARE", "SQUARED_DIFFERENCE",
    "SQUEEZE", "STRIDED_SLICE", "SUB", "SUM", "TANH", "TILE", "TRANSPOSE", "UNPACK", "VAR_HANDLE", "ZEROS_LIKE",
}  # fmt: skip
"""Operators that move numbers or compute each by itself."""


def in_numbers(program: Program) -> Program:
    """A program of soft sizes as the numbers that they have now, without what is not present."""

    def number(value: Scalar) -> int:
        return round(float(value))

    tensors = tuple(
        replace(
            tensor,
            shape=tuple(map(number, tensor.shape)),
            channels=number(tensor.channels),
            content=tuple(map(number, tensor.content)),
        )
        for tensor in program.tensors
    )
    present = tuple(
        replace(op, presence=1, dilation=(number(op.dilation[0]), number(op.dilation[1])))
        for op in program.operators
        if number(op.presence)
    )
    return replace(program, operators=present, tensors=tensors, orders=())


def is_number(value: Scalar) -> bool:
    """Whether a size is a plain number."""
    return isinstance(value, numbers.Number)


def product(values: tuple[Scalar, ...]) -> Scalar:
    """The product of sizes; on tensors, with no more operations than it takes."""
    number = math.prod(value for value in values if is_number(value))
    tensors = [value for value in values if not is_number(value)]
    if not tensors:
        return number
    return reduce(lambda one, two: one * two, tensors if number == 1 else [float(number), *tensors])


def either(one: Scalar, two: Scalar) -> Scalar:
    """1 if one of two presences is."""
    numbers = [value for value in (one, two) if is_number(value)]
    if 1 in numbers:
        return 1
    return one + two if numbers else one + two - one * two


def floor_div(value: Scalar, divisor: int) -> Scalar:
    """`value // divisor`."""
    if is_number(value):
        return value // divisor
    from keras import ops

    smooth = value / divisor
    return smooth + ops.stop_gradient(ops.floor(smooth) - smooth)


def round_up(value: Scalar, multiple: int) -> Scalar:
    """The next multiple."""
    return floor_div(value + (multiple - 1), multiple) * multiple


def leftover(value: Scalar, divisor: int) -> Scalar:
    """`value % divisor`."""
    return value - floor_div(value, divisor) * divisor


def larger(one: Scalar, two: Scalar) -> Scalar:
    """The larger of two sizes."""
    return choose(one >= two, one, two)


def smaller(one: Scalar, two: Scalar) -> Scalar:
    """The smaller of two sizes."""
    return choose(one <= two, one, two)


def choose(condition: Any, one: Scalar, two: Scalar) -> Scalar:
    """`one` where the condition holds, else `two`; both are computed."""
    if isinstance(condition, (bool, np.bool_)):
        return one if condition else two
    from keras import ops

    return ops.where(condition, ops.cast(one, "float32"), ops.cast(two, "float32"))
