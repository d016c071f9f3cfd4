"""The search layers, usable by hand in a model that is then passed to `keras_pit.convert`."""

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

__all__ = [
    "PITConv1D",
    "PITConv1DTranspose",
    "PITConv2D",
    "PITConv2DTranspose",
    "PITDense",
    "PITDepthwiseConv1D",
    "PITDepthwiseConv2D",
    "PITLayer",
    "PITSeparableConv1D",
    "PITSeparableConv2D",
]
