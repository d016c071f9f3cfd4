"""The stock convolution that computes what a masked kernel computes: pure arithmetic on taps, no layers.

The taps that stay are evenly spaced. Along the searched axis, the exported layer has those taps only, as a kernel with
a dilation. Where that would shift the output against the input, the input is first padded, cropped or subsampled:

    causal            nothing to do, the last tap stays: Conv1D(padding="causal")
    same              symmetric kernels stay "same"; otherwise explicit zeros on each side and "valid"
    valid             the samples only the cut taps read are cropped off
    strided, dilated  Keras allows no stride together with a dilation; where the dilation is a multiple of the stride,
                      taking every stride-th sample first is the same
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class KernelAxis:
    """The searched axis of a convolution: number of taps, stride, dilation, padding ("causal", "same", "valid")."""

    size: int
    stride: int
    dilation: int
    padding: str


@dataclass(frozen=True)
class ShortKernel:
    """The taps that stay, and the stock layer that has only them.

    Attributes:
        taps: indices of the taps that stay, evenly spaced.
        axis: the layer they are cut from.
        same: whether padding="same" of the new layer aligns by itself.
    """

    taps: tuple[int, ...]
    axis: KernelAxis
    same: bool

    @classmethod
    def of(cls, taps: Iterable[int], axis: KernelAxis, lengths: Iterable[int | None]) -> ShortKernel:
        """Find the stock layer.

        Args:
            taps: indices of the taps that stay, evenly spaced.
            axis: of the whole layer.
            lengths: the length of the input in each call of the layer; None if open (not for strided "same").
        """
        taps = tuple(int(tap) for tap in taps)
        explicit = cls(taps, axis, same=False)
        if axis.padding != "same" or explicit.subsample > 1:
            return explicit
        stock = all(explicit.margins(length) == same_padding(length, explicit.span, axis.stride) for length in lengths)
        return cls(taps, axis, same=stock)

    @property
    def spacing(self) -> int:
        """Samples between neighbouring taps."""
        return (self.taps[1] - self.taps[0]) * self.axis.dilation if len(self.taps) > 1 else 1

    @property
    def span(self) -> int:
        """Samples from the first tap to the last."""
        return (len(self.taps) - 1) * self.spacing + 1

    @property
    def subsample(self) -> int:
        """Take every so many-th sample of the (padded or cropped) input before the new layer."""
        return self.axis.stride if self.spacing > 1 else 1

    @property
    def dilation(self) -> int:
        """Of the new layer."""
        return self.spacing // self.subsample

    @property
    def stride(self) -> int:
        """Of the new layer."""
        return self.axis.stride // self.subsample

    @property
    def padding(self) -> str:
        """Of the new layer."""
        if self.axis.padding == "causal" or self.same:
            return self.axis.padding
        return "valid"

    def margins(self, length: Any) -> tuple[int, int]:
        """Zeros to add before and after an input of this length (None: open); negative: samples to crop."""
        axis = self.axis
        if axis.padding == "causal" or self.same:
            return 0, 0
        start = self.taps[0] * axis.dilation
        if axis.padding == "valid":
            return -start, -(axis.size - 1 - self.taps[-1]) * axis.dilation
        whole = (axis.size - 1) * axis.dilation + 1
        before = same_padding(length, whole, axis.stride)[0] - start
        if axis.stride == 1:
            return before, self.span - 1 - before
        # Any number of samples that a stride leaves over at the end does no harm: crop none of those.
        missing = (-(-length // axis.stride) - 1) * axis.stride + self.span - length - before
        return before, 0 if -axis.stride < missing < 0 else missing


def same_padding(length: Any, span: int, stride: int) -> tuple[int, int]:
    """The zeros that padding="same" adds before and after an input of this length (None: open; stride 1 only)."""
    if stride == 1:
        total = span - 1
    else:
        total = max((-(-length // stride) - 1) * stride + span - length, 0)
    return total // 2, total - total // 2
