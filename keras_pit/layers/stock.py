"""The search layers: the Keras layers with masks, thin subclasses."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import layers, ops

from ..costs import geometry
from ..graph.kinds import kind_of
from .layer import PITLayer


def _convolve(layer: Any, inputs: Any, kernel: Any) -> Any:
    padding = layer.padding
    if padding == "causal":
        widths = [[0, 0], [layer.dilation_rate[0] * (layer.kernel_size[0] - 1), 0]]
        widths.insert(1 if layer.data_format == "channels_first" else 2, [0, 0])
        inputs, padding = ops.pad(inputs, widths), "valid"
    return ops.conv(
        inputs,
        kernel,
        strides=list(layer.strides),
        padding=padding,
        dilation_rate=layer.dilation_rate,
        data_format=layer.data_format,
    )


class _Windowed(PITLayer):
    """What slides a window over its input."""

    @property
    def window(self) -> dict[str, Any]:
        """How it does, by the arguments of `keras.ops`."""
        return {
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "data_format": self.data_format,
        }


class _Conv(PITLayer):
    masks_taps = True
    costs = staticmethod(geometry.conv)

    def call(self, inputs: Any) -> Any:
        return self.finish(_convolve(self, inputs, self.mask_kernel(self.kernel)))


@keras.saving.register_keras_serializable(package="keras_pit")
class PITConv1D(_Conv, layers.Conv1D):
    """Conv1D whose output channels, receptive field and dilation are searched (PIT, arXiv 2203.14768)."""

    stock = layers.Conv1D
    searches = ("channels", "kernel", "dilation")


@keras.saving.register_keras_serializable(package="keras_pit")
class PITConv2D(_Conv, layers.Conv2D):
    """Conv2D whose output channels are searched; with "kernel_2d" also the taps of (K, 1) and (1, K) kernels."""

    stock = layers.Conv2D


class _ConvTranspose(_Windowed):
    costs = staticmethod(geometry.conv_transpose)

    def call(self, inputs: Any) -> Any:
        kernel, window = self.mask_kernel(self.kernel, axis=-1), self.window | {"strides": list(self.strides)}
        return self.finish(ops.conv_transpose(inputs, kernel, output_padding=self.output_padding, **window))


@keras.saving.register_keras_serializable(package="keras_pit")
class PITConv1DTranspose(_ConvTranspose, layers.Conv1DTranspose):
    """Conv1DTranspose whose output channels are searched."""

    stock = layers.Conv1DTranspose


@keras.saving.register_keras_serializable(package="keras_pit")
class PITConv2DTranspose(_ConvTranspose, layers.Conv2DTranspose):
    """Conv2DTranspose whose output channels are searched."""

    stock = layers.Conv2DTranspose


class _DepthwiseConv(_Windowed):
    masks_taps = True
    costs = staticmethod(geometry.depthwise)
    searches: ClassVar[tuple[str, ...]] = ()

    def call(self, inputs: Any) -> Any:
        # The input channels go through one by one, so they are cut by whoever mixes them.
        return self.finish(ops.depthwise_conv(inputs, self.mask_kernel(self.kernel, role=None), **self.window))


@keras.saving.register_keras_serializable(package="keras_pit")
class PITDepthwiseConv1D(_DepthwiseConv, layers.DepthwiseConv1D):
    """DepthwiseConv1D whose receptive field and dilation are searched."""

    stock = layers.DepthwiseConv1D
    searches = ("kernel", "dilation")


@keras.saving.register_keras_serializable(package="keras_pit")
class PITDepthwiseConv2D(_DepthwiseConv, layers.DepthwiseConv2D):
    """DepthwiseConv2D, costed by the channels that stay; with "kernel_2d" (K, 1) and (1, K) kernels are searched."""

    stock = layers.DepthwiseConv2D


class _SeparableConv(_Windowed):
    costs = staticmethod(geometry.separable)

    def call(self, inputs: Any) -> Any:
        pointwise = self.mask_kernel(self.pointwise_kernel, role="mid")
        return self.finish(ops.separable_conv(inputs, self.depthwise_kernel, pointwise, **self.window))


@keras.saving.register_keras_serializable(package="keras_pit")
class PITSeparableConv1D(_SeparableConv, layers.SeparableConv1D):
    """SeparableConv1D whose output channels are searched."""

    stock = layers.SeparableConv1D


@keras.saving.register_keras_serializable(package="keras_pit")
class PITSeparableConv2D(_SeparableConv, layers.SeparableConv2D):
    """SeparableConv2D whose output channels are searched."""

    stock = layers.SeparableConv2D


@keras.saving.register_keras_serializable(package="keras_pit")
class PITDense(PITLayer, layers.Dense):
    """Dense whose output channels are searched."""

    stock = layers.Dense
    costs = staticmethod(geometry.dense)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.finish(ops.matmul(inputs, self.mask_kernel(self.kernel)))


_KINDS = (
    PITConv1D,
    PITConv2D,
    PITConv1DTranspose,
    PITConv2DTranspose,
    PITDepthwiseConv1D,
    PITDepthwiseConv2D,
    PITSeparableConv1D,
    PITSeparableConv2D,
    PITDense,
)
SEARCH_LAYERS: dict[type[layers.Layer], type[PITLayer]] = {kind.stock: kind for kind in _KINDS}
"""The search layer that takes the place of each stock layer."""


def search_layer(layer: Any) -> type[PITLayer] | None:
    """The kind of search layer for a stock layer, or for a search layer placed by hand; None if there is none."""
    return SEARCH_LAYERS.get(kind_of(layer))
