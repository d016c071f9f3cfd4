"""Layers with kernels as operators: the rules for convolutions and Dense.

Layers of one and two dimensions share their rules: what is one-dimensional has a single row.

    Conv1D, kernel (K, C, F), on (1, T, C)    ->    Conv, kernel (1, K, C, F), on (1, 1, T, C)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..costs.faults import overruns_scratch
from .functions import activated
from .graph import Node
from .operators import Conv, Dense, Depthwise, Gather, Operator, TransposeConv
from .shapes import Pair, Shape, form, pair
from .values import Context, Value, array, both, channels_last
from .windows import Window


def conv(context: Context, x: Value) -> Node:
    """CONV_2D; depthwise where every channel is a group of its own."""
    layer = context.layer
    x, back = channels_last(context, x)
    kernel, bias = _two_dimensional(layer.kernel), _bias(layer, layer.filters)
    groups, inside = layer.groups, kernel.shape[2]
    window = _window(layer, x, kernel)
    if inside == 1 and groups > 1:
        operator: Operator = Depthwise(kernel.reshape(*kernel.shape[:2], groups, -1), bias, window, is_grouped=True)
    else:
        operator = Conv(kernel, bias, window)
    return activated(context, back(context.put(operator, x.node)), layer.activation)


def depthwise(context: Context, x: Value) -> Node:
    """DEPTHWISE_CONV_2D."""
    layer = context.layer
    x, back = channels_last(context, x)
    kernel = _two_dimensional(layer.kernel)
    bias = _bias(layer, kernel.shape[2] * kernel.shape[3])
    node = context.put(Depthwise(kernel, bias, _window(layer, x, kernel)), x.node)
    return activated(context, back(node), layer.activation)


def separable(context: Context, x: Value) -> Node:
    """DEPTHWISE_CONV_2D and CONV_2D with one tap."""
    layer = context.layer
    x, back = channels_last(context, x)
    kernel, pointwise = _two_dimensional(layer.depthwise_kernel), _two_dimensional(layer.pointwise_kernel)
    between = np.zeros(kernel.shape[2] * kernel.shape[3], "float32")
    node = context.put(Depthwise(kernel, between, _window(layer, x, kernel)), x.node)
    node = context.put(Conv(pointwise, _bias(layer, layer.filters), Window((1, 1))), node)
    return activated(context, back(node), layer.activation)


def conv_transpose(context: Context, x: Value) -> Node:
    """Of stride 1, an ordinary convolution with the kernel turned round."""
    layer = context.layer
    x, back = channels_last(context, x)
    kernel, bias = _two_dimensional(layer.kernel), _bias(layer, layer.filters)
    strides, dilation = both(layer.strides), both(layer.dilation_rate)
    (made,) = context.makes
    size = pair(form((1, *(made[2:] if layer.data_format == "channels_first" else made[1:-1]), layer.filters))[1:3])
    padding = layer.padding.upper()
    if strides == (1, 1):
        spans = Window(kernel.shape[:2], dilation=dilation).spans
        before = [span - 1 - ((span - 1) // 2 if padding == "SAME" else 0) for span in spans]
        totals = [new - old + span - 1 for new, old, span in zip(size, x.node.shape[1:3], spans, strict=True)]
        rows, columns = ((b, total - b) for b, total in zip(before, totals, strict=True))
        turned = np.swapaxes(kernel[::-1, ::-1], 2, 3)
        node = context.put(
            Conv(turned, bias, Window(kernel.shape[:2], dilation=dilation, pads=(rows, columns))), x.node
        )
    else:
        kernel = _wide_enough(_widened(kernel, dilation), strides, size, x.node.shape)
        node = context.put(TransposeConv(kernel, bias, strides, padding, size), x.node)
    return activated(context, back(node), layer.activation)


def _wide_enough(kernel: np.ndarray, strides: Pair, size: Pair, shape: Shape) -> np.ndarray:
    """A kernel that CMSIS-NN computes rightly: with taps of 0 behind it, if it is narrower than the stride.

    Where each input makes as many outputs as a stride is wide, such taps make no difference to any of them.
    """
    missing = strides[1] - kernel.shape[1]
    if not overruns_scratch(kernel.shape[1], strides) or size[1] != shape[2] * strides[1]:
        return kernel
    return np.pad(kernel, ((0, 0), (0, missing), (0, 0), (0, 0)))


def dense(context: Context, x: Value) -> Node | None:
    """FULLY_CONNECTED; on maps and sequences a convolution with one tap."""
    layer = context.layer
    kernel, bias = array(layer.kernel), _bias(layer, layer.units)
    if x.rank == 2:
        node = context.put(Dense(kernel, bias), x.node)
    elif len(x.node.shape) == 4:
        node = context.put(Conv(kernel[None, None], bias, Window((1, 1))), x.node)
    else:
        return None
    return activated(context, node, layer.activation)


def embedding(context: Context, x: Value) -> Node | None:
    """GATHER, by integers."""
    if x.dtype != "int32":
        return None
    return context.reshape(context.put(Gather(array(context.layer.embeddings)), x.node), form(context.makes[0]))


def _window(layer: Any, x: Value, kernel: np.ndarray) -> Window:
    """The window of a convolution layer, its padding as zeros."""
    size: Pair = (kernel.shape[0], kernel.shape[1])
    strides, dilation = both(layer.strides), both(layer.dilation_rate)
    if layer.padding == "same":
        return Window.same(x.node.shape, size, strides, dilation)
    window = Window(size, strides, dilation)
    return replace(window, pads=((0, 0), (window.spans[1] - 1, 0))) if layer.padding == "causal" else window


def _two_dimensional(kernel: Any) -> np.ndarray:
    """A kernel of one or two dimensions as one of two."""
    value = array(kernel)
    return value[None] if value.ndim == 3 else value


def _bias(layer: Any, channels: int) -> np.ndarray:
    return array(layer.bias) if layer.use_bias else np.zeros(channels, "float32")


def _widened(kernel: np.ndarray, dilation: Pair) -> np.ndarray:
    """A dilated kernel written out, with zeros between its taps."""
    rows, columns = Window(kernel.shape[:2], dilation=dilation).spans
    wide = np.zeros((rows, columns, *kernel.shape[2:]), kernel.dtype)
    wide[:: dilation[0], :: dilation[1]] = kernel
    return wide
