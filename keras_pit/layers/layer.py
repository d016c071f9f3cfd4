"""What all search layers share: the mask variables they own, the masks they read, what they cost.

A search layer owns up to three mask variables: `alpha` over the channels it makes, `beta` (receptive field) and
`gamma` (dilation) over the taps of its kernel (see `masks`); an addition owns `delta` over its branches. These act
where they live. A channel's mask acts where the channel is *read*: on the input axis of the kernels of the layers that
follow. So batch norm, bias and activations in between need no care. Which masks a layer reads is told by its `wiring`,
set by `convert`; a search layer without wiring is its Keras base class plus kernel masks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any, ClassVar

import keras
import numpy as np
from keras import layers, ops

from .. import checks
from ..costs import geometry
from . import masks
from .reader import Reader
from .wiring import Wiring

SEARCHES = ("channels", "kernel", "dilation", "kernel_2d", "inputs", "branches")
"""What can be searched. "kernel_2d" extends the two before it to Conv2D kernels of shape (K, 1) and (1, K); "inputs"
are channels of the model's inputs, "branches" what additions add to a shortcut."""


def check_search(search: Any, name: str, least: int = 1) -> tuple[str, ...]:
    """What is searched, in the order of `SEARCHES`.

    Args:
        search: one of `SEARCHES`, or several.
        name: what the argument is called.
        least: how many there must be.

    Raises:
        TypeError: if it is neither a name nor a list of names.
        ValueError: if a name is unknown, or there are too few.
    """
    expected = f"some of {', '.join(map(repr, SEARCHES))}"
    names = (search,) if isinstance(search, str) else checks.listed(search, name, expected)
    for one in names:
        if not isinstance(one, str):
            raise checks.wrong_type(f"Each of {name}", expected, one)
    if set(names) - set(SEARCHES) or len(names) < least:
        raise ValueError(f"{name} must be {expected}, received {checks.shown(search)}.")
    return tuple(one for one in SEARCHES if one in names)


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
    delta: Any = None
    kernel_mask: Any = None
    blocks: Any = None
    wiring: Wiring | None = None

    def __init__(self, *args: Any, search: Iterable[str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.search = self.searches if search is None else check_search(search, f"`search` of layer '{self.name}'", 0)

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
        # A depthwise kernel with stride and dilation would take an operator more, that takes samples out.
        is_apart = stride > 1 and (hasattr(self, "depth_multiplier") or getattr(self, "groups", 1) > 1)
        dilate = max(others, default=1) == 1 and not is_apart
        anchor = "centre" if self.padding == "same" else "last"
        return masks.KernelMask.of(self.kernel_size[axis], anchor, stride, dilate=dilate)

    # -- masks ------------------------------------------------------------------------------------------------------

    @property
    def mask_variables(self) -> list[keras.Variable]:
        """The mask variables this layer owns."""
        return [each for each in (self.alpha, self.beta, self.gamma, self.delta) if each is not None]

    @property
    def searches_taps(self) -> bool:
        """Whether the taps of the kernel have masks."""
        return self.beta is not None or self.gamma is not None

    def check_masks(self) -> None:
        """Check the values of the mask variables.

        Raises:
            ValueError: if one is NaN or infinite.
        """
        for name in ("alpha", "beta", "gamma", "delta"):
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
