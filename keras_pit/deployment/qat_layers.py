"""A network as a tf_keras model that computes with the rounding of 8-bit integers.

Every operator of a lowered network becomes one layer, wrapped in tensorflow-model-optimization's `QuantizeWrapperV2`:

    Conv(kernel, bias, window)  ->  QuantizeWrapperV2(OperatorLayer(conv), EightBit(rounds=True))

The arithmetic is that of the converter: weights symmetric, one scale per output channel; activations with one scale and
a zero point, from a moving average of their range. Two things differ from that library's default quantizers. Ranges of
weights are always those of the weights there are. And ranges of activations start with the first batch, not with
[-6, 6] and a memory of thousands of steps; before it, nothing is rounded but the weights.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras

from ..lowering.graph import Shape
from ..lowering.operators import Conv, Dense, Depthwise, Operator, TransposeConv

_DECAY = 0.99

_CHANNELS: dict[type, tuple[int, ...]] = {Conv: (3,), Depthwise: (2, 3), TransposeConv: (2,), Dense: (1,)}
"""For the operators with weights, the axes of the kernel that count output channels."""


class OperatorLayer(tf_keras.layers.Layer):
    """One operator, with variables in place of its kernel and bias."""

    def __init__(self, operator: Operator, makes: Shape, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.operator = operator
        self.makes = makes

    def build(self, input_shape: Any) -> None:
        if type(self.operator) in _CHANNELS:
            for name in ("kernel", "bias"):
                value = getattr(self.operator, name)
                constant = tf_keras.initializers.Constant(value)
                setattr(self, name, self.add_weight(name, value.shape, initializer=constant))
        super().build(input_shape)

    def call(self, inputs: Any, training: Any = None) -> Any:
        operator: Any = self.operator
        if type(operator) in _CHANNELS:
            operator = replace(operator, kernel=self.kernel, bias=self.bias)
        if training and isinstance(operator, Conv) and operator.window.dilation != (1, 1):
            (x,) = tf.nest.flatten(inputs)
            return tf.nn.bias_add(dilated(x, operator), operator.bias)
        return operator.compute(*tf.nest.flatten(inputs))

    def compute_output_shape(self, input_shape: Any) -> tf.TensorShape:
        return tf.TensorShape((None, *self.makes[1:]))

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError(
            "A model from quantize_aware cannot be saved whole, but its weights can: save the Keras model that it was "
            "made of, and qat.save_weights(path); later, keras_pit.quantize_aware(model).load_weights(path)."
        )


def dilated(x: Any, conv: Conv) -> Any:
    """A dilated convolution whose gradient any processor computes.

    That of TensorFlow's own is there with oneDNN alone, which it leaves out on processors without certain instructions.
    `tf.nn.convolution` takes a dilated convolution apart, which works everywhere, but is nothing for a file.
    """
    window, padding = conv.window, conv.window.padding(tuple(x.shape))
    if window.strides != (1, 1):
        return tf.nn.conv2d(x, conv.kernel, window.strides, padding, dilations=window.dilation)

    @tf.custom_gradient
    def convolve(x: Any, kernel: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch((x, kernel))
                y = tf.nn.convolution(x, kernel, padding=padding, dilations=window.dilation)
            return tape.gradient(y, (x, kernel), upstream)

        return tf.nn.conv2d(x, kernel, 1, padding, dilations=window.dilation), gradient

    return convolve(x, tf.convert_to_tensor(conv.kernel))


class WeightsQuantizer(tfmot.quantization.keras.quantizers.Quantizer):
    """8 bits, symmetric, with the largest weight of each output channel as the end of the range."""

    def __init__(self, axes: tuple[int, ...]) -> None:
        self.axes = axes

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        return {}

    def __call__(self, inputs: Any, training: Any, weights: Any, **kwargs: Any) -> Any:
        others = [axis for axis in range(inputs.shape.rank) if axis not in self.axes]
        step = tf.maximum(tf.reduce_max(tf.abs(inputs), axis=others, keepdims=True), 1e-12) / 127
        # No operator for fake quantization: the converter takes the constants that this leaves, which are on the grid.
        return inputs + tf.stop_gradient(tf.round(inputs / step) * step - inputs)

    def get_config(self) -> dict[str, Any]:
        return {"axes": self.axes}


class ActivationsQuantizer(tfmot.quantization.keras.quantizers.Quantizer):
    """8 bits, with a moving average of the smallest and largest value of each batch as the range."""

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        return {
            end: layer.add_weight(f"{name}_{end}", (), initializer="zeros", trainable=False) for end in ("min", "max")
        }

    def __call__(self, inputs: Any, training: Any, weights: dict[str, Any], **kwargs: Any) -> Any:
        low, high = weights["min"], weights["max"]
        unknown = tf.equal(low, high)
        if not training:
            return tf.where(unknown, inputs, tf.quantization.fake_quant_with_min_max_vars(inputs, low, high))
        # 0 is in every range; and no range is empty, even where all values are 0.
        ends = tf.minimum(tf.reduce_min(inputs), 0.0), tf.maximum(tf.reduce_max(inputs), 1e-6)
        ends = tuple(
            end.assign(tf.where(unknown, new, _DECAY * end + (1 - _DECAY) * new))
            for end, new in zip((low, high), ends, strict=True)
        )
        return tf.quantization.fake_quant_with_min_max_vars(inputs, *ends)

    def get_config(self) -> dict[str, Any]:
        return {}


class EightBit(tfmot.quantization.keras.QuantizeConfig):
    """The weights of an operator in 8 bits, and its output, if it `rounds`."""

    def __init__(self, rounds: bool) -> None:
        self.rounds = rounds

    def get_weights_and_quantizers(self, layer: OperatorLayer) -> list[Any]:
        axes = _CHANNELS.get(type(layer.operator))
        return [(layer.kernel, WeightsQuantizer(axes))] if axes else []

    def set_quantize_weights(self, layer: OperatorLayer, quantize_weights: list[Any]) -> None:
        if quantize_weights:
            (layer.kernel,) = quantize_weights

    def get_activations_and_quantizers(self, layer: OperatorLayer) -> list[Any]:
        return []

    def set_quantize_activations(self, layer: OperatorLayer, quantize_activations: list[Any]) -> None:
        pass

    def get_output_quantizers(self, layer: OperatorLayer) -> list[Any]:
        return [ActivationsQuantizer()] if self.rounds else []

    def get_config(self) -> dict[str, Any]:
        return {"rounds": self.rounds}


def quantized(operator: Operator, makes: Shape, rounds: bool, name: str) -> Any:
    """The layer of an operator that makes a tensor of the given shape."""
    layer = OperatorLayer(operator, makes, name=name)
    return tfmot.quantization.keras.QuantizeWrapperV2(layer, EightBit(rounds), name=name)


def operators(model: tf_keras.Model) -> list[tuple[Any, Operator]]:
    """The layers of a model that compute an operator, and which one."""
    inner = ((layer, getattr(layer, "layer", layer)) for layer in model.layers)
    return [(layer, own.operator) for layer, own in inner if isinstance(own, OperatorLayer)]


def is_complete(model: tf_keras.Model) -> bool:
    """Whether a model consists of quantised operators."""
    plain = (tf_keras.layers.InputLayer, tf_keras.layers.Reshape)
    return len(operators(model)) == sum(not isinstance(layer, plain) for layer in model.layers)


def unseen(model: tf_keras.Model) -> list[str]:
    """The names of the layers whose output has no range yet."""
    ranges = {weight.name: weight for weight in model.non_trainable_weights}
    lows = [name for name in ranges if name.endswith("/output_min:0")]
    return [n.split("/")[0] for n in lows if float(ranges[n]) == float(ranges[n.replace("output_min", "output_max")])]
