"""What a cost needs to know of a layer: numbers of channels, taps and positions.

Every convolution and Dense layer is one or two *stages* in which each output channel is a weighted sum of `fan_in`
channels over `taps` kernel positions:

    Conv (3, 3), 16 -> 32 channels, output 8 x 8     fan_in 16, taps 9, outputs 32, positions 64
    DepthwiseConv, the same                          fan_in 1, taps 9, outputs 16, positions 64
    SeparableConv                                    a depthwise and a pointwise stage

The numbers of channels and taps may be soft: float tensors that carry the gradient of the masks. So a cost computes
with them, and chooses between them by `where`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import OpenLength

Scalar = Any
"""An int, or a scalar tensor."""


@dataclass(frozen=True)
class Site:
    """One call of a layer: the shapes of its input and output, without batch and channels (None: open)."""

    input_shape: tuple[int | None, ...]
    output_shape: tuple[int | None, ...]


def space(layer: Any, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """The axes of time or space of a tensor that a layer reads or makes."""
    if getattr(layer, "data_format", "channels_last") == "channels_first":
        return tuple(shape[2:])
    return tuple(shape[1:-1])


@dataclass(frozen=True)
class Geometry:
    """One stage of a layer."""

    layer: str
    """Name of the layer."""
    kind: str
    """"conv" (also grouped), "depthwise", "transposed", "dense", or "other" for parameters that are in no such stage,
    as those of an embedding (`weights` is their number); a search does not change it."""
    inputs: Scalar
    """Channels read."""
    outputs: Scalar
    """Channels made."""
    fan_in: Scalar
    """Channels that each output channel reads."""
    taps: Scalar
    """Positions of the kernel, all its axes together."""
    use_bias: bool
    sites: tuple[Site, ...]
    """Shapes of each call of the layer."""

    @property
    def pointwise(self) -> Any:
        """Whether the kernel has one tap only (a tensor while that is being searched; see `where`)."""
        return self.taps == 1

    @property
    def weights(self) -> Scalar:
        """Entries of the kernel."""
        return self.taps * self.fan_in * self.outputs

    @property
    def parameters(self) -> Scalar:
        """Entries of the kernel and the bias."""
        return self.weights + self.outputs if self.use_bias else self.weights

    @property
    def positions(self) -> int:
        """Positions the kernel is applied at for one sample, all calls of the layer together.

        Raises:
            OpenLength: if a length is open.
        """
        shapes: list[Any] = [
            site.input_shape if self.kind == "transposed" else site.output_shape for site in self.sites
        ]
        if any(None in shape for shape in shapes):
            raise OpenLength(
                f"Layer '{self.layer}' works on shapes {shapes}: its MACs depend on an open length (None). Give the "
                "model's inputs a fixed shape, or use the cost 'size'."
            )
        return sum(math.prod(shape) for shape in shapes)


def where(condition: Any, yes: Scalar, no: Scalar) -> Scalar:
    """`yes` or `no`, for rules that depend on what is searched; takes numbers and tensors.

    Example:

        cost = where(stage.pointwise, macs, 1.5 * macs)
    """
    if isinstance(condition, bool):
        return yes if condition else no
    from keras import ops

    return ops.where(condition, yes, no)


@dataclass(frozen=True)
class Counts:
    """How much of a layer is there (kept): channels in and out, kernel taps."""

    inputs: Scalar
    outputs: Scalar
    taps: Scalar


def of_layer(layer: Any) -> Counts:
    """The counts of a plain, built layer."""
    shape = list((layer.depthwise_kernel if hasattr(layer, "depthwise_kernel") else layer.kernel).shape)
    rank = len(getattr(layer, "kernel_size", ()))
    taps = math.prod(shape[:rank])
    multiplier = getattr(layer, "depth_multiplier", None)
    if multiplier is not None:
        return Counts(shape[-2], getattr(layer, "filters", shape[-2] * multiplier), taps)
    if hasattr(layer, "output_padding"):
        return Counts(shape[-1], shape[-2], taps)
    return Counts(shape[-2] * getattr(layer, "groups", 1), shape[-1], taps)


def dense(layer: Any, counts: Counts, sites: Sequence[Site]) -> tuple[Geometry, ...]:
    """Every output reads every input."""
    return (_stage(layer, "dense", counts.inputs, counts.outputs, counts.inputs, 1, layer.use_bias, sites),)


def conv(layer: Any, counts: Counts, sites: Sequence[Site]) -> tuple[Geometry, ...]:
    """Each output channel reads its group's input channels; with one channel a group, whole groups are cut."""
    one_each = layer.groups > 1 and layer.kernel.shape[-2] == 1
    fan_in = 1 if one_each else counts.inputs if layer.groups == 1 else counts.inputs / layer.groups
    fan_in = fan_in if not isinstance(fan_in, float) else int(fan_in)
    return (_stage(layer, "conv", counts.inputs, counts.outputs, fan_in, counts.taps, layer.use_bias, sites),)


def conv_transpose(layer: Any, counts: Counts, sites: Sequence[Site]) -> tuple[Geometry, ...]:
    """The whole kernel is applied at every position of the input."""
    inputs, outputs, taps = counts.inputs, counts.outputs, counts.taps
    return (_stage(layer, "transposed", inputs, outputs, inputs, taps, layer.use_bias, sites),)


def depthwise(layer: Any, counts: Counts, sites: Sequence[Site]) -> tuple[Geometry, ...]:
    """Each output channel reads one input channel."""
    return (_stage(layer, "depthwise", counts.inputs, counts.outputs, 1, counts.taps, layer.use_bias, sites),)


def separable(layer: Any, counts: Counts, sites: Sequence[Site]) -> tuple[Geometry, ...]:
    """Depthwise, then pointwise."""
    between = counts.inputs * layer.depth_multiplier
    return (
        _stage(layer, "depthwise", counts.inputs, between, 1, counts.taps, False, sites),
        _stage(layer, "conv", between, counts.outputs, between, 1, layer.use_bias, sites),
    )


def matrix(name: str, inputs: int, outputs: int, use_bias: bool, sites: Sequence[Site]) -> tuple[Geometry, ...]:
    """A matrix of weights in a layer of any kind."""
    return (Geometry(name, "dense", inputs, outputs, inputs, 1, use_bias, tuple(sites)),)


def other(name: str, parameters: int) -> tuple[Geometry, ...]:
    """Parameters of a layer of any kind that no multiplications are known of."""
    return (Geometry(name, "other", parameters, 1, parameters, 1, False, ()),) if parameters > 0 else ()


def _stage(
    layer: Any,
    kind: str,
    inputs: Scalar,
    outputs: Scalar,
    fan_in: Scalar,
    taps: Scalar,
    use_bias: bool,
    sites: Sequence[Site],
) -> Geometry:
    return Geometry(layer.name, kind, inputs, outputs, fan_in, taps, use_bias, tuple(sites))
