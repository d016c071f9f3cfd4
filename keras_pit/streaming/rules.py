"""What becomes of operators that compute each step, or each window, as it is: one row each in `RULES`.

Operators with taps along time are in `taps`. What has no row cannot stream; `UNABLE` says why, where there is more to
say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from . import moves, taps
from .site import Head, Site, in_step
from .values import CannotStream, Constant, Stream, Value, Window, is_turned

Rule = Callable[[Site], Value]


def time_axis(site: Site) -> int | None:
    """The axis of time of a result that has those of its operands, aligned at the last one."""
    rank, axes = len(site.shape), set()
    for value in site.values:
        if isinstance(value, (Stream, Window)) and value.axis is not None:
            axes.add(rank - len(value.shape) + value.axis)
    if len(axes) > 1:
        raise CannotStream("joins operands whose time lies along different axes")
    return axes.pop() if axes else None


def numbers(site: Site, axis: int | None) -> list[int]:
    """The tensors that it reads, in the streaming network."""
    return [
        -1 if value is None else site.constant(value, axis) if isinstance(value, Constant) else value.number
        for value in site.values
    ]


def pointwise(site: Site) -> Value:
    """As it is."""
    site = in_step(site)
    axis = time_axis(site)
    return site.put(site.op, numbers(site, axis), axis)


def along_channels(site: Site) -> Value:
    """As it is, if its last axis is not time."""
    axis = time_axis(site)
    if axis == len(site.shape) - 1:
        raise CannotStream("is a softmax over time, which a later step changes for all steps before it")
    return pointwise(site)


def concatenation(site: Site) -> Value:
    """As it is, but not along time."""
    site = in_step(site)
    axis, rank = time_axis(site), len(site.shape)
    along = (site.op.axis or 0) % rank
    if along == axis:
        raise CannotStream("joins tensors along time: expected to join channels")
    if is_turned(site.shape, axis) and along in (1, 2):
        along = 3 - along
    return site.put(replace(site.op, axis=along), numbers(site, axis), axis)


def gather(site: Site) -> Value:
    """Entries of a table, numbered by integers; the table is no stream."""
    table, picked = site.values[:2]
    if not isinstance(table, Constant) or isinstance(picked, (Constant, type(None))):
        raise CannotStream("picks elements by their numbers: expected a table that a stream of integers picks from")
    axis = picked.axis
    if is_turned(site.shape, axis) != is_turned(picked.shape, axis):
        raise CannotStream("makes a map of a sequence of integers: expected a sequence")
    return site.put(site.op, (site.builder.constant(table.of, table.shape), picked.number), axis)


def dense(site: Site) -> Value:
    """Of a whole window, which it flattens."""
    value, weights, *bias = site.values
    if not isinstance(site, Head) or not isinstance(value, Window) or not isinstance(weights, Constant):
        raise CannotStream("multiplies a stream with something that is no constant")
    return site.put(site.op, (value.number, *numbers(replace(site, values=(weights, *bias)), None)), None)


RULES: dict[str, Rule] = {
    **dict.fromkeys(
        (
            "ABS", "ADD", "ADD_N", "CAST", "CEIL", "COS", "DEQUANTIZE", "DIV", "ELU", "EXP", "FLOOR", "HARD_SWISH",
            "LEAKY_RELU", "LOG", "LOGISTIC", "MAXIMUM", "MINIMUM", "MUL", "NEG", "PRELU", "QUANTIZE", "RELU",
            "RELU6", "RELU_N1_TO_1", "ROUND", "RSQRT", "SIN", "SQRT", "SQUARE", "SQUARED_DIFFERENCE", "SUB", "TANH",
        ),
        pointwise,
    ),
    "SOFTMAX": along_channels,
    "LOG_SOFTMAX": along_channels,
    "CONCATENATION": concatenation,
    "GATHER": gather,
    **dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS"), moves.reshape),
    "TRANSPOSE": moves.transpose,
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"), moves.reduction),
    **dict.fromkeys(("SLICE", "STRIDED_SLICE"), moves.sliced),
    "PAD": moves.pad,
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), taps.convolution),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), taps.pooling),
    "FULLY_CONNECTED": dense,
}  # fmt: skip

UNABLE: dict[str, str] = {
    **dict.fromkeys(
        ("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR", "TRANSPOSE_CONV"),
        "is an upsampling: a step would make several. Build the network without it",
    ),
    "BATCH_MATMUL": "multiplies two computed tensors, as attention does: all steps of a window depend on each other",
    **dict.fromkeys(
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM", "LSTM", "SVDF", "WHILE"),
        "is a recurrent layer, which has a state of its own. Replace it by causal convolutions",
    ),
    "PADV2": "pads with another number than 0, and a reset fills states with 0",
    "REVERSE_V2": "runs backwards in time",
    "CUMSUM": "adds up all steps since the start",
}
