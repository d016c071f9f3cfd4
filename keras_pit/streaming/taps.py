"""Operators with taps along time: convolutions and pooling.

A window of taps reads the newest elements of a buffer, and has one result. A convolution of all that the buffer has is
a FULLY_CONNECTED of the same weights: on cores without Helium that takes 0.4 to 0.75 of the instructions of a CONV_2D,
which computes single positions apart from its fast loop, and it needs no scratch memory. The integers are the same:
both add the products in 32 bits, and scale the sum by the same multiplier. Dilated ones stay a CONV_2D, on the whole
buffer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..costs.operators import Operator
from ..costs.sizes import Scalar, is_number, is_one, is_zero, product
from .builder import Taken
from .site import Body, Site
from .values import CannotStream, Constant, Shape, Stream, Value, Window, is_positive, is_turned

_SOME = 2
"""Which dilation it is makes no difference to its costs, if it is one."""


def convolution(site: Site) -> Value:
    """CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED."""
    value, weights, *_ = site.values
    if not isinstance(weights, Constant) or not isinstance(value, (Stream, Window)):
        raise CannotStream("convolves with computed weights")
    kernel = _columns_first(weights.shape) if is_turned(value.shape, value.axis) else weights.shape
    if not isinstance(site, Body):
        inputs = (value.number, site.builder.constant(weights.of, kernel), *_bias(site))
        return site.put(_turned(site.op, value), inputs, _axis_of_maps(value))
    stream = _streaming(value)
    operator = _turned(site.op, stream)
    dilation = operator.dilation[0]
    taken = _taken(site, stream, kernel[1], dilation)
    is_sequence = _other_size(stream) == 1 and kernel[2] == 1
    constant, bias = site.builder.constant, _bias(site)
    operator = replace(operator, inputs=(taken.number, constant(weights.of, kernel), *bias))
    operator = _single(operator, taken, is_sequence=is_sequence)
    # While its kernel is searched, one of these is there at a time.
    is_dilated = is_positive(dilation - 1)
    close, dilated = (operator, operator) if is_number(dilation) else _of_both(operator)
    forms = [(dilated, is_dilated)]
    if is_sequence and site.op.name == "CONV_2D" and _is_equal(kernel[3], stream.shape[3]):
        flat = constant(weights.of, (kernel[0], kernel[1] * kernel[3]))
        dense = replace(
            Operator("FULLY_CONNECTED", (taken.number, flat, *bias), ()),
            activation=site.op.activation,
            layer=site.op.layer,
        )
        is_whole = 1 - is_positive(taken.late)
        forms += [(dense, product((1 - is_dilated, is_whole))), (close, product((1 - is_dilated, 1 - is_whole)))]
    else:
        forms += [(close, 1 - is_dilated)]
    return _put(site, stream, taken, forms)


def _of_both(operator: Operator) -> tuple[Operator, Operator]:
    """An operator with dense kernel, and with a dilated one."""
    return replace(operator, dilation=(1, 1)), replace(operator, dilation=(_SOME, 1))


def pooling(site: Site) -> Value:
    """AVERAGE_POOL_2D or MAX_POOL_2D."""
    value = site.values[0]
    if not isinstance(value, (Stream, Window)):
        raise CannotStream("pools a constant")
    if not isinstance(site, Body):
        return site.put(
            _turned(site.op, value), (value.number,), _axis_of_maps(value) if _is_kept(site, value) else None
        )
    stream = _streaming(value)
    operator = _turned(site.op, stream)
    taken = _taken(site, stream, operator.window[0], 1)
    is_sequence = _other_size(stream) == 1 and operator.window[1] == 1
    operator = replace(_single(operator, taken, is_sequence=is_sequence), inputs=(taken.number,))
    return _put(site, stream, taken, [(operator, 1)])


def is_global(operator: Operator, stream: Stream, made: Shape) -> bool:
    """Whether a pooling takes all elements of a window together."""
    if stream.axis not in (1, 2) or len(made) != 4:
        return False
    return bool(operator.window[stream.axis - 1] == stream.length and made[stream.axis] == 1 and stream.length > 1)


def _streaming(value: Stream | Window) -> Stream:
    if not isinstance(value, Stream) or value.axis not in (1, 2) or len(value.shape) != 4:
        raise CannotStream("has taps along other axes than time, as a convolution over channels")
    if value.axis == 2 and value.shape[1] != 1:
        raise CannotStream("works on maps whose columns are time: expected rows to be time, as in (time, bands, 1)")
    return value


def _axis_of_maps(value: Stream | Window) -> int | None:
    if value.axis is not None and (value.axis not in (1, 2) or len(value.shape) != 4):
        raise CannotStream("has taps along other axes than time, as a convolution over channels")
    return value.axis


def _is_kept(site: Site, value: Stream | Window) -> bool:
    return value.axis is not None and (site.shape[value.axis] > 1 or value.shape[value.axis] == 1)


def _other_size(stream: Stream) -> int:
    """Rows of a map whose columns are time, or columns of one whose rows are."""
    return int(stream.shape[3 - stream.axis])


def _taken(site: Body, stream: Stream, taps: Scalar, dilation: Scalar) -> Taken:
    """The elements that the taps read."""
    stride = site.op.stride[stream.axis - 1]
    span = (taps - 1) * dilation + 1
    if site.op.ahead is not None:
        return site.builder.taken(stream, span, stride, site.op.zeros, site.op.ahead, site.op.behind)
    before = 0
    if site.op.padding == "same":
        before = max((int(site.shape[stream.axis]) - 1) * stride + span - int(stream.length), 0) // 2
    if before and site.op.name == "AVERAGE_POOL_2D":
        raise CannotStream(
            "is an average with padding 'same', which counts fewer steps at the start of a window: expected 'valid'"
        )
    if before and site.op.name == "MAX_POOL_2D" and not is_one(site.builder.whole.tensors[stream.of].lowest):
        raise CannotStream(
            "is a maximum with padding 'same' of numbers that may be below 0, which is what a reset fills states with: "
            "expected 'valid', or a ReLU before it"
        )
    return site.builder.taken(stream, span, stride, before)


def _single(op: Operator, taken: Taken, *, is_sequence: bool) -> Operator:
    """An operator on maps whose rows are time, with a single position there."""
    if op.padding == "same" and not is_sequence:
        # With a stride of all rows, padding "same" adds none.
        return replace(op, stride=(taken.slots, op.stride[1]))
    return replace(op, padding="valid", stride=(taken.late + 1, op.stride[1]))


def _put(site: Body, stream: Stream, taken: Taken, forms: Sequence[tuple[Operator, Scalar]]) -> Stream:
    """Operators of which one is there, as the number says, with one element along time as their result."""
    number = site.builder.result(site.of, (1, 1, site.shape[3 - stream.axis], site.shape[3]))
    for form, presence in forms:
        if not is_zero(presence):
            site.builder.put(replace(form, outputs=(number,), presence=presence), taken.period)
    return site.stream(number, stream.axis, taken.period, taken.ready)


def _is_equal(inside: Scalar, read: Scalar) -> bool:
    """Whether a kernel reads all channels: sizes that are searched are then the same one, or all but one are gone."""
    if is_number(inside):
        return bool(inside == read) if is_number(read) else inside == 1
    return inside is read


def _bias(site: Site) -> list[int]:
    constants = [value for value in site.values[2:] if isinstance(value, Constant)]
    return [site.builder.constant(value.of, value.shape) for value in constants]


def _turned(op: Operator, value: Stream | Window) -> Operator:
    """An operator on maps whose columns are time as one on maps whose rows are."""
    if not is_turned(value.shape, value.axis):
        return op
    return replace(op, stride=op.stride[::-1], dilation=op.dilation[::-1], window=op.window[::-1])


def _columns_first(kernel: Shape) -> Shape:
    outputs, rows, columns, inputs = kernel
    return (outputs, columns, rows, inputs)
