"""What runs in a kernel, loop by loop: the paths of CMSIS-NN and TFLite-Micro that the costs of time are fitted on.

    PATHS["CONV_2D"](call, "cortex-m4")     [Path("conv_1x1", {"call": 1, ...}, False), Path("conv", {...})]

A kernel takes one of several paths: a 1x1 convolution copies no input, a dilated depthwise one is plain C. On a path,
the number of instructions is a sum over its loops: so many for a call, for an output, for four multiplications.
`latency` weighs them with the factors fitted on measured networks. Sizes may be soft, and vectors of the sizes of
several operators (see `forms`), so all is arithmetic.

One file a family of kernels: `products`, `windows`, `elements`, `moves`, `recurrent`; `path` has what they share.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..call import Call
from .elements import elementwise, has_smaller_operand, prelu, softmax, vectorised
from .moves import (
    circular_buffer,
    concatenation,
    pad,
    reshape,
    resize_bilinear,
    resize_nearest,
    slices,
    split,
    strided_slices,
    transpose,
)
from .path import Count, Loops, Path
from .products import batch_matmul, conv, fully_connected, transpose_conv
from .recurrent import lstm, svdf
from .windows import average_pool, depthwise, max_pool, reduction

__all__ = ["PATHS", "UNMEASURED", "WIDE", "Count", "Loops", "Path"]

PATHS: dict[str, Count] = {
    "CONV_2D": conv,
    "DEPTHWISE_CONV_2D": depthwise,
    "FULLY_CONNECTED": fully_connected,
    "TRANSPOSE_CONV": transpose_conv,
    "BATCH_MATMUL": batch_matmul,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm,
    "SVDF": svdf,
    "AVERAGE_POOL_2D": average_pool,
    "MAX_POOL_2D": max_pool,
    "MEAN": reduction("mean"),
    "REDUCE_MAX": reduction("reduce_max"),
    "REDUCE_MIN": reduction("reduce_max"),
    "SOFTMAX": softmax,
    "ADD": vectorised("add"),
    "SUB": vectorised("sub"),
    "MUL": vectorised("mul"),
    "MAXIMUM": vectorised("maximum"),
    "MINIMUM": vectorised("maximum"),
    "PRELU": prelu,
    "LOGISTIC": elementwise("logistic"),
    "TANH": elementwise("tanh"),
    "HARD_SWISH": elementwise("hard_swish"),
    "RELU": elementwise("relu"),
    "RELU6": elementwise("relu6"),
    "LEAKY_RELU": elementwise("leaky_relu"),
    "ELU": elementwise("elu"),
    "QUANTIZE": elementwise("quantize"),
    "CONCATENATION": concatenation,
    "SPLIT": split,
    "SLICE": slices,
    "STRIDED_SLICE": strided_slices,
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest,
    "RESIZE_BILINEAR": resize_bilinear,
    "TRANSPOSE": transpose,
    "PAD": pad,
    "PADV2": pad,
    "RESHAPE": reshape,
    "CIRCULAR_BUFFER": circular_buffer,
}
"""The operators whose kernels were measured, by their names in the TFLite schema; some have the kernel of another."""

UNMEASURED: dict[str, Callable[[Call], Any]] = {"ADD": has_smaller_operand}
"""Of these, the forms that were not measured: a sum with a smaller operand. Of soft sizes, whether it is one is a
tensor."""

WIDE = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "AVERAGE_POOL_2D", "MAX_POOL_2D", "ADD", "SOFTMAX"}
"""Of these, those measured with activations of 16 bits."""
