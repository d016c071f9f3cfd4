"""A .tflite file without what no runtime reads.

A flatbuffer is a tree of tables and vectors that refer to each other by offset, and nothing forbids two references to
the same place. So a file becomes small in two steps:

    unpack --_simplify--> the same tree without names, metadata, unused tensors, ... --_Writer--> bytes

The writer keeps what it has written by content: an equal table or vector is never written twice. Four convolutions
share their options, the shape and quantisation of equal activations, and the zero points of weights of equal width.

What goes, and why the outputs stay equal bit for bit:

    names, signatures, metadata, description, shape signatures, min/max    no kernel reads them
    quantisation of the bias of per-channel weights    by definition input scale x weight scale; kernels compute that
    RESHAPE in front of FULLY_CONNECTED    the kernel reads its input as rows of the length that the weights have
    fields with the schema's default value    what a reader takes for a missing field

What stays: the 16-byte alignment of constants, which the schema promises to kernels, and the zero points of weights,
an int64 zero a channel: TFLite-Micro extends a single one over the channels, but LiteRT refuses it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_pit.costs.program import BIAS
from keras_pit.deployment.flatbuffer import DeploymentError, names, optional, unpack

_WEIGHTS = 1
# Operators that hand on their first input's elements in the same order.
_RESHAPES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
_ALIGNMENT = 16


def trim(tflite: bytes) -> bytes:
    """Take out of a .tflite file what TFLite-Micro and LiteRT do not need to compute the same.

    Args:
        tflite: the file's content, of fixed shapes.

    Returns:
        The content of a smaller file with bit-equal outputs. Inputs, outputs and operators keep their order, tensors
        lose their names. A trimmed file is returned as it is.

    Raises:
        ValueError: if it is not a TFLite flatbuffer.
        DeploymentError: if constants lie outside of the flatbuffer (files beyond 2 GB).
        ImportError: if ai_edge_litert is not installed.

    Example:
        >>> small = trim(tflite)
        >>> len(tflite), len(small)
        (8128, 5056)
    """
    model = unpack(tflite)
    if any(buffer.offset > 1 for buffer in model.buffers):
        raise DeploymentError(
            "The file keeps constants outside of the flatbuffer, as only files beyond 2 GB do; expected all of them "
            "inside. Such a file is not for a microcontroller: convert a smaller model."
        )
    builtin = names(optional("ai_edge_litert.schema_py_generated").BuiltinOperator)
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    for subgraph in model.subgraphs:
        operators = [(builtin[codes[op.opcodeIndex]], op) for op in subgraph.operators]
        _skip_reshapes(subgraph, operators)
        _drop_quantization(subgraph, operators)
        _drop_unused_tensors(subgraph)
    return _Writer(model).file()


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
        record.min = record.max = None
        if (record.scale is None or len(record.scale) == 0) and record.details is None:
            tensor.quantization = None
    for name, op in operators:
        place = BIAS.get(name, len(op.inputs))
        if place < len(op.inputs) and op.inputs[place] >= 0:
            weights = subgraph.tensors[op.inputs[_WEIGHTS]].quantization
            # With a single scale, FULLY_CONNECTED compares the bias' scale with the product of the two others.
            if weights is not None and weights.scale is not None and len(weights.scale) > 1:
                subgraph.tensors[op.inputs[place]].quantization = None


def _drop_unused_tensors(subgraph: Any) -> None:
    used = set(map(int, (*subgraph.inputs, *subgraph.outputs)))
    for op in subgraph.operators:
        for indices in (op.inputs, op.outputs, op.intermediates):
            used |= {int(i) for i in indices if i >= 0} if indices is not None else set()
    kept = sorted(used)
    number = {-1: -1} | {old: new for new, old in enumerate(kept)}

    def renumbered(indices: Any) -> Any:
        return None if indices is None else np.array([number[int(i)] for i in indices], np.int32)

    subgraph.tensors = [subgraph.tensors[old] for old in kept]
    subgraph.inputs, subgraph.outputs = renumbered(subgraph.inputs), renumbered(subgraph.outputs)
    for op in subgraph.operators:
        op.inputs, op.outputs = renumbered(op.inputs), renumbered(op.outputs)
        op.intermediates = renumbered(op.intermediates)


def _elements(tensor: Any) -> int:
    return int(np.prod(tensor.shape)) if tensor.shape is not None else 1


def _open(tensor: Any) -> bool:
    return tensor.shapeSignature is not None and bool(np.any(np.asarray(tensor.shapeSignature) < 0))


class _Writer:
    """Writes a tree of the schema's objects, each distinct table and vector once.

    A flatbuffer is written back to front: children first. What a method returns is the offset of what it wrote, the
    key under which an equal one is found: two tables are equal if their fields are, offsets of children included.
    """

    def __init__(self, model: Any):
        self._schema = optional("ai_edge_litert.schema_py_generated")
        self._builder = optional("flatbuffers").Builder(1024)
        self._written: dict[Any, int] = {}
        self._model = model

    def file(self) -> bytes:
        """The whole file."""
        model = self._model
        # Numbers of buffers and operator codes as they are met, so that unused ones are left out. 0 is "no data".
        self._buffers: dict[bytes, int] = {b"": 0}
        self._codes: dict[tuple[Any, ...], int] = {}
        subgraphs = [self._subgraph(subgraph) for subgraph in model.subgraphs]
        codes = [self._code(*code) for code in self._codes]
        buffers = [self._buffer(data) for data in self._buffers]
        root = self._table(
            "Model",
            Version=model.version,
            OperatorCodes=self._offsets(codes),
            Subgraphs=self._offsets(subgraphs),
            Buffers=self._offsets(buffers),
        )
        self._builder.Finish(root, b"TFL3")
        return bytes(self._builder.Output())

    def _subgraph(self, subgraph: Any) -> int:
        tensors = [self._tensor(tensor) for tensor in subgraph.tensors]
        operators = [self._operator(op) for op in subgraph.operators]
        return self._table(
            "SubGraph",
            Tensors=self._offsets(tensors),
            Inputs=self._vector(subgraph.inputs, np.int32),
            Outputs=self._vector(subgraph.outputs, np.int32),
            Operators=self._offsets(operators),
        )

    def _tensor(self, tensor: Any) -> int:
        data = self._model.buffers[tensor.buffer].data
        content = b"" if data is None else np.asarray(data, np.uint8).tobytes()
        # Only an open shape has to be told apart from its static reading.
        signature = tensor.shapeSignature if _open(tensor) else None
        return self._table(
            "Tensor",
            Shape=self._vector(tensor.shape, np.int32),
            Type=tensor.type,
            Buffer=self._buffers.setdefault(content, len(self._buffers)),
            Quantization=self._quantization(tensor.quantization),
            IsVariable=tensor.isVariable,
            Sparsity=self._object(tensor.sparsity),
            ShapeSignature=self._vector(signature, np.int32),
            # Without elements in its shape, a tensor is a scalar only if it says so.
            HasRank=tensor.hasRank and (tensor.shape is None or len(tensor.shape) == 0),
        )

    def _quantization(self, record: Any) -> int | None:
        if record is None:
            return None
        return self._table(
            "QuantizationParameters",
            Scale=self._vector(record.scale, np.float32),
            ZeroPoint=self._vector(record.zeroPoint, np.int64),
            DetailsType=record.detailsType,
            Details=self._object(record.details),
            QuantizedDimension=record.quantizedDimension,
        )

    def _operator(self, op: Any) -> int:
        code = self._model.operatorCodes[op.opcodeIndex]
        key = (code.deprecatedBuiltinCode, code.customCode, code.version, code.builtinCode)
        options = op.builtinOptions
        if type(options).__name__ == "ReshapeOptionsT" and len(op.inputs) > 1:
            options.newShape = None  # the second input says it
        intermediates = op.intermediates if op.intermediates is not None and len(op.intermediates) else None
        return self._table(
            "Operator",
            OpcodeIndex=self._codes.setdefault(key, len(self._codes)),
            Inputs=self._vector(op.inputs, np.int32),
            Outputs=self._vector(op.outputs, np.int32),
            BuiltinOptionsType=op.builtinOptionsType,
            BuiltinOptions=self._object(options),
            CustomOptions=self._vector(op.customOptions, np.uint8),
            CustomOptionsFormat=op.customOptionsFormat,
            Intermediates=self._vector(intermediates, np.int32),
            BuiltinOptions2Type=op.builtinOptions2Type,
            BuiltinOptions2=self._object(op.builtinOptions2),
        )

    def _code(self, deprecated: int, custom: bytes | None, version: int, builtin: int) -> int:
        # Readers take the larger of the two numbers; the old one is a byte, and enough up to 126.
        return self._table(
            "OperatorCode",
            DeprecatedBuiltinCode=deprecated,
            CustomCode=None if custom is None else self._builder.CreateString(custom),
            Version=version,
            BuiltinCode=builtin if builtin > deprecated else 0,
        )

    def _buffer(self, data: bytes) -> int:
        return self._table(
            "Buffer", Data=self._vector(np.frombuffer(data, np.uint8), np.uint8, _ALIGNMENT, empty=False)
        )

    def _object(self, tree: Any) -> int | None:
        """An object of the schema without constants in it, such as an operator's options."""
        if tree is None:
            return None
        fields = [value.tobytes() if isinstance(value, np.ndarray) else repr(value) for value in vars(tree).values()]
        return self._once((type(tree).__name__, *fields), lambda: tree.Pack(self._builder))

    def _table(self, kind: str, **fields: Any) -> int:
        """A table of the schema; a field is left out where it is None or the schema's default."""

        def write() -> int:
            getattr(self._schema, f"{kind}Start")(self._builder)
            for name, value in fields.items():
                if value is not None:
                    getattr(self._schema, f"{kind}Add{name}")(self._builder, value)
            return int(getattr(self._schema, f"{kind}End")(self._builder))

        return self._once((kind, tuple(fields.items())), write)

    def _vector(self, values: Any, dtype: type, alignment: int = 1, *, empty: bool = True) -> int | None:
        """Numbers, aligned for their type at least; None where there are none, or an empty vector says nothing."""
        if values is None or (len(values) == 0 and not empty):
            return None
        array: np.ndarray = np.asarray(values, dtype)
        content = array.astype(array.dtype.newbyteorder("<")).tobytes()

        def write() -> int:
            self._builder.StartVector(array.itemsize, len(array), max(array.itemsize, alignment))
            self._builder.head -= len(content)
            self._builder.Bytes[self._builder.head : self._builder.head + len(content)] = content
            return int(self._builder.EndVector())

        return self._once((dtype, alignment, content), write)

    def _offsets(self, offsets: list[int]) -> int:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())

    def _once(self, key: Any, write: Callable[[], int]) -> int:
        if key not in self._written:
            self._written[key] = write()
        return self._written[key]
