"""A .tflite file without what no runtime reads.

A file becomes small in two steps:

    unpack --simplify--> the same tree without names, metadata, unused tensors, ... --pack--> bytes (packing.py)

What is equal is written once. Four convolutions share their options, the shape and quantisation of equal activations,
and the zero points of weights of equal width.

What goes, and why the outputs stay equal bit for bit:

    names, signatures, metadata, description, shape signatures, min/max    no kernel reads them
    quantisation of the bias of per-channel weights    by definition input scale x weight scale; kernels compute that
    RESHAPE in front of FULLY_CONNECTED    the kernel reads its input as rows of the length that the weights have
    fields with the schema's default value    what a reader takes for a missing field

What stays: the 16-byte alignment of constants, which the schema promises to kernels, and the zero points of weights, an
int64 zero a channel: TFLite-Micro extends a single one over the channels, but LiteRT refuses it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..costs.operators import BIAS, BYTES
from ..costs.schedule import order
from .flatbuffer import File, operator_names, program_of
from .packing import pack, repack
from .schema import schema

STREAM = b"keras_pit stream"
"""What the description of a streaming file begins with; it stays."""
_WEIGHTS = 1
# Operators that hand on their first input's elements in the same order.
_RESHAPES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
# The fields that runtimes read, of the kinds of objects that have others.
_MODEL = ("version", "operatorCodes", "subgraphs", "buffers")
_SUBGRAPH = ("tensors", "inputs", "outputs", "operators")
_TENSOR = ("shape", "type", "buffer", "quantization", "isVariable", "sparsity", "shapeSignature", "hasRank")
_QUANTIZATION = ("scale", "zeroPoint", "detailsType", "details", "quantizedDimension")
_OPERATOR = (
    "opcodeIndex", "inputs", "outputs", "builtinOptionsType", "builtinOptions", "customOptions", "customOptionsFormat",
    "intermediates", "builtinOptions2Type", "builtinOptions2",
)  # fmt: skip


def trim(tflite: bytes) -> bytes:
    """Take out of a .tflite file what TFLite-Micro and LiteRT do not need to compute the same.

    Args:
        tflite: the file's content, of fixed shapes.

    Returns:
        The content of a smaller file with bit-equal outputs. Inputs and outputs keep their order, operators run in the
        one that needs the least arena (see `costs.schedule`), tensors lose their names. A trimmed file is returned as
        it is.

    Raises:
        DeploymentError: if it is not a whole TFLite flatbuffer, or beyond the limits.
        ImportError: if ai_edge_litert is not installed.

    Example:

        small = trim(tflite)
        len(tflite), len(small)  # (7968, 3340)
    """
    return trim_file(File.of(tflite)).content


def trim_file(file: File) -> File:
    """What `trim` does, from file to file."""
    model = copy.deepcopy(file.tree)
    builtin = operator_names(model)
    for subgraph in model.subgraphs:
        operators = [(builtin[op.opcodeIndex], op) for op in subgraph.operators]
        _skip_reshapes(subgraph, operators)
        _drop_quantization(subgraph, operators)
    _put_in_order(model)
    for subgraph in model.subgraphs:
        _drop_unused_tensors(subgraph)
        _drop_fields(subgraph)
    _number(model)
    is_stream = (model.description or b"").startswith(STREAM)
    _keep(model, (*_MODEL, "description") if is_stream else _MODEL)
    return File(pack(model, schema(), b"TFL3"))


def arranged_file(file: File) -> File:
    """A file with the operators of its trimmed form, in their order, but with the names of its tensors."""
    model = copy.deepcopy(file.tree)
    builtin = operator_names(model)
    for subgraph in model.subgraphs:
        _skip_reshapes(subgraph, [(builtin[op.opcodeIndex], op) for op in subgraph.operators])
    _put_in_order(model)
    return repack(model)


def _skip_reshapes(subgraph: Any, operators: Sequence[tuple[str, Any]]) -> None:
    """Let FULLY_CONNECTED read what a reshape in front of it reads, and drop the reshapes that nobody reads then."""
    tensors = subgraph.tensors
    makers = {int(op.outputs[0]): (name, op) for name, op in operators if len(op.outputs)}
    for name, op in operators:
        if name != "FULLY_CONNECTED" or (op.builtinOptions is not None and op.builtinOptions.keepNumDims):
            continue
        source = int(op.inputs[0])
        while source in makers and makers[source][0] in _RESHAPES:
            source = int(makers[source][1].inputs[0])
        # The runtimes count rows from elements; the output's shape must say the same.
        rows = _elements(tensors[source]) // int(tensors[op.inputs[_WEIGHTS]].shape[1])
        if rows == int(tensors[op.outputs[0]].shape[0]) and not _open(tensors[source]):
            op.inputs = np.array([source, *op.inputs[1:]], np.int32)
    for name, op in reversed(operators):
        read = {int(i) for other in subgraph.operators for i in other.inputs} | set(map(int, subgraph.outputs))
        if name in _RESHAPES and int(op.outputs[0]) not in read:
            subgraph.operators = [other for other in subgraph.operators if other is not op]


def _drop_quantization(subgraph: Any, operators: Sequence[tuple[str, Any]]) -> None:
    for tensor in subgraph.tensors:
        record = tensor.quantization
        if record is None:
            continue
        if (record.scale is None or len(record.scale) == 0) and record.details is None:
            tensor.quantization = None
    for name, op in operators:
        place = BIAS.get(name, len(op.inputs))
        if place < len(op.inputs) and op.inputs[place] >= 0:
            weights = subgraph.tensors[op.inputs[_WEIGHTS]].quantization
            # With a single scale, FULLY_CONNECTED compares the bias' scale with the product of the two others.
            if weights is not None and weights.scale is not None and len(weights.scale) > 1:
                subgraph.tensors[op.inputs[place]].quantization = None


def _put_in_order(model: Any) -> None:
    """Run operators in the order that needs the least arena, unless they change variables or call each other."""
    main, *others = model.subgraphs
    program = program_of(model)
    has_variables = any(tensor.isVariable for tensor in main.tensors)
    has_handles = any(tensor.dtype not in BYTES for tensor in program.tensors)
    if not others and not has_variables and not has_handles:
        main.operators = [main.operators[place] for place in order(program)]


def _drop_unused_tensors(subgraph: Any) -> None:
    """Number the tensors as they are met, inputs first."""
    met = list(subgraph.inputs)
    for op in subgraph.operators:
        for indices in (op.inputs, op.outputs, op.intermediates):
            met += [i for i in indices if i >= 0] if indices is not None else []
    kept = list(dict.fromkeys(map(int, (*met, *subgraph.outputs))))
    number = {-1: -1} | {old: new for new, old in enumerate(kept)}

    def renumbered(indices: Any) -> Any:
        return None if indices is None else np.array([number[int(i)] for i in indices], np.int32)

    subgraph.tensors = [subgraph.tensors[old] for old in kept]
    subgraph.inputs, subgraph.outputs = renumbered(subgraph.inputs), renumbered(subgraph.outputs)
    for op in subgraph.operators:
        op.inputs, op.outputs = renumbered(op.inputs), renumbered(op.outputs)
        op.intermediates = renumbered(op.intermediates)


def _drop_fields(subgraph: Any) -> None:
    _keep(subgraph, _SUBGRAPH)
    for tensor in subgraph.tensors:
        _keep(tensor, _TENSOR)
        # Only an open shape has to be told apart from its static reading.
        if not _open(tensor):
            tensor.shapeSignature = None
        # Without elements in its shape, a tensor is a scalar only if it says so.
        tensor.hasRank = tensor.hasRank and (tensor.shape is None or len(tensor.shape) == 0)
        if tensor.quantization is not None:
            _keep(tensor.quantization, _QUANTIZATION)
    for op in subgraph.operators:
        _keep(op, _OPERATOR)
        if op.intermediates is not None and len(op.intermediates) == 0:
            op.intermediates = None
        if type(op.builtinOptions).__name__ == "ReshapeOptionsT" and len(op.inputs) > 1:
            op.builtinOptions.newShape = None  # the second input says it


def _keep(tree: Any, fields: Sequence[str]) -> None:
    for name in vars(tree):
        if name not in fields:
            setattr(tree, name, None)


def _number(model: Any) -> None:
    """Number buffers and operator codes as they are met, equal ones once; unused ones go. Buffer 0 is "no data"."""
    none = type(model.buffers[0])()
    buffers = {b"": (0, none)}
    codes: dict[Any, tuple[int, Any]] = {}
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            buffer = model.buffers[tensor.buffer]
            content = b"" if buffer.data is None else np.asarray(buffer.data, np.uint8).tobytes()
            tensor.buffer, _ = buffers.setdefault(content, (len(buffers), buffer))
        for op in subgraph.operators:
            code = model.operatorCodes[op.opcodeIndex]
            op.opcodeIndex, _ = codes.setdefault(tuple(vars(code).values()), (len(codes), code))
    model.buffers = [buffer for _, buffer in buffers.values()]
    model.operatorCodes = [code for _, code in codes.values()]
    for buffer in model.buffers:
        _keep(buffer, ("data",))
    for code in model.operatorCodes:
        # Readers take the larger of the two numbers; the old one is a byte, and enough up to 126.
        code.builtinCode = code.builtinCode if code.builtinCode > code.deprecatedBuiltinCode else 0


def _elements(tensor: Any) -> int:
    return int(np.prod(tensor.shape)) if tensor.shape is not None else 1


def _open(tensor: Any) -> bool:
    return tensor.shapeSignature is not None and bool(np.any(np.asarray(tensor.shapeSignature) < 0))
