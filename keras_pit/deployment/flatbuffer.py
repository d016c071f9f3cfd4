"""What a .tflite file declares about itself, read without an interpreter.

The data model: a file is a `Graph` of operators (`OpInfo`) that read and make tensors (`TensorInfo`), in the order in
which they run; inputs and outputs in the order of the file.

    read_graph(tflite)    Graph(inputs=(x,), outputs=(y,), tensors=(...), ops=(CONV_2D x, w, b -> h; SOFTMAX h -> y))

`unpack` gives the same file as the tree of plain objects that the schema defines (`ModelT`), to be changed.
"""

from __future__ import annotations

import contextlib
import importlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from ..costs.program import Operator, Program, Tensor

INSTALL = 'Install it with: pip install "keras_pit[deploy]"'

# Operators that only change the type of numbers.
BRIDGES = ("QUANTIZE", "DEQUANTIZE")


class DeploymentError(RuntimeError):
    """A model that cannot be put, or must not be put, on a microcontroller."""


@dataclass(frozen=True)
class TensorInfo:
    """A tensor of a file; `scale` is 0 where it is not quantised with one scale."""

    index: int
    name: str  # empty in a trimmed file
    shape: tuple[int, ...]
    open: bool  # some dimension is left to the runtime, which TFLite-Micro ignores
    dtype: str
    scale: float
    zero_point: int

    @property
    def label(self) -> str:
        """What to call it in a message."""
        return repr(self.name) if self.name else f"tensor {self.index}"

    @property
    def quantized(self) -> bool:
        """Whether integers of this tensor stand for real numbers."""
        return self.scale > 0

    @property
    def floating(self) -> bool:
        """Whether its numbers are floats."""
        return self.dtype.startswith(("float", "bfloat"))

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Real values as integers of this tensor, halves rounded away from zero as in TFLite."""
        steps = np.asarray(values, np.float32) / np.float32(self.scale)
        rounded = np.trunc(steps + np.copysign(np.float32(0.5), steps)) + self.zero_point
        limits = np.iinfo(self.dtype)
        return np.asarray(np.clip(rounded, limits.min, limits.max), self.dtype)

    def dequantize(self, values: np.ndarray) -> np.ndarray:
        """The real values of numbers of this tensor, as float32; not quantised ones unchanged."""
        if not self.quantized:
            return values
        steps = values.astype(np.int64) - self.zero_point
        return (steps * np.float64(self.scale)).astype(np.float32)


@dataclass(frozen=True)
class OpInfo:
    """One operator of a file, by its name in the TFLite schema ("CONV_2D")."""

    name: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]


@dataclass(frozen=True)
class Graph:
    """What a file declares: its inputs and outputs, and the operators of all its subgraphs."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    tensors: tuple[TensorInfo, ...]
    ops: tuple[OpInfo, ...]

    def place(self, op: OpInfo) -> str:
        """Where an operator stands: 'computed tensor' -> 'result'.

        The names hold those of layers, except for the model's outputs and changes of type.
        """
        makers = {tensor.label: maker for maker in self.ops for tensor in maker.outputs}
        known = {tensor.label for tensor in self.inputs} | set(makers)
        sources = [tensor.label for tensor in op.inputs if tensor.label in known]
        source = sources[0] if sources else ""
        while source in makers and makers[source].name in BRIDGES:
            source = makers[source].inputs[0].label
        return f"{source} -> " * bool(source) + ", ".join(tensor.label for tensor in op.outputs)


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
    with _reading(tflite):
        return _read_graph(tflite)


def _read_graph(tflite: bytes) -> Graph:
    schema = optional("ai_edge_litert.schema_py_generated")
    op_names = names(schema.BuiltinOperator)
    dtypes = {number: name.lower() for number, name in names(schema.TensorType).items()}
    model = schema.Model.GetRootAs(tflite, 0)
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
    model = unpack(tflite)
    schema = optional("ai_edge_litert.schema_py_generated")
    builtin = names(schema.BuiltinOperator)
    dtypes = {number: name.lower() for number, name in names(schema.TensorType).items()}
    activations = {number: name.lower() for number, name in names(schema.ActivationFunctionType).items()}
    subgraph = model.subgraphs[0]

    def tensor(one: Any) -> Tensor:
        data, record = model.buffers[one.buffer].data, one.quantization
        channels = len(record.scale) if record is not None and record.scale is not None else 0
        shape = () if one.shape is None else tuple(map(int, one.shape))
        return Tensor(shape, dtypes[one.type], data is not None and len(data) > 0, channels)

    def operator(one: Any) -> Operator:
        code, options = model.operatorCodes[one.opcodeIndex], one.builtinOptions

        def pair(height: str, width: str) -> tuple[int, int]:
            return getattr(options, height, 1), getattr(options, width, 1)

        return Operator(
            builtin[max(code.builtinCode, code.deprecatedBuiltinCode)],
            tuple(map(int, one.inputs)),
            tuple(map(int, one.outputs)),
            stride=pair("strideH", "strideW"),
            dilation=pair("dilationHFactor", "dilationWFactor"),
            window=pair("filterHeight", "filterWidth"),
            multiplier=getattr(options, "depthMultiplier", 1),
            padding="same" if getattr(options, "padding", schema.Padding.VALID) == schema.Padding.SAME else "valid",
            activation=activations[getattr(options, "fusedActivationFunction", 0)],
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
    with _reading(tflite):
        return optional("ai_edge_litert.schema_py_generated").ModelT.InitFromPackedBuf(tflite, 0)


@contextlib.contextmanager
def _reading(tflite: bytes) -> Iterator[None]:
    """Refuse what is not a .tflite file, or is only a part of one."""
    if not isinstance(tflite, (bytes, bytearray)) or bytes(tflite[4:8]) != b"TFL3":
        start = f" starting with {tflite[:8]!r}" if isinstance(tflite, (bytes, bytearray, str)) else ""
        raise ValueError(
            "Expected the content of a .tflite file as bytes (with the identifier 'TFL3'); received "
            f"{type(tflite).__name__}{start}. Read a file with pathlib.Path(path).read_bytes(), make one of a Keras "
            "model with keras_pit.to_tflite."
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
