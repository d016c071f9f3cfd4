"""Keras layers as operators of a microcontroller: one row each in `LAYERS`.

A rule is a function of the `Site` and the `Value`s that the layer is called on, which returns a node: the layer's
output in the form of `graph.form`. None says that the rule does not cover this case; then the layer is called as it
is (`operators.Foreign`). Layers of one and two dimensions share their rules: what is one-dimensional has a row of 1.

    layers.Conv1D: conv      kernel (K, C, F) -> Conv(kernel (1, K, C, F), ...) on (1, 1, T, C)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import layers

from .functions import activated, elementwise, softmax
from .graph import Node, form
from .operators import (
    Activation,
    Binary,
    Concat,
    Conv,
    Dense,
    Depthwise,
    Gather,
    MatMul,
    Operator,
    Pad,
    Pair,
    Pool,
    PReLU,
    Resize,
    Slice,
    TransposeConv,
    Window,
    pair,
)  # fmt: skip
from .values import Site, Value

Rule = Callable[..., Node | None]


# -- with weights -----------------------------------------------------------------------------------------------------


def conv(site: Site, x: Value) -> Node:
    """CONV_2D; depthwise where every channel is a group of its own."""
    layer = site.layer
    x, back = channels_last(site, x)
    kernel, bias = two_dimensional(layer.kernel), _bias(layer, layer.filters)
    groups, inside = layer.groups, kernel.shape[2]
    window = kernel_window(layer, x, kernel)
    if inside == 1 and groups > 1:
        operator: Operator = Depthwise(kernel.reshape(*kernel.shape[:2], groups, -1), bias, window)
    else:
        operator = Conv(kernel, bias, window)
    return activated(site, back(site.put(operator, x.node)), layer.activation)


def depthwise(site: Site, x: Value) -> Node:
    """DEPTHWISE_CONV_2D."""
    layer = site.layer
    x, back = channels_last(site, x)
    kernel = two_dimensional(layer.kernel)
    bias = _bias(layer, kernel.shape[2] * kernel.shape[3])
    node = site.put(Depthwise(kernel, bias, kernel_window(layer, x, kernel)), x.node)
    return activated(site, back(node), layer.activation)


def separable(site: Site, x: Value) -> Node:
    """DEPTHWISE_CONV_2D and CONV_2D with one tap."""
    layer = site.layer
    x, back = channels_last(site, x)
    kernel, pointwise = two_dimensional(layer.depthwise_kernel), two_dimensional(layer.pointwise_kernel)
    between = np.zeros(kernel.shape[2] * kernel.shape[3], "float32")
    node = site.put(Depthwise(kernel, between, kernel_window(layer, x, kernel)), x.node)
    node = site.put(Conv(pointwise, _bias(layer, layer.filters), Window((1, 1))), node)
    return activated(site, back(node), layer.activation)


def conv_transpose(site: Site, x: Value) -> Node:
    """Of stride 1, an ordinary convolution with the kernel turned round."""
    layer = site.layer
    x, back = channels_last(site, x)
    kernel, bias = two_dimensional(layer.kernel), _bias(layer, layer.filters)
    strides, dilation = both(layer.strides), both(layer.dilation_rate)
    (made,) = site.makes
    size = pair(form((1, *(made[2:] if layer.data_format == "channels_first" else made[1:-1]), layer.filters))[1:3])
    padding = layer.padding.upper()
    if strides == (1, 1):
        spans = Window(kernel.shape[:2], dilation=dilation).spans
        before = [span - 1 - ((span - 1) // 2 if padding == "SAME" else 0) for span in spans]
        totals = [new - old + span - 1 for new, old, span in zip(size, x.node.shape[1:3], spans, strict=True)]
        rows, columns = ((b, total - b) for b, total in zip(before, totals, strict=True))
        turned = np.swapaxes(kernel[::-1, ::-1], 2, 3)
        node = site.put(Conv(turned, bias, Window(kernel.shape[:2], dilation=dilation, pads=(rows, columns))), x.node)
    else:
        node = site.put(TransposeConv(_widened(kernel, dilation), bias, strides, padding, size), x.node)
    return activated(site, back(node), layer.activation)


def dense(site: Site, x: Value) -> Node | None:
    """FULLY_CONNECTED; on maps and sequences a convolution with one tap."""
    layer = site.layer
    kernel, bias = array(layer.kernel), _bias(layer, layer.units)
    if x.rank == 2:
        node = site.put(Dense(kernel, bias), x.node)
    elif len(x.node.shape) == 4:
        node = site.put(Conv(kernel[None, None], bias, Window((1, 1))), x.node)
    else:
        return None
    return activated(site, node, layer.activation)


def embedding(site: Site, x: Value) -> Node | None:
    """GATHER, by integers."""
    if x.dtype != "int32":
        return None
    return site.reshape(site.put(Gather(array(site.layer.embeddings)), x.node), form(site.makes[0]))


def batch_norm(site: Site, x: Value) -> Node:
    """Scale and offset from the moving statistics."""
    layer = site.layer
    scale = 1.0 / np.sqrt(array(layer.moving_variance).astype("float64") + layer.epsilon)
    if layer.scale:
        scale = scale * array(layer.gamma)
    offset = -array(layer.moving_mean) * scale
    if layer.center:
        offset = offset + array(layer.beta)
    axis = x.positive(layer.axis)
    others = [a for a in range(x.rank) if a != axis]
    if axis == x.rank - 1:
        return site.scaled(x.node, scale, offset)
    last = site.transpose(x, [*others, axis])
    return site.transpose(
        Value(site.scaled(last.node, scale, offset), last.shape), np.argsort([*others, axis]).tolist()
    ).node


def normalization(site: Site, x: Value) -> Node | None:
    """Scale and offset from the statistics that were adapted to."""
    layer = site.layer
    mean, deviation = array(layer.mean), np.maximum(np.sqrt(array(layer.variance)), keras.config.epsilon())
    if mean.size not in (1, x.shape[-1]) or mean.shape[-1] != mean.size:
        return None
    mean, deviation = mean.reshape(-1).astype("float64"), deviation.reshape(-1).astype("float64")
    scale, offset = (deviation, mean) if layer.invert else (1.0 / deviation, -mean / deviation)
    return site.scaled(x.node, scale, offset)


def rescaling(site: Site, x: Value) -> Node | None:
    """Scale and offset."""
    scaled = site.arithmetic("multiply", x, np.asarray(site.layer.scale, "float32"))
    return scaled and site.arithmetic("add", replace(x, node=scaled), np.asarray(site.layer.offset, "float32"))


def prelu(site: Site, x: Value) -> Node:
    """PRELU."""
    alpha = array(site.layer.alpha)
    return site.put(PReLU(alpha.reshape(form((1, *alpha.shape))[1:])), x.node)


# -- activations ------------------------------------------------------------------------------------------------------


def relu(site: Site, x: Value) -> Node | None:
    """RELU, RELU6, LEAKY_RELU or limits; not with a threshold, where it jumps."""
    layer = site.layer
    if layer.threshold:
        return None
    slope, most = float(layer.negative_slope or 0.0), layer.max_value
    if not slope and most is not None:
        return site.put(Activation("relu6") if most == 6 else Activation("clip", (0.0, float(most))), x.node)
    node = site.put(Activation("leaky_relu", (slope,)) if slope else Activation("relu"), x.node)
    return node if most is None else site.put(Activation("minimum", (float(most),)), node)


def elu(site: Site, x: Value) -> Node:
    """ELU, which has no kernel for integers."""
    return elementwise(site, x.node, site.layer.call)


def leaky_relu(site: Site, x: Value) -> Node:
    """LEAKY_RELU."""
    return site.put(Activation("leaky_relu", (float(site.layer.negative_slope),)), x.node)


def activation(site: Site, x: Value) -> Node:
    """The function it holds."""
    return activated(site, x.node, site.layer.activation)


def softmax_layer(site: Site, x: Value) -> Node | None:
    """SOFTMAX."""
    axes = site.layer.axis if isinstance(site.layer.axis, (list, tuple)) else [site.layer.axis]
    return softmax(site, x, axes[0]) if len(axes) == 1 else None


def identity(site: Site, x: Value) -> Node:
    """Nothing: what only acts in training."""
    return x.node


# -- space ------------------------------------------------------------------------------------------------------------


def pool(kind: str) -> Rule:
    """AVERAGE_POOL_2D or MAX_POOL_2D."""

    def rule(site: Site, x: Value) -> Node:
        layer = site.layer
        x, back = channels_last(site, x)
        window = Window(both(layer.pool_size), both(layer.strides))
        return back(site.put(Pool(kind, window, layer.padding.upper()), x.node))

    return rule


def global_pool(kind: str) -> Rule:
    """Pooling with a window as large as the map; a mean over axes is slow."""

    def rule(site: Site, x: Value) -> Node:
        x, _ = channels_last(site, x)
        node = site.put(Pool(kind, Window(pair(x.node.shape[1:3]))), x.node)
        return site.reshape(node, form(site.makes[0]))

    return rule


def zero_padding(site: Site, x: Value) -> Node:
    """PAD."""
    x, back = channels_last(site, x)
    amounts = both(_sides(site.layer.padding, x.rank - 2), (0, 0))
    return back(site.put(Pad(((0, 0), *amounts, (0, 0))), x.node))


def cropping(site: Site, x: Value) -> Node:
    """SLICE."""
    x, back = channels_last(site, x)
    rows, columns = both(_sides(site.layer.cropping, x.rank - 2), (0, 0))
    _, height, width, channels = x.node.shape
    ranges = range(1), range(rows[0], height - rows[1]), range(columns[0], width - columns[1]), range(channels)
    return back(site.put(Slice(ranges), x.node))


def up_sampling(site: Site, x: Value) -> Node | None:
    """RESIZE_NEAREST_NEIGHBOR or RESIZE_BILINEAR; TFLite-Micro has no TILE."""
    x, back = channels_last(site, x)
    kind = getattr(site.layer, "interpolation", "nearest")
    if kind not in ("nearest", "bilinear"):
        return None
    rows, columns = both(site.layer.size if x.rank == 4 else [site.layer.size])
    return back(site.put(Resize((x.node.shape[1] * rows, x.node.shape[2] * columns), kind), x.node))


def resizing(site: Site, x: Value) -> Node | None:
    """RESIZE_BILINEAR."""
    layer = site.layer
    if layer.interpolation != "bilinear" or layer.crop_to_aspect_ratio or layer.pad_to_aspect_ratio or layer.antialias:
        return None
    x, back = channels_last(site, x)
    size = layer.size if hasattr(layer, "size") else (layer.height, layer.width)
    return back(site.put(Resize(tuple(size), "bilinear"), x.node)) if x.rank == 4 else None


def repeat_vector(site: Site, x: Value) -> Node:
    """RESIZE_NEAREST_NEIGHBOR of a map of one pixel."""
    return site.put(Resize((1, site.layer.n)), site.reshape(x.node, (1, 1, *x.shape)))


def reshape(site: Site, x: Value) -> Node:
    """Whatever keeps the order of the elements."""
    return site.reshape(x.node, form(site.makes[0]))


def permute(site: Site, x: Value) -> Node:
    """TRANSPOSE."""
    return site.transpose(x, (0, *site.layer.dims)).node


# -- several inputs ---------------------------------------------------------------------------------------------------


def merge(kind: str) -> Rule:
    """ADD, MUL and so on, two tensors at a time."""

    def rule(site: Site, inputs: Sequence[Value]) -> Node:
        # Keras puts missing axes behind the batch.
        rank = max(x.rank for x in inputs)
        nodes = [site.reshape(x.node, form((1, *[1] * (rank - x.rank), *x.shape[1:]))) for x in inputs]
        node = nodes[0]
        for other in nodes[1:]:
            node = site.put(Binary(kind), node, other)
        return site.scaled(node, 1.0 / len(nodes)) if type(site.layer) is layers.Average else node

    return rule


def concatenate(site: Site, inputs: Sequence[Value]) -> Node:
    """CONCATENATION."""
    return site.put(Concat(inputs[0].axis(site.layer.axis)), *(x.node for x in inputs))


def dot(site: Site, inputs: Sequence[Value]) -> Node | None:
    """BATCH_MATMUL, with one axis of each tensor summed over."""
    layer, (left, right) = site.layer, inputs
    if layer.normalize or not {left.rank, right.rank} <= {2, 3}:
        return None
    axes = [layer.axes] * 2 if isinstance(layer.axes, int) else list(layer.axes)
    rows = _matrix(site, left, axes[0], last=True)
    columns = _matrix(site, right, axes[1], last=False)
    return site.reshape(site.put(MatMul(), rows, columns), form(site.makes[0]))


def _matrix(site: Site, x: Value, axis: int, *, last: bool) -> Node:
    """A stack of matrices with the given axis last or last but one; a vector becomes a row or a column."""
    if x.rank == 2:
        size = x.shape[1]
        return site.reshape(x.node, (1, 1, 1, size) if last else (1, 1, size, 1))
    wanted = 2 if last else 1
    return x.node if x.positive(axis) == wanted else site.transpose(x, (0, 2, 1)).node


# -- helpers ----------------------------------------------------------------------------------------------------------


def channels_last(site: Site, x: Value) -> tuple[Value, Callable[[Node], Node]]:
    """The input with its channels at the end, and what puts those of the output back in front."""
    if getattr(site.layer, "data_format", None) != "channels_first":
        return x, lambda node: node
    x = site.transpose(x, (0, *range(2, x.rank), 1))

    def back(node: Node) -> Node:
        shape = node.shape if x.rank == 4 else (1, *node.shape[2:])
        return site.transpose(Value(node, shape), (0, x.rank - 1, *range(1, x.rank - 1))).node

    return x, back


def kernel_window(layer: Any, x: Value, kernel: np.ndarray) -> Window:
    """The window of a convolution layer, its padding as zeros."""
    size: Pair = (kernel.shape[0], kernel.shape[1])
    strides, dilation = both(layer.strides), both(layer.dilation_rate)
    if layer.padding == "same":
        return Window.same(x.node.shape, size, strides, dilation)
    window = Window(size, strides, dilation)
    return replace(window, pads=((0, 0), (window.spans[1] - 1, 0))) if layer.padding == "causal" else window


def both(values: Any, first: Any = 1) -> Any:
    """One value for rows and one for columns; a single value is for the columns."""
    values = (values,) if np.ndim(values) == 0 else tuple(values)
    return (first, *values) if len(values) == 1 else values


def array(variable: Any) -> np.ndarray:
    """The value of a variable."""
    return np.asarray(keras.ops.convert_to_numpy(variable), "float32")


def two_dimensional(kernel: Any) -> np.ndarray:
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


def _sides(amounts: Any, rank: int) -> tuple[Pair, ...]:
    """Amounts before and after, for each axis of space."""
    return (tuple(amounts),) if rank == 1 else tuple(tuple(side) for side in amounts)


LAYERS: dict[type, Rule] = {
    layers.Conv1D: conv,
    layers.Conv2D: conv,
    layers.DepthwiseConv1D: depthwise,
    layers.DepthwiseConv2D: depthwise,
    layers.SeparableConv1D: separable,
    layers.SeparableConv2D: separable,
    layers.Conv1DTranspose: conv_transpose,
    layers.Conv2DTranspose: conv_transpose,
    layers.Dense: dense,
    layers.Embedding: embedding,
    layers.BatchNormalization: batch_norm,
    layers.Normalization: normalization,
    layers.Rescaling: rescaling,
    layers.PReLU: prelu,
    layers.ReLU: relu,
    layers.LeakyReLU: leaky_relu,
    layers.ELU: elu,
    layers.Activation: activation,
    layers.Softmax: softmax_layer,
    layers.MaxPooling1D: pool("max"),
    layers.MaxPooling2D: pool("max"),
    layers.AveragePooling1D: pool("average"),
    layers.AveragePooling2D: pool("average"),
    layers.GlobalMaxPooling1D: global_pool("max"),
    layers.GlobalMaxPooling2D: global_pool("max"),
    layers.GlobalAveragePooling1D: global_pool("average"),
    layers.GlobalAveragePooling2D: global_pool("average"),
    layers.ZeroPadding1D: zero_padding,
    layers.ZeroPadding2D: zero_padding,
    layers.Cropping1D: cropping,
    layers.Cropping2D: cropping,
    layers.UpSampling1D: up_sampling,
    layers.UpSampling2D: up_sampling,
    layers.Resizing: resizing,
    layers.RepeatVector: repeat_vector,
    layers.Reshape: reshape,
    layers.Flatten: reshape,
    layers.Permute: permute,
    layers.Add: merge("add"),
    layers.Average: merge("add"),
    layers.Subtract: merge("subtract"),
    layers.Multiply: merge("multiply"),
    layers.Maximum: merge("maximum"),
    layers.Minimum: merge("minimum"),
    layers.Concatenate: concatenate,
    layers.Dot: dot,
}
LAYERS.update(
    (kind, identity)
    for kind in (
        layers.Identity, layers.ActivityRegularization, layers.Dropout, layers.AlphaDropout, layers.GaussianDropout,
        layers.GaussianNoise, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D,
    )
)  # fmt: skip
