"""Which C++ calls register a file's operators with TFLite-Micro's `MicroMutableOpResolver`.

The resolver has a method for each operator it knows, and some of these take a registration for one type of numbers
alone, whose code is much smaller than that for all types (52 instead of 85 kB for a convolutional network on a
Cortex-M4). A row of `OPERATORS` says both:

    CONV_2D     AddConv2D, for INT8 or INT16     ->  AddConv2D(tflite::Register_CONV_2D_INT8()) in an int8 file
    RESHAPE     AddReshape                       ->  AddReshape()

Source: tensorflow/lite/micro/micro_mutable_op_resolver.h and kernels/*.h of TFLite-Micro, 2025. Without CMSIS-NN the
registrations for one type are the general ones, so naming them is always right.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import DeploymentError
from ..file_graph import Graph, OpInfo


@dataclass(frozen=True)
class ResolverMethod:
    """A row: a method of the resolver, the types with a registration of their own, and a header it needs."""

    name: str
    types: tuple[str, ...] = ()
    header: str = ""


@dataclass(frozen=True)
class Registration:
    """One call: `resolver.method(tflite::kernel())`; `kernel` is empty for the registration for all types."""

    method: str
    kernel: str = ""
    header: str = ""


_BOTH = ("INT8", "INT16")

OPERATORS = {
    "ABS": ResolverMethod("AddAbs"),
    "ADD": ResolverMethod("AddAdd", _BOTH),
    "ADD_N": ResolverMethod("AddAddN"),
    "ARG_MAX": ResolverMethod("AddArgMax"),
    "ARG_MIN": ResolverMethod("AddArgMin"),
    "ASSIGN_VARIABLE": ResolverMethod("AddAssignVariable"),
    "AVERAGE_POOL_2D": ResolverMethod("AddAveragePool2D", _BOTH),
    "BATCH_MATMUL": ResolverMethod("AddBatchMatMul", _BOTH),
    "BATCH_TO_SPACE_ND": ResolverMethod("AddBatchToSpaceNd"),
    "BROADCAST_ARGS": ResolverMethod("AddBroadcastArgs"),
    "BROADCAST_TO": ResolverMethod("AddBroadcastTo"),
    "CALL_ONCE": ResolverMethod("AddCallOnce"),
    "CAST": ResolverMethod("AddCast"),
    "CEIL": ResolverMethod("AddCeil"),
    "CIRCULAR_BUFFER": ResolverMethod("AddCircularBuffer"),
    "CONCATENATION": ResolverMethod("AddConcatenation"),
    "CONV_2D": ResolverMethod("AddConv2D", _BOTH),
    "COS": ResolverMethod("AddCos"),
    "CUMSUM": ResolverMethod("AddCumSum"),
    "DEPTHWISE_CONV_2D": ResolverMethod("AddDepthwiseConv2D", _BOTH),
    "DEPTH_TO_SPACE": ResolverMethod("AddDepthToSpace"),
    "DEQUANTIZE": ResolverMethod("AddDequantize"),
    "DIV": ResolverMethod("AddDiv"),
    "DYNAMIC_UPDATE_SLICE": ResolverMethod("AddDynamicUpdateSlice"),
    "ELU": ResolverMethod("AddElu"),
    "EMBEDDING_LOOKUP": ResolverMethod("AddEmbeddingLookup"),
    "EQUAL": ResolverMethod("AddEqual"),
    "EXP": ResolverMethod("AddExp"),
    "EXPAND_DIMS": ResolverMethod("AddExpandDims"),
    "FILL": ResolverMethod("AddFill"),
    "FLOOR": ResolverMethod("AddFloor"),
    "FLOOR_DIV": ResolverMethod("AddFloorDiv"),
    "FLOOR_MOD": ResolverMethod("AddFloorMod"),
    "FULLY_CONNECTED": ResolverMethod("AddFullyConnected", _BOTH),
    "GATHER": ResolverMethod("AddGather"),
    "GATHER_ND": ResolverMethod("AddGatherNd"),
    "GREATER": ResolverMethod("AddGreater"),
    "GREATER_EQUAL": ResolverMethod("AddGreaterEqual"),
    "HARD_SWISH": ResolverMethod("AddHardSwish"),
    "IF": ResolverMethod("AddIf"),
    "L2_NORMALIZATION": ResolverMethod("AddL2Normalization"),
    "L2_POOL_2D": ResolverMethod("AddL2Pool2D"),
    "LEAKY_RELU": ResolverMethod("AddLeakyRelu"),
    "LESS": ResolverMethod("AddLess"),
    "LESS_EQUAL": ResolverMethod("AddLessEqual"),
    "LOG": ResolverMethod("AddLog"),
    "LOGICAL_AND": ResolverMethod("AddLogicalAnd"),
    "LOGICAL_NOT": ResolverMethod("AddLogicalNot"),
    "LOGICAL_OR": ResolverMethod("AddLogicalOr"),
    "LOGISTIC": ResolverMethod("AddLogistic"),
    "LOG_SOFTMAX": ResolverMethod("AddLogSoftmax"),
    "MAXIMUM": ResolverMethod("AddMaximum"),
    "MAX_POOL_2D": ResolverMethod("AddMaxPool2D", _BOTH),
    "MEAN": ResolverMethod("AddMean"),
    "MINIMUM": ResolverMethod("AddMinimum"),
    "MIRROR_PAD": ResolverMethod("AddMirrorPad"),
    "MUL": ResolverMethod("AddMul", ("INT8",)),
    "NEG": ResolverMethod("AddNeg"),
    "NOT_EQUAL": ResolverMethod("AddNotEqual"),
    "PACK": ResolverMethod("AddPack"),
    # The resolver's own header does not bring this one.
    "PAD": ResolverMethod("AddPad", ("INT8",), "tensorflow/lite/micro/kernels/pad.h"),
    "PADV2": ResolverMethod("AddPadV2"),
    "PRELU": ResolverMethod("AddPrelu"),
    "QUANTIZE": ResolverMethod("AddQuantize"),
    "READ_VARIABLE": ResolverMethod("AddReadVariable"),
    "REDUCE_MAX": ResolverMethod("AddReduceMax"),
    "REDUCE_MIN": ResolverMethod("AddReduceMin"),
    "RELU": ResolverMethod("AddRelu"),
    "RELU6": ResolverMethod("AddRelu6"),
    "RESHAPE": ResolverMethod("AddReshape"),
    "RESIZE_BILINEAR": ResolverMethod("AddResizeBilinear"),
    "RESIZE_NEAREST_NEIGHBOR": ResolverMethod("AddResizeNearestNeighbor"),
    "REVERSE_V2": ResolverMethod("AddReverseV2"),
    "ROUND": ResolverMethod("AddRound"),
    "RSQRT": ResolverMethod("AddRsqrt"),
    "SELECT_V2": ResolverMethod("AddSelectV2"),
    "SHAPE": ResolverMethod("AddShape"),
    "SIN": ResolverMethod("AddSin"),
    "SLICE": ResolverMethod("AddSlice"),
    "SOFTMAX": ResolverMethod("AddSoftmax", _BOTH),
    "SPACE_TO_BATCH_ND": ResolverMethod("AddSpaceToBatchNd"),
    "SPACE_TO_DEPTH": ResolverMethod("AddSpaceToDepth"),
    "SPLIT": ResolverMethod("AddSplit"),
    "SPLIT_V": ResolverMethod("AddSplitV"),
    "SQRT": ResolverMethod("AddSqrt"),
    "SQUARE": ResolverMethod("AddSquare"),
    "SQUARED_DIFFERENCE": ResolverMethod("AddSquaredDifference"),
    "SQUEEZE": ResolverMethod("AddSqueeze"),
    "STRIDED_SLICE": ResolverMethod("AddStridedSlice"),
    "SUB": ResolverMethod("AddSub"),
    "SUM": ResolverMethod("AddSum"),
    "SVDF": ResolverMethod("AddSvdf", ("INT8",)),
    "TANH": ResolverMethod("AddTanh"),
    "TRANSPOSE": ResolverMethod("AddTranspose"),
    "TRANSPOSE_CONV": ResolverMethod("AddTransposeConv", ("INT8",)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": ResolverMethod("AddUnidirectionalSequenceLSTM", ("INT8",)),
    "UNPACK": ResolverMethod("AddUnpack"),
    "VAR_HANDLE": ResolverMethod("AddVarHandle"),
    "WHILE": ResolverMethod("AddWhile"),
    "ZEROS_LIKE": ResolverMethod("AddZerosLike"),
    # Custom operators, by their own names.
    "TFLite_Detection_PostProcess": ResolverMethod("AddDetectionPostprocess"),
    "ethos-u": ResolverMethod("AddEthosU"),
}
"""What `MicroMutableOpResolver` knows, by the names of the TFLite schema."""


def registrations(graph: Graph) -> tuple[Registration, ...]:
    """The calls that register what a file needs, once each, in alphabetical order.

    Args:
        graph: what the file declares.

    Returns:
        A `Registration` for each kind of operator in the file; for a type of its own only where all operators of this
        kind are of this type.

    Raises:
        DeploymentError: if TFLite-Micro has no such operator, or it needs variables, which the bundle does not set up.

    Example:

        [call.kernel for call in registrations(read_graph(tflite))]
        # ['Register_CONV_2D_INT8', 'Register_FULLY_CONNECTED_INT8', '']
    """
    calls = {}
    for name in sorted({op.name for op in graph.ops}):
        same = [op for op in graph.ops if op.name == name]
        if name == "VAR_HANDLE":
            raise DeploymentError(
                f"The file keeps variables ({graph.place(same[0])}); expected constants alone. Freeze them before the "
                "conversion, as keras_pit.to_tflite does."
            )
        if name not in OPERATORS:
            raise DeploymentError(
                f"The file has the operator {name} ({graph.place(same[0])}), for which MicroMutableOpResolver has no "
                "method; expected operators that TFLite-Micro has. Replace the layer that makes it."
            )
        row = OPERATORS[name]
        types = {_type(op) for op in same}
        own = types.pop() if len(types) == 1 else ""
        if own in row.types:
            calls[name] = Registration(row.name, f"Register_{name}_{own}", row.header)
        else:
            calls[name] = Registration(row.name)
    return tuple(calls.values())


def _type(op: OpInfo) -> str:
    """The suffix of the registration for this operator's numbers alone; biases and shapes do not count."""
    read = {tensor.dtype for tensor in op.inputs} - {"int32", "int64"}
    made = {tensor.dtype for tensor in op.outputs}
    if read == made == {"int8"}:
        return "INT8"
    # Weights are of 8 bits next to activations of 16.
    return "INT16" if made == {"int16"} and read in ({"int16"}, {"int16", "int8"}) else ""
