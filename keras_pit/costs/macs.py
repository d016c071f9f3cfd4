"""Multiply-accumulates of one inference of one sample; biases and padding positions as everyone counts them:
biases not, positions in the padding like any other."""

from .geometry import Geometry, Scalar
from .registry import register


@register("macs")
def macs(stage: Geometry) -> Scalar:
    """Number of multiply-accumulates."""
    return stage.weights * stage.positions
