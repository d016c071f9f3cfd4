"""The search layers, usable by hand in a model that is then passed to `keras_pit.convert`.

    masks      variables that switch channels and taps on and off      -> 0 or 1, with a gradient
    reader     all masks of a model at once, once a step
    wiring     which of them a layer reads                             <- ownership: from channel classes
    layer      what all search layers share; `stock` has one for each Keras layer
    kernels    the stock convolution that computes what a masked kernel does

A search layer takes the arguments of its Keras layer, and computes what that would without what is switched off. Open
`masks` first, then `layer`.
"""

from .inputs import PITInput
from .layer import PITLayer
from .stock import (
    PITConv1D,
    PITConv1DTranspose,
    PITConv2D,
    PITConv2DTranspose,
    PITDense,
    PITDepthwiseConv1D,
    PITDepthwiseConv2D,
    PITSeparableConv1D,
    PITSeparableConv2D,
)
from .sums import PITAdd

__all__ = [
    "PITAdd",
    "PITConv1D",
    "PITConv1DTranspose",
    "PITConv2D",
    "PITConv2DTranspose",
    "PITDense",
    "PITDepthwiseConv1D",
    "PITDepthwiseConv2D",
    "PITInput",
    "PITLayer",
    "PITSeparableConv1D",
    "PITSeparableConv2D",
]
