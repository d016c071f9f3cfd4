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
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np

Scalar = Any
"""A number, or a scalar tensor."""

BYTES = {"int8": 1, "uint8": 1, "bool": 1, "int16": 2, "float16": 2, "int32": 4, "float32": 4, "int64": 8}
BIAS = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "TRANSPOSE_CONV": 3, "FULLY_CONNECTED": 2}
"""The operators with weights, which are their input 1, and where their bias is."""


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

    @property
    def elements(self) -> Scalar:
        """The number of its elements."""
        return product(self.shape)

    @property
    def bytes(self) -> Scalar:
        """Its size in bytes."""
        return self.elements * BYTES[self.dtype]


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

    def calls(self) -> Iterator[Call]:
        """Each operator with its tensors, in execution order."""
        for op in self.operators:
            inputs = tuple(self.tensors[number] if number >= 0 else None for number in op.inputs)
            yield Call(op, inputs, tuple(self.tensors[number] for number in op.outputs))

    def presences(self) -> dict[int, Scalar]:
        """For each tensor that is used, 1, or 0 where none of its operators is present."""
        there: dict[int, Scalar] = dict.fromkeys(self.inputs, 1)
        for op in self.operators:
            constants = [number for number in op.inputs if number >= 0 and self.tensors[number].constant]
            for number in (*op.outputs, *constants):
                there[number] = 1 if is_number(op.presence) else there.get(number, 0) + op.presence
        return there


@dataclass(frozen=True)
class Call:
    """An operator together with its tensors."""

    op: Operator
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]

    @property
    def source(self) -> Tensor:
        """The tensor that it works on."""
        source = self.inputs[2 if self.op.name == "TRANSPOSE_CONV" else 0]
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
    def macs(self) -> Scalar:
        """Multiply-accumulates; taps on padding count. 0 for operators without weights."""
        if self.op.name not in BIAS:
            return 0
        positions = self.result.elements / self.result.shape[-1]
        if self.op.name == "TRANSPOSE_CONV":
            positions = self.source.elements / self.source.shape[-1]
        macs = positions * self.weights.elements
        return int(macs) if is_number(macs) else macs


def is_number(value: Scalar) -> bool:
    """Whether a size is a plain number."""
    return isinstance(value, numbers.Number)


def product(values: tuple[Scalar, ...]) -> Scalar:
    """The product of sizes."""
    return math.prod(values) if all(map(is_number, values)) else reduce(lambda one, two: one * two, values, 1.0)


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


def choose(condition: Any, one: Scalar, two: Scalar) -> Scalar:
    """`one` where the condition holds, else `two`; both are computed."""
    if isinstance(condition, (bool, np.bool_)):
        return one if condition else two
    from keras import ops

    return ops.where(condition, ops.cast(one, "float32"), ops.cast(two, "float32"))
