"""The search layers: the Keras layers with masks, thin subclasses.

A search layer owns up to three mask variables: `alpha` over the channels it makes, `beta` (receptive field) and
`gamma` (dilation) over the taps of its kernel (see `masks`). The kernel masks act where they live. A channel's mask
acts where the channel is *read*: on the input axis of the kernels of the layers that follow. So batch norm, bias and
activations in between need no care. Which masks a layer reads is told by its `wiring`, set by `convert`; a search layer
without wiring is its Keras base class plus kernel masks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar

import keras
import numpy as np
from keras import layers, ops

from ..costs import geometry
from . import masks
from .reader import Reader

SEARCHES = ("channels", "kernel", "dilation", "kernel_2d")
"""What can be searched; "kernel_2d" extends the other two to Conv2D kernels of shape (K, 1) and (1, K)."""


@dataclass(frozen=True, eq=False)
class ChannelMasks:
    """The masks of some channels: positions `index` in `[1, *owners[0].alpha, *owners[1].alpha, ...]`."""

    owners: tuple[PITLayer, ...]
    index: np.ndarray

    def soft(self, reader: Reader) -> Any:
        """The mask, shape (channels,), float32; for channels some of which can go."""
        parts = [reader.channels(owner) for owner in self.owners]
        if np.array_equal(self.index, np.arange(1, self._size + 1)):
            return parts[0] if len(parts) == 1 else ops.concatenate(parts)
        return ops.take(ops.concatenate([reader.on, *parts]), self.index)

    def count(self, reader: Reader) -> Any:
        """The number of channels that stay, with gradient."""
        times = np.bincount(self.index, minlength=1 + self._size).astype("float32")
        total: Any = float(times[0])
        start = 1
        for owner in self.owners:
            end = start + len(owner.blocks.group_of)
            first = float(times[start])
            if (times[start:end] == first).all():
                count = reader.count_channels(owner)
                total = total + (count if first == 1 else first * count)
            else:
                total = total + ops.sum(reader.channels(owner) * times[start:end])
            start = end
        return total

    @property
    def _size(self) -> int:
        return sum(len(owner.blocks.group_of) for owner in self.owners)

    def kept(self) -> np.ndarray:
        """Which channels stay, boolean."""
        states = [owner.kept_blocks() for owner in self.owners]
        return np.concatenate([[True], *states])[self.index]


@dataclass(frozen=True, eq=False)
class Wiring:
    """The masks a layer reads, by role (see `rules`), and where it is called."""

    roles: dict[str, ChannelMasks]
    sites: tuple[Any, ...]


class PITLayer(layers.Layer):
    """What the search layers share; comes before the Keras layer among the bases.

    Args:
        search: what is searched, out of "channels", "kernel", "dilation" (and "kernel_2d", see `SEARCHES`).
    """

    stock: ClassVar[type[layers.Layer]]
    """The Keras layer that this is the search layer of."""
    costs: ClassVar[Callable[..., tuple[geometry.Geometry, ...]]]
    """The stages that costs see (see `costs.geometry`)."""
    searches: ClassVar[tuple[str, ...]] = ("channels",)
    """What this kind of layer searches if nothing else is said."""
    masks_taps: ClassVar[bool] = False
    """Whether this kind of layer can search its kernel, by itself or with "kernel_2d"."""

    # Each is None where there is nothing of the kind to search; `own`, `build` and `convert` set them.
    alpha: Any = None
    beta: Any = None
    gamma: Any = None
    kernel_mask: Any = None
    blocks: Any = None
    wiring: Wiring | None = None

    def __init__(self, *args: Any, search: Iterable[str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        search = self.searches if search is None else tuple(search)
        unknown = set(search) - set(SEARCHES)
        if unknown:
            raise ValueError(
                f"Layer '{self.name}': search has {sorted(unknown)}, expected some of {', '.join(SEARCHES)}."
            )
        self.search = search

    def own(self, sizes: Sequence[int], block: int) -> None:
        """Before `build`: make an alpha for groups of so many channels, in blocks of so many."""
        self.blocks = masks.Blocks.of(sizes, block) if sizes else None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        if self.blocks is not None:
            self.alpha = self._mask_variable("alpha", len(self.blocks.group_of))
        self.kernel_mask = self._kernel_mask(input_shape)
        if self.kernel_mask is not None:
            if "kernel" in self.search:
                self.beta = self._mask_variable("beta", max(self.kernel_mask.lags) + 1)
            if "dilation" in self.search and len(self.kernel_mask.steps) > 1:
                self.gamma = self._mask_variable("gamma", len(self.kernel_mask.steps))

    def _mask_variable(self, name: str, size: int) -> keras.Variable:
        return self.add_weight(
            name=name,
            shape=(size,),
            initializer=keras.initializers.Constant(masks.THRESHOLD + masks.MARGIN),
            constraint=masks.NearThreshold(),
            dtype="float32",
            autocast=False,
        )

    @property
    def kernel_axis(self) -> Any:
        """The spatial axis whose taps are searched, None if none is."""
        size = getattr(self, "kernel_size", ())
        long = [axis for axis, taps in enumerate(size) if taps > 1]
        allowed = self.masks_taps and (len(size) == 1 or "kernel_2d" in self.search)
        return long[0] if allowed and len(long) == 1 else None

    def _kernel_mask(self, input_shape: tuple[int | None, ...]) -> masks.KernelMask | None:
        axis = self.kernel_axis
        if axis is None or not {"kernel", "dilation"} & set(self.search):
            return None
        stride, dilation, length = self.strides[axis], self.dilation_rate[axis], input_shape[1 + axis]
        open_same = self.padding == "same" and length is None
        if self.data_format == "channels_first" or (stride > 1 and (dilation > 1 or open_same)):
            return None
        others = [s for other, s in enumerate(self.strides) if other != axis]
        anchor = "centre" if self.padding == "same" else "last"
        return masks.KernelMask.of(self.kernel_size[axis], anchor, stride, dilate=max(others, default=1) == 1)

    # -- masks ------------------------------------------------------------------------------------------------------

    @property
    def mask_variables(self) -> list[keras.Variable]:
        """The mask variables this layer owns."""
        return [variable for variable in (self.alpha, self.beta, self.gamma) if variable is not None]

    @property
    def searches_taps(self) -> bool:
        """Whether the taps of the kernel have masks."""
        return self.beta is not None or self.gamma is not None

    def check_masks(self) -> None:
        """Check the values of the mask variables.

        Raises:
            ValueError: if one is NaN or infinite.
        """
        for name in ("alpha", "beta", "gamma"):
            self._values(name)

    def kept_blocks(self) -> np.ndarray:
        """Which blocks of channels stay, by the entries of alpha."""
        return masks.kept_blocks(self._values("alpha"), self.blocks)

    def kept_channels(self) -> np.ndarray:
        """Which of the channels that alpha stands for stay."""
        return self.kept_blocks()[self.blocks.entry_of]

    def kept_taps(self) -> np.ndarray:
        """The indices of the kernel's taps that stay, along the searched axis."""
        return self.kernel_mask.taps(self._values("beta"), self._values("gamma"))

    def kernel_state(self) -> tuple[int, int]:
        """The longest lag that stays and the dilation, in units of the layer's own taps."""
        return self.kernel_mask.state(self._values("beta"), self._values("gamma"))

    def _values(self, name: str) -> Any:
        variable = getattr(self, name)
        if variable is None:
            return None
        return masks.check_finite(ops.convert_to_numpy(variable), self.name, name)

    def mask_kernel(self, kernel: Any, role: str | None = "in", axis: int = -2) -> Any:
        """A kernel without the taps and the input channels that are switched off."""
        kernel = ops.convert_to_tensor(kernel)
        read = self.wiring.roles.get(role) if self.wiring is not None and role is not None else None
        owners = read.owners if read is not None else ()
        reader = Reader.of(self, owners)
        factors = []
        if read is not None and owners:
            factors.append(ops.reshape(read.soft(reader), (-1,) + (1,) * (-1 - axis)))
        if self.searches_taps:
            shape = [1] * len(kernel.shape)
            shape[self.kernel_axis] = -1
            factors.append(ops.reshape(reader.taps(self), shape))
        # The factors first: they are small.
        return kernel * ops.cast(reduce(ops.multiply, factors), kernel.dtype) if factors else kernel

    # -- cost -------------------------------------------------------------------------------------------------------

    def stages(self, reader: Reader | None = None) -> tuple[geometry.Geometry, ...]:
        """The layer as the costs see it, without what is switched off.

        Args:
            reader: to read soft masks; None for whole numbers.

        Raises:
            ValueError: if the layer is not wired, or (whole numbers) a mask variable is not finite.
        """
        if self.wiring is None:
            raise ValueError(
                f"Search layer '{self.name}' does not know who reads its channels: pass the model through "
                "keras_pit.convert(model) and train what it returns."
            )
        read, out = self.wiring.roles["read"], self.wiring.roles["out"]
        taps: Any = math.prod(getattr(self, "kernel_size", ()))
        if reader is None:
            taps = len(self.kept_taps()) if self.searches_taps else taps
            counts = geometry.Counts(int(read.kept().sum()), int(out.kept().sum()), taps)
        else:
            taps = reader.count_taps(self) if self.searches_taps else float(taps)
            counts = geometry.Counts(read.count(reader), out.count(reader), taps)
        return type(self).costs(self, counts, self.wiring.sites)

    def finish(self, outputs: Any) -> Any:
        """Bias and activation."""
        if self.bias is not None:
            shape = (-1,)
            if getattr(self, "data_format", "channels_last") == "channels_first":
                shape = (-1,) + (1,) * self.rank
            outputs = outputs + ops.reshape(self.bias, shape)
        return outputs if self.activation is None else self.activation(outputs)

    # -- saving -----------------------------------------------------------------------------------------------------

    def save_own_variables(self, store: Any) -> None:
        # The Keras layers save their kernel and bias by name; the masks must come along.
        layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store: Any) -> None:
        layers.Layer.load_own_variables(self, store)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "search": self.search}


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


