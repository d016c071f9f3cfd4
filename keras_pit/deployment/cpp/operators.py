"""Which C++ calls register a file's operators with TFLite-Micro's `MicroMutableOpResolver`.

The resolver has a method for each operator it knows, and some of these take a registration for one type of numbers
alone, whose code is much smaller than that for all types (52 instead of 85 kB for a convolutional network on a
Cortex-M4). A row of `OPERATORS` says both:

    CONV_2D     AddConv2D, for INT8 or INT16     ->  AddConv2D(tflite::Register_CONV_2D_INT8()) in an int8 file
    RESHAPE     AddReshape                       ->  AddReshape()

Source: tensorflow/lite/micro/micro_mutable_op_resolver.h and kernels/*.h of TFLite-Micro, 2025. Without CMSIS-NN the
registrations for one type are the general ones, so naming them is always right.
"""

from dataclasses import dataclass

from keras_pit.deployment.flatbuffer import DeploymentError, Graph, OpInfo


@dataclass(frozen=True)
class Operator:
    """A row: the resolver's method, the types with a registration of their own, and a header it needs."""

    method: str
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
    "ABS": Operator("AddAbs"),
    "ADD": Operator("AddAdd", _BOTH),
    "ADD_N": Operator("AddAddN"),
    "ARG_MAX": Operator("AddArgMax"),
    "ARG_MIN": Operator("AddArgMin"),
    "ASSIGN_VARIABLE": Operator("AddAssignVariable"),
    "AVERAGE_POOL_2D": Operator("AddAveragePool2D", _BOTH),
    "BATCH_MATMUL": Operator("AddBatchMatMul", _BOTH),
    "BATCH_TO_SPACE_ND": Operator("AddBatchToSpaceNd"),
    "BROADCAST_ARGS": Operator("AddBroadcastArgs"),
    "BROADCAST_TO": Operator("AddBroadcastTo"),
    "CALL_ONCE": Operator("AddCallOnce"),
    "CAST": Operator("AddCast"),
    "CEIL": Operator("AddCeil"),
    "CONCATENATION": Operator("AddConcatenation"),
    "CONV_2D": Operator("AddConv2D", _BOTH),
    "COS": Operator("AddCos"),
    "CUMSUM": Operator("AddCumSum"),
    "DEPTHWISE_CONV_2D": Operator("AddDepthwiseConv2D", _BOTH),
    "DEPTH_TO_SPACE": Operator("AddDepthToSpace"),
    "DEQUANTIZE": Operator("AddDequantize"),
    "DIV": Operator("AddDiv"),
    "DYNAMIC_UPDATE_SLICE": Operator("AddDynamicUpdateSlice"),
    "ELU": Operator("AddElu"),
    "EMBEDDING_LOOKUP": Operator("AddEmbeddingLookup"),
    "EQUAL": Operator("AddEqual"),
    "EXP": Operator("AddExp"),
    "EXPAND_DIMS": Operator("AddExpandDims"),
    "FILL": Operator("AddFill"),
    "FLOOR": Operator("AddFloor"),
    "FLOOR_DIV": Operator("AddFloorDiv"),
    "FLOOR_MOD": Operator("AddFloorMod"),
    "FULLY_CONNECTED": Operator("AddFullyConnected", _BOTH),
    "GATHER": Operator("AddGather"),
    "GATHER_ND": Operator("AddGatherNd"),
    "GREATER": Operator("AddGreater"),
    "GREATER_EQUAL": Operator("AddGreaterEqual"),
    "HARD_SWISH": Operator("AddHardSwish"),
    "IF": Operator("AddIf"),
    "L2_NORMALIZATION": Operator("AddL2Normalization"),
    "L2_POOL_2D": Operator("AddL2Pool2D"),
    "LEAKY_RELU": Operator("AddLeakyRelu"),
    "LESS": Operator("AddLess"),
    "LESS_EQUAL": Operator("AddLessEqual"),
    "LOG": Operator("AddLog"),
    "LOGICAL_AND": Operator("AddLogicalAnd"),
    "LOGICAL_NOT": Operator("AddLogicalNot"),
    "LOGICAL_OR": Operator("AddLogicalOr"),
    "LOGISTIC": Operator("AddLogistic"),
    "LOG_SOFTMAX": Operator("AddLogSoftmax"),
    "MAXIMUM": Operator("AddMaximum"),
    "MAX_POOL_2D": Operator("AddMaxPool2D", _BOTH),
    "MEAN": Operator("AddMean"),
    "MINIMUM": Operator("AddMinimum"),
    "MIRROR_PAD": Operator("AddMirrorPad"),
    "MUL": Operator("AddMul", ("INT8",)),
    "NEG": Operator("AddNeg"),
    "NOT_EQUAL": Operator("AddNotEqual"),
    "PACK": Operator("AddPack"),
    # The resolver's own header does not bring this one.
    "PAD": Operator("AddPad", ("INT8",), "tensorflow/lite/micro/kernels/pad.h"),
    "PADV2": Operator("AddPadV2"),
    "PRELU": Operator("AddPrelu"),
    "QUANTIZE": Operator("AddQuantize"),
    "READ_VARIABLE": Operator("AddReadVariable"),
    "REDUCE_MAX": Operator("AddReduceMax"),
    "REDUCE_MIN": Operator("AddReduceMin"),
    "RELU": Operator("AddRelu"),
    "RELU6": Operator("AddRelu6"),
    "RESHAPE": Operator("AddReshape"),
    "RESIZE_BILINEAR": Operator("AddResizeBilinear"),
    "RESIZE_NEAREST_NEIGHBOR": Operator("AddResizeNearestNeighbor"),
    "REVERSE_V2": Operator("AddReverseV2"),
    "ROUND": Operator("AddRound"),
    "RSQRT": Operator("AddRsqrt"),
    "SELECT_V2": Operator("AddSelectV2"),
    "SHAPE": Operator("AddShape"),
    "SIN": Operator("AddSin"),
    "SLICE": Operator("AddSlice"),
    "SOFTMAX": Operator("AddSoftmax", _BOTH),
    "SPACE_TO_BATCH_ND": Operator("AddSpaceToBatchNd"),
    "SPACE_TO_DEPTH": Operator("AddSpaceToDepth"),
    "SPLIT": Operator("AddSplit"),
    "SPLIT_V": Operator("AddSplitV"),
    "SQRT": Operator("AddSqrt"),
    "SQUARE": Operator("AddSquare"),
    "SQUARED_DIFFERENCE": Operator("AddSquaredDifference"),
    "SQUEEZE": Operator("AddSqueeze"),
    "STRIDED_SLICE": Operator("AddStridedSlice"),
    "SUB": Operator("AddSub"),
    "SUM": Operator("AddSum"),
    "SVDF": Operator("AddSvdf", ("INT8",)),
    "TANH": Operator("AddTanh"),
    "TRANSPOSE": Operator("AddTranspose"),
    "TRANSPOSE_CONV": Operator("AddTransposeConv", ("INT8",)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Operator("AddUnidirectionalSequenceLSTM", ("INT8",)),
    "UNPACK": Operator("AddUnpack"),
    "VAR_HANDLE": Operator("AddVarHandle"),
    "WHILE": Operator("AddWhile"),
    "ZEROS_LIKE": Operator("AddZerosLike"),
}
"""What `MicroMutableOpResolver` knows, by the names of the TFLite schema; custom operators are not in it."""


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
        >>> [call.kernel for call in registrations(read_graph(tflite))]
        ['Register_CONV_2D_INT8', 'Register_FULLY_CONNECTED_INT8', '']
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
            calls[name] = Registration(row.method, f"Register_{name}_{own}", row.header)
        else:
            calls[name] = Registration(row.method)
    return tuple(calls.values())


def _type(op: OpInfo) -> str:
    """The suffix of the registration for this operator's numbers alone; biases and shapes do not count."""
    read = {tensor.dtype for tensor in op.inputs} - {"int32", "int64"}
    made = {tensor.dtype for tensor in op.outputs}
    if read == made == {"int8"}:
        return "INT8"
    # Weights are of 8 bits next to activations of 16.
    return "INT16" if made == {"int16"} and read in ({"int16"}, {"int16", "int8"}) else ""
