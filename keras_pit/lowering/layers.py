"""Keras layers as operators of a microcontroller: one row each in `LAYERS`.

A rule is a function of the `Context` and the `Value`s that the layer is called on, which returns a node: the layer's
output in the form of `shapes.form`. None says that the rule does not cover this case; then the layer is called as it
is (`operators.Foreign`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import layers

from ..graph.kinds import kind_of
from ..graph.training import acts_in_training_only
from . import convolutions, moves, normalizations
from .functions import FUNCTIONS, activated, elu, is_elementwise, line_of, softmax
from .graph import Node
from .moves import Rule
from .operators import Activation, Function, PReLU
from .shapes import form
from .values import Context, Value, array


def batch_norm(context: Context, x: Value) -> Node:
    """Scale and offset from the moving statistics."""
    layer = context.layer
    scale = 1.0 / np.sqrt(array(layer.moving_variance).astype("float64") + layer.epsilon)
    if layer.scale:
        scale = scale * array(layer.gamma)
    offset = -array(layer.moving_mean) * scale
    if layer.center:
        offset = offset + array(layer.beta)
    axis = x.positive(layer.axis)
    others = [a for a in range(x.rank) if a != axis]
    if axis == x.rank - 1:
        return context.scaled(x.node, scale, offset)
    last = context.transpose(x, [*others, axis])
    return context.transpose(
        Value(context.scaled(last.node, scale, offset), last.shape), np.argsort([*others, axis]).tolist()
    ).node


def normalization(context: Context, x: Value) -> Node | None:
    """Scale and offset from the statistics that were adapted to."""
    layer = context.layer
    mean, deviation = array(layer.mean), np.maximum(np.sqrt(array(layer.variance)), keras.config.epsilon())
    if mean.size not in (1, x.shape[-1]) or mean.shape[-1] != mean.size:
        return None
    mean, deviation = mean.reshape(-1).astype("float64"), deviation.reshape(-1).astype("float64")
    scale, offset = (deviation, mean) if layer.invert else (1.0 / deviation, -mean / deviation)
    return context.scaled(x.node, scale, offset)


def rescaling(context: Context, x: Value) -> Node | None:
    """Scale and offset."""
    scaled = context.arithmetic("multiply", x, np.asarray(context.layer.scale, "float32"))
    return scaled and context.arithmetic("add", replace(x, node=scaled), np.asarray(context.layer.offset, "float32"))


def prelu(context: Context, x: Value) -> Node:
    """PRELU."""
    alpha = array(context.layer.alpha)
    return context.put(PReLU(alpha.reshape(form((1, *alpha.shape))[1:])), x.node)


def relu(context: Context, x: Value) -> Node | None:
    """RELU, RELU6, LEAKY_RELU or limits; not with a threshold, where it jumps."""
    layer = context.layer
    if layer.threshold:
        return None
    slope, most = float(layer.negative_slope or 0.0), layer.max_value
    if not slope and most is not None:
        return context.put(Activation("relu6") if most == 6 else Activation("clip", (0.0, float(most))), x.node)
    node = context.put(Activation("leaky_relu", (slope,)) if slope else Activation("relu"), x.node)
    return node if most is None else context.put(Activation("minimum", (float(most),)), node)


def elu_layer(context: Context, x: Value) -> Node:
    """ELU."""
    return elu(context, x.node, float(context.layer.alpha))


def leaky_relu(context: Context, x: Value) -> Node:
    """LEAKY_RELU."""
    return context.put(Activation("leaky_relu", (float(context.layer.negative_slope),)), x.node)


def activation(context: Context, x: Value) -> Node:
    """The function it holds."""
    return activated(context, x.node, context.layer.activation)


def function_layer(context: Context, x: Any) -> Node | None:
    """A Lambda that is a function of each element: its operator, scale and offset, or a table."""
    layer = context.layer
    if not isinstance(x, Value) or context.makes != (x.shape,):
        return None
    if layer.function in FUNCTIONS and not layer.arguments:
        return FUNCTIONS[layer.function](context, x.node)
    if not is_elementwise(layer.call, x.shape):
        return None
    line = line_of(layer.call)
    return context.scaled(x.node, *line) if line else context.put(Function(layer.name, layer.call), x.node)


def softmax_layer(context: Context, x: Value) -> Node | None:
    """SOFTMAX."""
    axes = context.layer.axis if isinstance(context.layer.axis, (list, tuple)) else [context.layer.axis]
    return softmax(context, x, axes[0]) if len(axes) == 1 else None


def identity(context: Context, x: Value) -> Node:
    """Nothing: what only acts in training.

    Raises:
        ValueError: if it has another shape there.
    """
    if x.shape == context.makes[0]:
        return x.node
    layer, made = context.layer, tuple(context.makes[0][1:])
    raise ValueError(
        f"Layer '{layer.name}' ({type(layer).__name__}) makes shape {made} in training, but in inference Keras hands "
        f"on its input as it is, {tuple(x.shape[1:])}; expected the same shape. Put keras.layers.CenterCrop or "
        "Resizing in its place, and crop at random where the data come from."
    )


LAYERS: dict[type, Rule] = {
    layers.Conv1D: convolutions.conv,
    layers.Conv2D: convolutions.conv,
    layers.DepthwiseConv1D: convolutions.depthwise,
    layers.DepthwiseConv2D: convolutions.depthwise,
    layers.SeparableConv1D: convolutions.separable,
    layers.SeparableConv2D: convolutions.separable,
    layers.Conv1DTranspose: convolutions.conv_transpose,
    layers.Conv2DTranspose: convolutions.conv_transpose,
    layers.Dense: convolutions.dense,
    layers.Embedding: convolutions.embedding,
    layers.BatchNormalization: batch_norm,
    layers.LayerNormalization: normalizations.layer_normalization,
    layers.RMSNormalization: normalizations.rms_normalization,
    layers.GroupNormalization: normalizations.group_normalization,
    layers.Normalization: normalization,
    layers.Rescaling: rescaling,
    layers.PReLU: prelu,
    layers.ReLU: relu,
    layers.LeakyReLU: leaky_relu,
    layers.ELU: elu_layer,
    layers.Activation: activation,
    layers.Lambda: function_layer,
    layers.Softmax: softmax_layer,
    layers.Identity: identity,
    layers.MaxPooling1D: moves.pool("max"),
    layers.MaxPooling2D: moves.pool("max"),
    layers.AveragePooling1D: moves.pool("average"),
    layers.AveragePooling2D: moves.pool("average"),
    layers.GlobalMaxPooling1D: moves.global_pool("max"),
    layers.GlobalMaxPooling2D: moves.global_pool("max"),
    layers.GlobalAveragePooling1D: moves.global_pool("average"),
    layers.GlobalAveragePooling2D: moves.global_pool("average"),
    layers.ZeroPadding1D: moves.zero_padding,
    layers.ZeroPadding2D: moves.zero_padding,
    layers.Cropping1D: moves.cropping,
    layers.Cropping2D: moves.cropping,
    layers.UpSampling1D: moves.up_sampling,
    layers.UpSampling2D: moves.up_sampling,
    layers.Resizing: moves.resizing,
    layers.CenterCrop: moves.center_crop,
    layers.RepeatVector: moves.repeat_vector,
    layers.Reshape: moves.reshape,
    layers.Flatten: moves.flatten,
    layers.Permute: moves.permute,
    layers.Add: moves.merge("add"),
    layers.Average: moves.merge("add"),
    layers.Subtract: moves.merge("subtract"),
    layers.Multiply: moves.merge("multiply"),
    layers.Maximum: moves.merge("maximum"),
    layers.Minimum: moves.merge("minimum"),
    layers.Concatenate: moves.concatenate,
    layers.Dot: moves.dot,
}


def rule_of(layer: Any) -> Rule | None:
    """The row of a layer; None if there is none."""
    return identity if acts_in_training_only(layer) else LAYERS.get(kind_of(layer))