class _ConvTranspose(PITLayer):
    costs = staticmethod(geometry.conv_transpose)

    def call(self, inputs: Any) -> Any:
        outputs = ops.conv_transpose(
            inputs,
            self.mask_kernel(self.kernel, axis=-1),
            strides=list(self.strides),
            padding=self.padding,
            output_padding=self.output_padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )
        return self.finish(outputs)


@keras.saving.register_keras_serializable(package="keras_pit")
class PITConv1DTranspose(_ConvTranspose, layers.Conv1DTranspose):
    """Conv1DTranspose whose output channels are searched."""

    stock = layers.Conv1DTranspose


@keras.saving.register_keras_serializable(package="keras_pit")
class PITConv2DTranspose(_ConvTranspose, layers.Conv2DTranspose):
    """Conv2DTranspose whose output channels are searched."""

    stock = layers.Conv2DTranspose


class _DepthwiseConv(PITLayer):
    masks_taps = True
    costs = staticmethod(geometry.depthwise)
    searches: ClassVar[tuple[str, ...]] = ()

    def call(self, inputs: Any) -> Any:
        # The input channels go through one by one, so they are cut by whoever mixes them.
        outputs = ops.depthwise_conv(
            inputs,
            self.mask_kernel(self.kernel, role=None),
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )
        return self.finish(outputs)


@keras.saving.register_keras_serializable(package="keras_pit")
class PITDepthwiseConv1D(_DepthwiseConv, layers.DepthwiseConv1D):
    """DepthwiseConv1D whose receptive field and dilation are searched."""

    stock = layers.DepthwiseConv1D
    searches = ("kernel", "dilation")


@keras.saving.register_keras_serializable(package="keras_pit")
class PITDepthwiseConv2D(_DepthwiseConv, layers.DepthwiseConv2D):
    """DepthwiseConv2D, costed by the channels that stay; with "kernel_2d" (K, 1) and (1, K) kernels are searched."""

    stock = layers.DepthwiseConv2D


class _SeparableConv(PITLayer):
    costs = staticmethod(geometry.separable)

    def call(self, inputs: Any) -> Any:
        outputs = ops.separable_conv(
            inputs,
            self.depthwise_kernel,
            self.mask_kernel(self.pointwise_kernel, role="mid"),
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )
        return self.finish(outputs)


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
