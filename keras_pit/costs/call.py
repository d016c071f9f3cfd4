"""An operator together with its tensors, and the multiply-accumulates that it takes.

call = next(program.calls())     CONV_2D (1, 1, 64, 6) -> (1, 1, 64, 8)
call.kernel, call.macs           (1, 3), 9216
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .operators import BIAS, SOURCE, Operator, Tensor
from .sizes import Scalar, floor_div, is_number, larger


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
