"""What becomes of operators that compute each step, or each window, as it is: one row each in `RULES`.

Operators with taps along time are in `taps`. What has no row cannot stream; `UNABLE` says why, where there is more to
say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..costs.program import is_number, product
from . import taps
from .site import Body, Head, Site
from .values import CannotStream, Constant, Shape, Stream, Value, Window, is_turned, placed, turned

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
    site = _in_step(site)
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
    site = _in_step(site)
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


def is_row(stream: Stream, shape: Shape) -> bool:
    """Whether a reshape makes a single row of all steps of a window."""
    return _kept_axis(stream, shape) is None and bool(product(shape[:-1]) == 1)


def reshape(site: Site) -> Value:
    """The same numbers in another shape, if time stays an axis of its own, or all becomes one row."""
    (value,) = _moving(site)
    axis = _kept_axis(value, site.shape)
    if isinstance(site, Body) and axis is None:
        raise CannotStream("takes time apart: expected a shape that keeps it as an axis, or a single row")
    shape = _placed(site, axis)
    number = site.builder.reshaped(value.number, site.of, shape, site.period)
    return _as(site, value, number, axis)


def transpose(site: Site) -> Value:
    """Axes in another order."""
    site = _in_step(site)
    (value,) = _moving(site)
    order = site.op.permutation
    axis = None if value.axis is None else order.index(value.axis)
    if axis is not None and product(site.shape[:axis]) != 1:
        raise CannotStream("moves time behind other axes, as attention or a softmax over time does")
    moved = [place for place in order if place != value.axis and not _is_one(value.shape[place])]
    if moved == sorted(moved):
        number = site.builder.reshaped(value.number, site.of, _placed(site, axis), site.period)
        return _as(site, value, number, axis)
    if is_turned(value.shape, value.axis) or is_turned(site.shape, axis):
        raise CannotStream("exchanges axes of a sequence")
    return site.put(site.op, (value.number, site.builder.setting(order)), axis)


def reduction(site: Site) -> Value:
    """Over some axes; along time, of a window."""
    site = _in_step(site)
    (value,) = _moving(site)
    axes = sorted(axis % len(value.shape) for axis in site.op.axes)
    kept = len(site.shape) == len(value.shape)
    axis = value.axis
    if axis in axes:
        axis = None
    elif axis is not None and not kept:
        axis -= sum(other < axis for other in axes)
    if is_turned(value.shape, value.axis):
        axes = [3 - each if each in (1, 2) else each for each in axes]
    return site.put(site.op, (value.number, site.builder.setting(axes)), axis)


def sliced(site: Site) -> Value:
    """A part; of time, later elements, or every so many."""
    value: Stream | Window
    (value,) = _moving(site)
    begin, sizes, axis = list(site.op.begin), list(site.shape), value.axis
    steps = list(site.op.strides or (1,) * len(sizes))
    if len(begin) != len(value.shape) or len(sizes) != len(value.shape):
        raise CannotStream("is a slice that drops axes")
    begin = [at + size if at < 0 else at for at, size in zip(begin, value.shape, strict=True)]
    if axis is not None and steps[axis] < 0:
        raise CannotStream("runs backwards in time")
    if isinstance(site, Body) and isinstance(value, Stream) and axis is not None:
        later = value.cropped(begin[axis], _at(value.shape, axis, _span(sizes[axis], steps[axis])), value.of)
        if steps[axis] > 1:
            taken = site.builder.taken(later, 1, steps[axis])
            number = site.builder.oldest(taken.number, value.of, 1, taken.period) if taken.slots > 1 else taken.number
            later = replace(later, number=number, period=taken.period, ready=taken.ready, is_clean=taken.is_clean)
        later = replace(later, shape=_at(value.shape, axis, sizes[axis]))
        others = [place for place in range(len(sizes)) if place != axis]
        if all(value.shape[place] == sizes[place] and steps[place] == 1 for place in others):
            return later
        value, site = later, replace(site, values=(later, *site.values[1:]))
        begin[axis], sizes[axis], steps[axis] = 0, 1, 1
    if is_turned(value.shape, axis):
        begin, sizes, steps = list(turned(begin)), list(turned(sizes)), list(turned(steps))
    setting = site.builder.setting
    if site.op.name == "SLICE":
        made = site.put(site.op, (value.number, setting(begin), setting(sizes)), axis)
    else:
        ends = [
            at + step * (size - 1) + (1 if step > 0 else -1) for at, size, step in zip(begin, sizes, steps, strict=True)
        ]
        if min(ends) < 0:
            raise CannotStream("runs backwards to the first element")
        inputs = (value.number, setting(begin), setting(ends), setting(steps))
        made = site.put(replace(site.op, strides=tuple(steps)), inputs, axis)
    if isinstance(value, Stream) and isinstance(made, Stream):
        return replace(value, number=made.number, of=made.of, shape=made.shape)
    return made


def pad(site: Site) -> Value:
    """Zeros around the other axes; in front of time they are no operator."""
    (value,) = _moving(site)
    axis, amounts = value.axis, list(site.op.amounts)
    if not amounts:
        raise CannotStream("pads by amounts that are not in the file")
    if isinstance(value, Stream):
        before, _ = amounts[value.axis]
        amounts[value.axis] = (0, 0)
        stream = value
        if any(map(any, amounts)):
            inner = _at(site.shape, value.axis, value.length)
            number = _pad(site, value, amounts, inner)
            stream = replace(value, number=number, of=site.of)
        return stream.padded(before, site.shape, stream.of)
    shape = site.shape
    return site.made(_pad(site, value, amounts, shape), axis)


def _pad(site: Site, value: Stream | Window, amounts: Sequence[tuple[int, int]], shape: Shape) -> int:
    axis = value.axis
    if is_turned(shape, axis):
        amounts = turned(amounts)
    setting = site.builder.setting([int(n) for pair in amounts for n in pair], (len(amounts), 2))
    number = site.builder.tensor(site.of, _placed_as(site, shape, axis))
    operator = replace(site.op, inputs=(value.number, setting), outputs=(number,), amounts=tuple(amounts))
    return site.builder.put(operator, site.period)


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
    **dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS"), reshape),
    "TRANSPOSE": transpose,
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"), reduction),
    **dict.fromkeys(("SLICE", "STRIDED_SLICE"), sliced),
    "PAD": pad,
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


def _in_step(site: Site) -> Site:
    return site.in_step() if isinstance(site, Body) else site


def _moving(site: Site) -> list[Stream | Window]:
    value = site.values[0]
    if not isinstance(value, (Stream, Window)):
        raise CannotStream("reads constants alone")
    return [value]


def _kept_axis(value: Stream | Window, shape: Shape) -> int | None:
    """Where time is in another shape of the same numbers, if it is an axis there."""
    if value.axis is None:
        return None
    before, length = product(value.shape[: value.axis]), value.shape[value.axis]
    for axis, size in enumerate(shape):
        if not is_number(size):
            return None
        if size == length and product(shape[:axis]) == before and (length != 1 or axis == value.axis):
            return axis
    return None


def _placed(site: Site, axis: int | None) -> Shape:
    return _placed_as(site, site.shape, axis)


def _placed_as(site: Site, shape: Shape, axis: int | None) -> Shape:
    length = 1 if isinstance(site, Body) else 1 if axis is None else shape[axis]
    return placed(shape, axis, length)


def _as(site: Site, value: Stream | Window, number: int, axis: int | None) -> Value:
    """The same elements at the same steps."""
    if isinstance(value, Stream) and axis is not None:
        return replace(value, number=number, of=site.of, shape=site.shape, axis=axis)
    return site.made(number, axis)


def _at(shape: Shape, axis: int, size: int) -> Shape:
    return (*shape[:axis], size, *shape[axis + 1 :])


def _is_one(size: Any) -> bool:
    return is_number(size) and size == 1


def _span(count: int, step: int) -> int:
    return (int(count) - 1) * step + 1 if is_number(count) else count
