"""What is known about each kind of layer and operation: one row each.

Support for one more layer is one more row: how channel ids pass through it (`passes`), which role the axes of its
weights have (`weights`), which argument holds its number of output channels (`width`) and what it costs (`geometry`).
What has no row is frozen. Rows are looked up by kind (see `kinds`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from keras import layers

from ..costs import geometry
from . import _keras, rules, training
from .kinds import kind_of


@dataclass(frozen=True)
class Row:
    """What is known about one kind of layer."""

    passes: rules.Rule
    weights: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    """For each weight, the role that each of its axes has (roles: see `rules`)."""
    width: str | None = None
    geometry: Callable[..., tuple[geometry.Geometry, ...]] | None = None


_CONV = {"kernel": {-2: "in", -1: "out"}, "bias": {0: "out"}}
_TRANSPOSE = {"kernel": {-1: "in", -2: "out"}, "bias": {0: "out"}}
_DEPTHWISE = {"kernel": {-2: "in"}, "bias": {0: "out"}}
_SEPARABLE = {
    "depthwise_kernel": {-2: "in"},
    "pointwise_kernel": {-2: "mid", -1: "out"},
    "bias": {0: "out"},
}
_BATCH_NORM = {name: {0: "read"} for name in ("gamma", "beta", "moving_mean", "moving_variance")}

LAYERS: dict[type, Row] = {
    layers.Dense: Row(rules.dense, _CONV, "units", geometry.dense),
    layers.Conv1D: Row(rules.conv, _CONV, "filters", geometry.conv),
    layers.Conv2D: Row(rules.conv, _CONV, "filters", geometry.conv),
    layers.Conv3D: Row(rules.freezes, geometry=geometry.conv),
    layers.Conv1DTranspose: Row(rules.conv, _TRANSPOSE, "filters", geometry.conv_transpose),
    layers.Conv2DTranspose: Row(rules.conv, _TRANSPOSE, "filters", geometry.conv_transpose),
    layers.Conv3DTranspose: Row(rules.freezes, geometry=geometry.conv_transpose),
    layers.DepthwiseConv1D: Row(rules.depthwise, _DEPTHWISE, None, geometry.depthwise),
    layers.DepthwiseConv2D: Row(rules.depthwise, _DEPTHWISE, None, geometry.depthwise),
    layers.SeparableConv1D: Row(rules.separable, _SEPARABLE, "filters", geometry.separable),
    layers.SeparableConv2D: Row(rules.separable, _SEPARABLE, "filters", geometry.separable),
    layers.BatchNormalization: Row(rules.batch_norm, _BATCH_NORM),
    layers.PReLU: Row(rules.prelu, {"alpha": {-1: "read"}}),
    layers.Activation: Row(rules.activation),
    layers.Softmax: Row(rules.softmax),
    layers.Rescaling: Row(rules.rescaling),
    layers.Concatenate: Row(rules.concatenates),
    layers.Reshape: Row(rules.moves_fixed),
}

for _rule, _kinds in {
    rules.follows: (layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Identity, *training.ELEMENTWISE),
    rules.follows_space: (
        *training.BY_CHANNEL, layers.MaxPooling1D, layers.MaxPooling2D,
        layers.AveragePooling1D, layers.AveragePooling2D, layers.ZeroPadding1D, layers.ZeroPadding2D,
        layers.Cropping1D, layers.Cropping2D, layers.UpSampling1D, layers.UpSampling2D, layers.Resizing,
    ),
    rules.pools_globally: (
        layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D,
        layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D,
    ),
    rules.merges: (
        layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum,
    ),
    rules.moves: (layers.Flatten, layers.Permute, layers.RepeatVector),
}.items():  # fmt: skip
    LAYERS.update((_kind, Row(_rule)) for _kind in _kinds)

OPERATIONS: dict[str, rules.Rule] = {"Softmax": rules.softmax, "LogSoftmax": rules.softmax}
"""Plain operations of `keras.ops`, by the name of their class."""

for _rule, _names in {
    rules.follows: "Relu Relu6 Sigmoid Softplus Softsign Silu LogSigmoid LeakyRelu HardSigmoid HardSilu Elu Selu Gelu "
    "Celu TanhShrink HardTanh HardShrink SoftShrink SparsePlus SparseSigmoid Squareplus Threshold Tanh Absolute Abs "
    "Negative Square Sqrt Rsqrt Exp Expm1 Log Log1p Sin Cos Sinh Cosh Arctan Erf Sign Floor Ceil Round Trunc Clip "
    "Reciprocal Cast StopGradient NanToNum Copy",
    rules.merges: "Add Subtract Multiply Divide TrueDivide Maximum Minimum Power",
    rules.moves: "Flip Transpose Squeeze ExpandDims Stack Swapaxes Moveaxis",
    rules.repeats: "Repeat",
    rules.pads: "Pad",
    rules.moves_fixed: "Reshape GetItem Split",
    rules.concatenates: "Concatenate",
    rules.reduces: "Mean Max Min Sum Amax Amin Var Std",
    rules.follows_space: "MaxPool AveragePool Resize",
}.items():
    OPERATIONS.update((_name, _rule) for _name in _names.split())


def row(operation: Any) -> Row | None:
    """The row of a layer or operation, None if nothing is known about it."""
    known = LAYERS.get(kind_of(operation))
    if known is not None:
        return known
    rule = OPERATIONS.get(_keras.op_name(operation) or "")
    return Row(rule) if rule else None


def cost_row(operation: Any) -> Row | None:
    """As `row`, for the cost: subclasses and wrappers (TimeDistributed) cost what they extend or wrap."""
    for kind in type(unwrapped(operation)).__mro__:
        known = LAYERS.get(kind)
        if known is not None and known.geometry is not None:
            return known
    return None


def unwrapped(operation: Any) -> Any:
    """The layer inside of a wrapper, or the operation itself."""
    while isinstance(operation, layers.Wrapper):
        operation = operation.layer
    return operation


def plain_stages(layer: Any, sites: tuple[Any, ...]) -> tuple[geometry.Geometry, ...]:
    """The stages of a whole layer, as the costs see them; none for kinds that cost nothing."""
    known, inner = cost_row(layer), unwrapped(layer)
    if known is None or known.geometry is None:
        return ()
    return known.geometry(inner, geometry.of_layer(inner), sites)
