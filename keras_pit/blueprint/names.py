"""What the operators of a lowered network are in the TFLite schema: their names, and the constants that they read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..lowering import Node
from ..lowering import operators as kinds

NAMES: dict[type, str] = {
    kinds.Conv: "CONV_2D",
    kinds.Depthwise: "DEPTHWISE_CONV_2D",
    kinds.TransposeConv: "TRANSPOSE_CONV",
    kinds.Dense: "FULLY_CONNECTED",
    kinds.PReLU: "PRELU",
    kinds.Reshape: "RESHAPE",
    kinds.Transpose: "TRANSPOSE",
    kinds.Concat: "CONCATENATION",
    kinds.MatMul: "BATCH_MATMUL",
    kinds.Gather: "GATHER",
    kinds.Take: "GATHER",
}
KINDS: dict[str, str] = {
    "add": "ADD", "subtract": "SUB", "multiply": "MUL", "divide": "DIV", "maximum": "MAXIMUM", "minimum": "MINIMUM",
    "average": "AVERAGE_POOL_2D", "max": "MAX_POOL_2D",
    "nearest": "RESIZE_NEAREST_NEIGHBOR", "bilinear": "RESIZE_BILINEAR",
    "relu": "RELU", "relu6": "RELU6", "relu_n1_to_1": "RELU_N1_TO_1", "leaky_relu": "LEAKY_RELU",
    "elu": "ELU",
    "sigmoid": "LOGISTIC", "tanh": "TANH",
    "hard_silu": "HARD_SWISH", "softmax": "SOFTMAX", "log_softmax": "LOG_SOFTMAX", "abs": "ABS", "rsqrt": "RSQRT",
}  # fmt: skip


def activation(operator: kinds.Operator) -> str:
    """The name of an activation, if it is one; limits of -1 and 1 have one of their own."""
    if not isinstance(operator, kinds.Activation):
        return ""
    return "relu_n1_to_1" if (operator.kind, operator.arguments) == ("clip", (-1.0, 1.0)) else operator.kind


def is_fused(node: Node) -> bool:
    """Whether the operator before does it in passing."""
    return activation(node.operator) in _FUSED and fuses(node.inputs[0])


def fuses(node: Node) -> bool:
    """Whether an operator can compute an activation in passing."""
    return isinstance(node.operator, _FUSING)


_FUSED = ("relu", "relu6", "relu_n1_to_1")
_FUSING = (kinds.Conv, kinds.Depthwise, kinds.Dense, kinds.Binary, kinds.Pool)


REDUCTIONS = {"max": "REDUCE_MAX", "min": "REDUCE_MIN", "mean": "MEAN", "sum": "SUM"}


def operator_name(node: Node) -> str:
    """The operator's name in the TFLite schema."""
    kind = type(node.operator)
    if isinstance(node.operator, kinds.Reduce):
        return REDUCTIONS[node.operator.kind]
    if _has_steps(node.operator):
        return "STRIDED_SLICE"
    if isinstance(node.operator, kinds.Pad) and node.operator.value != 0:
        return "PADV2"
    word = activation(node.operator) or getattr(node.operator, "kind", "")
    return NAMES.get(kind) or KINDS.get(word, kind.__name__.upper())


def _has_steps(operator: kinds.Operator) -> bool:
    return isinstance(operator, kinds.Slice) and any(positions.step != 1 for positions in operator.ranges)


def settings(operator: kinds.Operator) -> dict[str, Any]:
    """What its time depends on beside shapes, by the fields of `costs.operators.Operator`."""
    if isinstance(operator, kinds.Concat):
        return {"axis": operator.axis}
    if isinstance(operator, kinds.Transpose):
        return {"permutation": operator.axes}
    if isinstance(operator, kinds.Resize):
        return {"half_pixel": operator.kind == "bilinear"}
    if isinstance(operator, kinds.Slice):
        begin = {"begin": tuple(positions.start for positions in operator.ranges)}
        steps = {"strides": tuple(positions.step for positions in operator.ranges)}
        return begin | (steps if _has_steps(operator) else {})
    if isinstance(operator, kinds.Pad):
        return {"amounts": operator.amounts}
    if isinstance(operator, kinds.Reduce):
        return {"axes": operator.axes}
    return {}


def arguments(node: Node) -> list[np.ndarray]:
    """The constants that an operator reads and that are no weights, as paddings or axes."""
    operator = node.operator
    rows: dict[type, Callable[[], list[Any]]] = {
        kinds.Pad: lambda: [operator.amounts],
        kinds.Reshape: lambda: [node.shape],
        kinds.Transpose: lambda: [operator.axes],
        kinds.Slice: lambda: _bounds(operator.ranges),
        kinds.Resize: lambda: [operator.size],
        kinds.Reduce: lambda: [operator.axes],
        kinds.Take: lambda: [operator.positions],
    }
    return [np.array(value, "int32") for value in rows.get(type(operator), list)()]


def _bounds(ranges: tuple[range, ...]) -> list[list[int]]:
    """Of a SLICE, beginnings and sizes; of a STRIDED_SLICE, beginnings, ends and steps."""
    starts = [positions.start for positions in ranges]
    if all(positions.step == 1 for positions in ranges):
        return [starts, [len(positions) for positions in ranges]]
    return [starts, [positions.stop for positions in ranges], [positions.step for positions in ranges]]
