"""The operators of a network, by their names in the TFLite schema, and the tensors that they read and make."""

from __future__ import annotations

from dataclasses import dataclass, field

from .sizes import Scalar, is_number, product

BYTES = {
    **dict.fromkeys(("int8", "uint8", "bool"), 1),
    **dict.fromkeys(("int16", "uint16", "float16"), 2),
    **dict.fromkeys(("int32", "uint32", "float32"), 4),
    **dict.fromkeys(("int64", "uint64", "float64", "complex64"), 8),
    "complex128": 16,
}
"""Of a number, by its type: those that TFLite-Micro has a size for, but types below a byte."""
BIAS = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "TRANSPOSE_CONV": 3, "FULLY_CONNECTED": 2}
"""The operators with weights, which are their input 1, and where their bias is."""
SOURCE = {"TRANSPOSE_CONV": 2, "GATHER": 1}
"""The operators that do not work on their input 0, and which one they work on."""


@dataclass(frozen=True)
class Tensor:
    """A tensor: an activation, or a constant."""

    shape: tuple[Scalar, ...]
    dtype: str = "int8"
    constant: bool = False
    channels: Scalar = 0
    """The number of its quantisation scales; 0 without quantisation."""
    variable: bool = False
    """Whether it is a state, which is kept from one inference to the next."""
    centred: bool = False
    """Whether its zero point is known to be 0, as that of a TANH: some kernels are faster then."""
    content: tuple[Scalar, ...] = ()
    """What a constant holds, where that may turn out to be what another one of this shape does: equal ones are one."""
    lowest: Scalar = field(default=0, compare=False)
    """1 if its zero point is known to be the smallest integer, as behind a ReLU."""

    @property
    def elements(self) -> Scalar:
        """The number of its elements."""
        return product(self.shape)

    @property
    def bytes(self) -> Scalar:
        """Its size in bytes; 0 for types that TFLite-Micro has no size for."""
        return self.elements * BYTES.get(self.dtype, 0)


@dataclass(frozen=True)
class Operator:
    """An operator by its name in the TFLite schema, and the numbers of its tensors; -1 stands for an absent input.

    Pairs are (height, width); `window` is that of a pooling.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    stride: tuple[Scalar, Scalar] = (1, 1)
    dilation: tuple[Scalar, Scalar] = (1, 1)
    window: tuple[Scalar, Scalar] = (1, 1)
    multiplier: int = 1
    """Output channels for each input channel of a depthwise convolution."""
    padding: str = "valid"
    activation: str = "none"
    axis: int | None = None
    """Along which a CONCATENATION or SPLIT works; None where it does not say."""
    permutation: tuple[int, ...] = ()
    """Of a TRANSPOSE: for each axis of the result, that of the input."""
    strides: tuple[int, ...] = ()
    """Of a STRIDED_SLICE: the step along each axis."""
    transposed: tuple[bool, bool] = (False, False)
    """Which operands of a BATCH_MATMUL are transposed first."""
    half_pixel: bool = False
    """Whether a RESIZE_NEAREST_NEIGHBOR or RESIZE_BILINEAR measures from the middle of pixels."""
    rank: int = 1
    """Filters for each unit of an SVDF."""
    amounts: tuple[tuple[Scalar, Scalar], ...] = field(default=(), compare=False)
    """What a PAD adds before and behind, for each axis."""
    begin: tuple[int, ...] = field(default=(), compare=False)
    """Of a SLICE or STRIDED_SLICE: the first position along each axis."""
    axes: tuple[int, ...] = field(default=(), compare=False)
    """Along which a reduction works."""
    ahead: Scalar | None = field(default=None, compare=False)
    """Of a convolution that adds its zeros itself along time, as a causal one: how many steps it looks ahead."""
    behind: Scalar = field(default=0, compare=False)
    """Of one that does not look at the newest step: how many steps its last tap stays behind."""
    zeros: Scalar = field(default=0, compare=False)
    """The zeros that it adds in front of the first step."""
    cycles: int = 1
    """A CIRCULAR_BUFFER ends the run in all but every so many steps."""
    layer: str = field(default="", compare=False)
    """The layer that it comes from, where that is known; it makes no difference."""
    presence: Scalar = 1
    """0 where the masks of a search leave it nothing to do, as a PAD without zeros; what it costs counts so often."""

    @property
    def is_dilated(self) -> bool:
        """Whether its kernel has holes; only a form that has some has a soft dilation."""
        return any(not is_number(step) or step > 1 for step in self.dilation)
