"""A .tflite file, read without an interpreter: once for each of its readings, whoever asks.

    File(content) --graph-->    Graph    what it declares: operators and tensors (file_graph.py)
                  --program-->  Program  what it makes a microcontroller do, for the cost models (costs/program.py)
                  --tree-->     ModelT   all of it, as the plain objects that the schema defines

Functions of this folder pass a file on as a `File`. Whoever has bytes and asks once takes `read_graph`, `read_program`
or `unpack`.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from .. import checks
from ..costs.program import Operator, Program, Tensor
from .file_graph import Graph, OpInfo, TensorInfo
from .settings import integers, is_centred, settings

INSTALL = 'Install it with: pip install "keras_pit[deploy]"'


@dataclass(frozen=True)
class File:
    """The content of a .tflite file, and what is read from it: once, when it is first asked for."""

    content: bytes

    @classmethod
    def of(cls, tflite: Any) -> File:
        """The file of which a user gives the content or the path.

        Raises:
            TypeError: if it is neither.
        """
        if isinstance(tflite, (str, os.PathLike)):
            return cls(checks.path(tflite, "The path of a .tflite file").read_bytes())
        if isinstance(tflite, (bytes, bytearray, memoryview)):
            return cls(bytes(tflite))
        cure = "Make one of a Keras model with keras_pit.to_tflite."
        raise checks.wrong_type("The .tflite file", "its content as bytes, or its path", tflite, cure)

    @functools.cached_property
    def root(self) -> Any:
        """The schema's reader (`Model`), which finds each part in the bytes."""
        with _reading(self.content):
            return optional("ai_edge_litert.schema_py_generated").Model.GetRootAs(self.content, 0)

    @functools.cached_property
    def graph(self) -> Graph:
        """What it declares about itself."""
        root = self.root
        with _reading(self.content):
            return _graph(root)

    @functools.cached_property
    def tree(self) -> Any:
        """The schema's objects (`ModelT`), for reading only: whoever changes them works on a copy."""
        with _reading(self.content):
            return optional("ai_edge_litert.schema_py_generated").ModelT.InitFromPackedBuf(self.content, 0)

    @functools.cached_property
    def program(self) -> Program:
        """What it makes a microcontroller do."""
        return program_of(self.tree)


def read_graph(tflite: bytes) -> Graph:
    """What a .tflite file declares about itself.

    Args:
        tflite: the file's content.

    Returns:
        Its `Graph`.

    Raises:
        ValueError: if it is not a TFLite flatbuffer, or only a part of one.
        ImportError: if ai_edge_litert is not installed.

    Example:

        [op.name for op in read_graph(tflite).ops]  # ['CONV_2D', 'FULLY_CONNECTED']
    """
    return File.of(tflite).graph


def _graph(model: Any) -> Graph:
    schema = optional("ai_edge_litert.schema_py_generated")
    op_names = names(schema.BuiltinOperator)
    dtypes = {number: name.lower() for number, name in names(schema.TensorType).items()}
    inputs: list[TensorInfo] = []
    outputs: list[TensorInfo] = []
    tensors: list[TensorInfo] = []
    ops: list[OpInfo] = []
    for number in range(model.SubgraphsLength()):
        subgraph = model.Subgraphs(number)
        own = [_read_tensor(i, subgraph.Tensors(i), dtypes) for i in range(subgraph.TensorsLength())]
        tensors += own
        for i in range(subgraph.OperatorsLength()):
            op = subgraph.Operators(i)
            code = model.OperatorCodes(op.OpcodeIndex())
            ops.append(
                OpInfo(
                    op_names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())],
                    tuple(own[op.Inputs(k)] for k in range(op.InputsLength()) if op.Inputs(k) >= 0),
                    tuple(own[op.Outputs(k)] for k in range(op.OutputsLength())),
                )
            )
        if number == 0:
            inputs = [own[subgraph.Inputs(i)] for i in range(subgraph.InputsLength())]
            outputs = [own[subgraph.Outputs(i)] for i in range(subgraph.OutputsLength())]
    return Graph(tuple(inputs), tuple(outputs), tuple(tensors), tuple(ops))


def read_program(tflite: bytes) -> Program:
    """What a .tflite file makes a microcontroller do, for the cost models.

    Args:
        tflite: the file's content; of several subgraphs, the first one counts.

    Returns:
        A `costs.program.Program`.

    Raises:
        ValueError: if it is not a TFLite flatbuffer.
        ImportError: if ai_edge_litert is not installed.

    Example:

        read_program(tflite).operators[0]  # Operator(name='CONV_2D', inputs=(0, 2, 1), outputs=(3,), ...)
    """
    return File.of(tflite).program


