"""Scratch memory that the kernels ask for, in bytes: of CMSIS-NN where it has one, else of TFLite-Micro.

    requests(call, "dsp")      [1008]: CONV_2D copies two columns of its input

It is there while the operator runs. Sizes may be soft.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .call import Call
from .kernels.path import groups
from .sizes import Scalar, choose, floor_div, larger, leftover, round_up


def requests(call: Call, kernels: str) -> list[Scalar]:
    """The bytes of each buffer that an operator asks for.

    Args:
        call: the operator and its tensors.
        kernels: "plain", "dsp" or "helium" (see `cores.Core`).
    """
    return _REQUESTS.get(call.op.name, _none)(call, kernels)


def _none(call: Call, kernels: str) -> list[Scalar]:
    return []


def _conv(call: Call, kernels: str) -> list[Scalar]:
    """Columns of input values (im2col): two of 16 bits, or four of 8 bits."""
    (top, left), (height, width) = call.pads, call.kernel
    channels = call.source.shape[-1]
    taps = height * width * channels
    if call.source.dtype == "int16":
        return _conv_16(call, kernels, taps)
    column = 4 * round_up(taps, 16) if kernels == "helium" else 4 * round_up(taps, 4)
    if kernels == "helium":
        column = choose(_along_one_axis(call), _row_buffer(call, column), column)
    pointwise = (top + left <= 0) & (height * width <= 1) & (not call.op.is_dilated) & (groups(call) <= 1)
    return [choose(pointwise, 0, column)]


def _conv_16(call: Call, kernels: str, taps: Scalar) -> list[Scalar]:
    """Two columns of 16 bits, with Helium four."""
    return [8 * round_up(taps, 8) if kernels == "helium" else 4 * taps]


def _along_one_axis(call: Call) -> Any:
    """Whether Helium's convolution along a row applies, but for the width of the input (see `_row_buffer`)."""
    return (call.source.shape[1] <= 1) & (call.kernel[0] <= 1) & (not call.op.is_dilated)


def _row_buffer(call: Call, general: Scalar) -> Scalar:
    """Helium's convolution along a row copies only what touches the padding."""
    (_, left), (_, taps) = call.pads, call.kernel
    (*_, inputs, channels), (*_, outputs, _) = call.source.shape, call.result.shape
    stride = call.op.stride[1]
    missing = (outputs - 1) * stride + taps - inputs
    odd = choose(missing >= 0, leftover(missing, 2), -leftover(-missing, 2))
    at_left = choose(left > 0, larger(floor_div(left + stride - 1, stride), 1), 0)
    at_right = choose((left + odd > 0) | (left + odd < 0), larger(floor_div(left + odd + stride - 1, stride), 1), 0)
    pad_right = choose((odd > 0) | (odd < 0), at_right, left)
    row = larger((taps + left) * channels, (taps - 1 + pad_right) * channels)
    applies = (leftover(stride * channels, 4) <= 0) & (at_left + at_right <= outputs)
    return choose(applies, row, general)


def _depthwise(call: Call, kernels: str) -> list[Scalar]:
    """A column of input values; none for dilated kernels and several outputs a channel, which are plain C."""
    (top, left), (height, width) = call.pads, call.kernel
    if kernels == "plain" or call.op.is_dilated or call.op.multiplier != 1 or call.source.dtype == "int16":
        return []
    if kernels == "helium":
        return [4 * 124 * height * width]  # four columns for blocks of 124 channels
    special = (height >= 3) & (height <= 3) & (width >= 3) & (width <= 3) & (top <= 1) & (left <= 1)
    return [choose(special, 0, 2 * call.source.shape[-1] * height * width)]


def _transposed(call: Call, kernels: str) -> list[Scalar]:
    """Columns as of a convolution and its reversed kernel, or rows of 32-bit sums."""
    (height, width), (down, across) = call.kernel, call.op.stride
    channels, outputs = call.source.shape[-1], call.result.shape[-1]
    taps = height * width * channels
    columns = 4 * round_up(taps, 16 if kernels == "helium" else 4)
    sums = 4 * ((call.source.shape[2] - 1) * across + larger(width, down)) * outputs * larger(height, down)
    reverse = (channels > 16) & (down <= 2) & (across <= 2)
    return [choose(reverse, columns, sums), choose(reverse, taps * outputs, 0)]


def _average_pool(call: Call, kernels: str) -> list[Scalar]:
    return [4 * call.source.shape[-1]] if kernels == "dsp" else []


def _mean(call: Call, kernels: str) -> list[Scalar]:
    return [4 * call.result.elements]


def _reduce(call: Call, kernels: str) -> list[Scalar]:
    axes = call.inputs[1]
    return [4 * len(call.source.shape), 4 * (axes.elements if axes else 1)]


def _lstm(call: Call, kernels: str) -> list[Scalar]:
    """Two gates and the state of the cell, of 16 bits; not kept for the next inference."""
    return [2 * call.source.shape[0] * call.result.shape[-1]] * 3


def _svdf(call: Call, kernels: str) -> list[Scalar]:
    """Sums of 32 bits by filters, and by units."""
    rows = call.source.shape[0]
    return [4 * rows * call.weights.shape[0], 4 * rows * call.result.shape[-1]]


def _batch_matmul(call: Call, kernels: str) -> list[Scalar]:
    return [4 * call.result.shape[-1]] if kernels == "helium" else []


_REQUESTS: dict[str, Callable[[Call, str], list[Scalar]]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transposed,
    "AVERAGE_POOL_2D": _average_pool,
    "MEAN": _mean,
    "SUM": _mean,
    "REDUCE_MAX": _reduce,
    "REDUCE_MIN": _reduce,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
    "SVDF": _svdf,
    "BATCH_MATMUL": _batch_matmul,
}
