"""Parameters, biases included: what Keras' `count_params` counts.

But for batch normalization, and what else the neighbours take over or scales their channels: it does not count.
"""

from .geometry import Geometry, Scalar
from .registry import register


@register("size")
def size(stage: Geometry) -> Scalar:
    """Number of parameters."""
    return stage.parameters
