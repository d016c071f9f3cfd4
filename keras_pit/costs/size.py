"""Parameters of the convolutions and Dense layers, biases included: what Keras' `count_params` counts."""

from .geometry import Geometry, Scalar
from .registry import register


@register("size")
def size(stage: Geometry) -> Scalar:
    """Number of parameters."""
    return stage.weights + stage.outputs if stage.use_bias else stage.weights
