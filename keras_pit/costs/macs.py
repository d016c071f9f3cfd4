"""Multiply-accumulates of one inference of one sample; taps on padding count, biases do not."""

from .geometry import Geometry, Scalar
from .registry import register


@register("macs")
def macs(stage: Geometry) -> Scalar:
    """Number of multiply-accumulates."""
    return stage.weights * stage.positions
