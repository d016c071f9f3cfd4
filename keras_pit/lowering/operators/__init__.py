"""The operators of a lowered network: what each holds, the shape it makes, and its computation in TensorFlow.

Nearly every one becomes one operator of TFLite. `Affine` stands for what batch normalization leaves; most are folded
into a neighbour by the passes. `Foreign` is called as it is, for the converter to make of it what it can.

Shapes have the batch 1, but `compute` takes any batch, which training needs. Open `base` first.
"""

from .base import Constant, Foreign, Input, Operator
from .elements import ACTIVATIONS, ALONG_LAST_AXIS, Activation, Affine, Binary, Function, PReLU
from .moves import Concat, MatMul, Pad, Pool, Reduce, Reshape, Resize, Slice, Take, Transpose
from .weighted import Conv, Dense, Depthwise, Gather, TransposeConv

__all__ = [
    "ACTIVATIONS",
    "ALONG_LAST_AXIS",
    "Activation",
    "Affine",
    "Binary",
    "Concat",
    "Constant",
    "Conv",
    "Dense",
    "Depthwise",
    "Foreign",
    "Function",
    "Gather",
    "Input",
    "MatMul",
    "Operator",
    "PReLU",
    "Pad",
    "Pool",
    "Reduce",
    "Reshape",
    "Resize",
    "Slice",
    "Take",
    "Transpose",
    "TransposeConv",
]