def program_of(model: Any) -> Program:
    """What `read_program` returns, of the schema's objects."""
    schema = optional("ai_edge_litert.schema_py_generated")
    builtin = names(schema.BuiltinOperator)
    dtypes = {number: name.lower() for number, name in names(schema.TensorType).items()}
    activations = {number: name.lower() for number, name in names(schema.ActivationFunctionType).items()}
    subgraph = model.subgraphs[0]

    def tensor(one: Any) -> Tensor:
        data, record = model.buffers[one.buffer].data, one.quantization
        channels = len(record.scale) if record is not None and record.scale is not None else 0
        shape = () if one.shape is None else tuple(map(int, one.shape))
        constant = data is not None and len(data) > 0
        return Tensor(shape, dtypes[one.type], constant, channels, bool(one.isVariable), is_centred(one))

    def operator(one: Any) -> Operator:
        code, options = model.operatorCodes[one.opcodeIndex], one.builtinOptions

        def pair(height: str, width: str) -> tuple[int, int]:
            return getattr(options, height, 1), getattr(options, width, 1)

        name = builtin[max(code.builtinCode, code.deprecatedBuiltinCode)]
        constants = [integers(model, subgraph, number) for number in one.inputs]
        return Operator(
            name,
            tuple(map(int, one.inputs)),
            tuple(map(int, one.outputs)),
            stride=pair("strideH", "strideW"),
            dilation=pair("dilationHFactor", "dilationWFactor"),
            window=pair("filterHeight", "filterWidth"),
            multiplier=getattr(options, "depthMultiplier", 1),
            padding="same" if getattr(options, "padding", schema.Padding.VALID) == schema.Padding.SAME else "valid",
            activation=activations[getattr(options, "fusedActivationFunction", 0)],
            **settings(name, options, constants),
        )

    return Program(
        tuple(map(operator, subgraph.operators)),
        tuple(map(tensor, subgraph.tensors)),
        tuple(map(int, subgraph.inputs)),
        tuple(map(int, subgraph.outputs)),
    )


def unpack(tflite: bytes) -> Any:
    """A file as a tree of plain, changeable objects: the schema's `ModelT`.

    Args:
        tflite: the file's content.

    Raises:
        ValueError: if it is not a TFLite flatbuffer.
        ImportError: if ai_edge_litert is not installed.

    Example:

        unpack(tflite).subgraphs[0].tensors[0].shape  # array([  1, 128,   6], dtype=int32)
    """
    return File.of(tflite).tree


@contextlib.contextmanager
def _reading(tflite: bytes) -> Iterator[None]:
    """Refuse what is not a .tflite file, or is only a part of one."""
    if tflite[4:8] != b"TFL3":
        raise ValueError(
            "Expected the content of a .tflite file as bytes (with the identifier 'TFL3'); received "
            f"{len(tflite)} bytes starting with {tflite[:8]!r}. Make one of a Keras model with keras_pit.to_tflite."
        )
    try:
        yield
    except (struct.error, IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"The .tflite file cannot be read ({error}); expected a whole one, received {len(tflite)} bytes that end "
            "too early or are damaged. Copy or make it again."
        ) from error


def optional(name: str) -> ModuleType:
    """A module of an optional package, or an error that says how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise ImportError(f"This needs {package}, which is not installed. {INSTALL}") from error


def names(enumeration: type) -> dict[int, str]:
    """The names of an enumeration of the schema by their numbers."""
    return {value: key for key, value in vars(enumeration).items() if isinstance(value, int)}


def _read_tensor(index: int, tensor: Any, dtypes: dict[int, str]) -> TensorInfo:
    record = tensor.Quantization()
    single = record is not None and record.ScaleLength() == 1
    signature = [tensor.ShapeSignature(i) for i in range(tensor.ShapeSignatureLength())]
    return TensorInfo(
        index=index,
        name=(tensor.Name() or b"").decode(),
        shape=tuple(tensor.Shape(i) for i in range(tensor.ShapeLength())),
        open=any(dimension < 0 for dimension in signature),
        dtype=dtypes[tensor.Type()],
        scale=float(record.Scale(0)) if single else 0.0,
        zero_point=int(record.ZeroPoint(0)) if single and record.ZeroPointLength() else 0,
    )
