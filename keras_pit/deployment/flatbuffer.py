"""A .tflite file, read without an interpreter: once for each of its readings, whoever asks.

    File(content) --tree-->     ModelT   all of it, as the plain objects that the schema defines
                  --graph-->    Graph    what it declares: operators and tensors (file_graph.py)
                  --program-->  Program  what it makes a microcontroller do, for the cost models (costs/program.py)

None is there before the file is known to be whole and within the limits:

    layout.py      the parts of the flatbuffer lie inside of it
    contents.py    numbers of tensors, buffers and operators lead somewhere; tensors are not too large
    operands.py    operators have tensors that they can compute with, and not too much work

Functions of this folder pass a file on as a `File`. Whoever has bytes and asks once takes `read_graph`, `read_program`
or `unpack`.
"""

from __future__ import annotations

import functools
import os
import struct
from dataclasses import dataclass
from typing import Any

from .. import checks
from ..costs.operators import Operator, Tensor
from ..costs.program import Program
from . import contents, layout, operands
from .file_graph import Graph, OpInfo, TensorInfo
from .limits import damaged
from .schema import names, operator_name, schema, type_name
from .settings import cycles_max, integers, settings, zero_point


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
            path = checks.path(tflite, "The path of a .tflite file")
            layout.check_size(path.stat().st_size)
            return cls(path.read_bytes())
        if isinstance(tflite, (bytes, bytearray, memoryview)):
            return cls(bytes(tflite))
        cure = "Make one of a Keras model with keras_pit.to_tflite."
        raise checks.wrong_type("The .tflite file", "its content as bytes, or its path", tflite, cure)

    @property
    def root(self) -> Any:
        """The schema's reader (`Model`), which finds each part in the bytes."""
        return self._checked[0]

    @property
    def tree(self) -> Any:
        """The schema's objects (`ModelT`), for reading only: whoever changes them works on a copy."""
        return self._checked[1]

    @functools.cached_property
    def graph(self) -> Graph:
        """What it declares about itself."""
        return _graph(self.tree)

    @property
    def program(self) -> Program:
        """What it makes a microcontroller do; of several subgraphs, the first one counts."""
        return self._checked[2]

    @functools.cached_property
    def _checked(self) -> tuple[Any, Any, Program]:
        layout.check(self.content)
        try:
            root = schema().Model.GetRootAs(self.content, 0)
            tree = schema().ModelT.InitFromPackedBuf(self.content, 0)
        except (struct.error, ValueError) as error:
            # A number at the end of the file, or the options of an operator, which are not followed before.
            raise damaged(f"its parts cannot be read ({error})") from error
        contents.complete(tree)
        contents.check(tree)
        programs = [program_of(tree, number) for number in range(len(tree.subgraphs))]
        for program in programs:
            operands.check(program)
        return root, tree, programs[0]


def read_graph(tflite: bytes) -> Graph:
    """What a .tflite file declares about itself.

    Args:
        tflite: the file's content.

    Returns:
        Its `Graph`.

    Raises:
        DeploymentError: if it is not a whole TFLite flatbuffer, or beyond the limits.
        ImportError: if ai_edge_litert is not installed.

    Example:

        [op.name for op in read_graph(tflite).ops]  # ['CONV_2D', 'FULLY_CONNECTED']
    """
    return File.of(tflite).graph


def operator_names(tree: Any) -> tuple[str, ...]:
    """The names of the operator codes of a `ModelT`, by their numbers."""
    return tuple(
        operator_name(max(code.builtinCode, code.deprecatedBuiltinCode), _text(code.customCode))
        for code in tree.operatorCodes
    )


def _graph(tree: Any) -> Graph:
    operators = operator_names(tree)
    tensors = [[_tensor_info(index, each) for index, each in enumerate(one.tensors)] for one in tree.subgraphs]
    ops = [
        OpInfo(
            operators[op.opcodeIndex],
            tuple(own[number] for number in _sizes(op.inputs) if number >= 0),
            tuple(own[number] for number in _sizes(op.outputs)),
        )
        for subgraph, own in zip(tree.subgraphs, tensors, strict=True)
        for op in subgraph.operators
    ]
    first, own = tree.subgraphs[0], tensors[0]
    return Graph(
        tuple(own[number] for number in _sizes(first.inputs)),
        tuple(own[number] for number in _sizes(first.outputs)),
        tuple(tensor for one in tensors for tensor in one),
        tuple(ops),
    )


def _tensor_info(index: int, tensor: Any) -> TensorInfo:
    record = tensor.quantization
    single = record is not None and record.scale is not None and len(record.scale) == 1
    points = record.zeroPoint if single else None
    return TensorInfo(
        index=index,
        name=_text(tensor.name),
        shape=_sizes(tensor.shape),
        open=tuple(axis for axis, size in enumerate(_sizes(tensor.shapeSignature)) if size < 0),
        dtype=type_name(tensor.type),
        scale=float(record.scale[0]) if single else 0.0,
        zero_point=int(points[0]) if points is not None and len(points) else 0,
        variable=bool(tensor.isVariable),
    )


def _sizes(numbers: Any) -> tuple[int, ...]:
    return () if numbers is None else tuple(numbers.tolist())


def _text(content: bytes | None) -> str:
    return (content or b"").decode(errors="replace")


def read_program(tflite: bytes) -> Program:
    """What a .tflite file makes a microcontroller do, for the cost models.

    Args:
        tflite: the file's content; of several subgraphs, the first one counts.

    Returns:
        A `costs.program.Program`.

    Raises:
        DeploymentError: if it is not a whole TFLite flatbuffer, or beyond the limits.
        ImportError: if ai_edge_litert is not installed.

    Example:

        read_program(tflite).operators[0]  # Operator(name='CONV_2D', inputs=(0, 2, 1), outputs=(3,), ...)
    """
    return File.of(tflite).program


def program_of(model: Any, number: int = 0) -> Program:
    """A subgraph of a `ModelT` as a `Program`."""
    operators, subgraph = operator_names(model), model.subgraphs[number]
    activations, same = names("ActivationFunctionType"), schema().Padding.SAME

    def tensor(one: Any) -> Tensor:
        data, record = model.buffers[one.buffer].data, one.quantization
        channels = len(record.scale) if record is not None and record.scale is not None else 0
        constant = data is not None and len(data) > 0
        point, dtype = zero_point(one), type_name(one.type)
        centred, lowest = point == 0, dtype == "int8" and point == -128
        is_state = bool(one.isVariable)
        return Tensor(_sizes(one.shape), dtype, constant, channels, is_state, centred=centred, lowest=lowest)

    def operator(one: Any) -> Operator:
        options = one.builtinOptions

        def pair(height: str, width: str) -> tuple[int, int]:
            return getattr(options, height, 1), getattr(options, width, 1)

        name = operators[one.opcodeIndex]
        cycles = cycles_max(one.customOptions) if name == "CIRCULAR_BUFFER" else 1
        constants = [integers(model, subgraph, number) for number in _sizes(one.inputs)]
        return Operator(
            name,
            _sizes(one.inputs),
            _sizes(one.outputs),
            stride=pair("strideH", "strideW"),
            dilation=pair("dilationHFactor", "dilationWFactor"),
            window=pair("filterHeight", "filterWidth"),
            multiplier=getattr(options, "depthMultiplier", 1),
            padding="same" if getattr(options, "padding", None) == same else "valid",
            activation=activations.get(getattr(options, "fusedActivationFunction", 0), "unknown").lower(),
            cycles=cycles,
            **settings(name, options, constants),
        )

    return Program(
        tuple(map(operator, subgraph.operators)),
        tuple(map(tensor, subgraph.tensors)),
        _sizes(subgraph.inputs),
        _sizes(subgraph.outputs),
    )


def unpack(tflite: bytes) -> Any:
    """A file as a tree of plain, changeable objects: the schema's `ModelT`.

    Args:
        tflite: the file's content.

    Raises:
        DeploymentError: if it is not a whole TFLite flatbuffer, or beyond the limits.
        ImportError: if ai_edge_litert is not installed.

    Example:

        unpack(tflite).subgraphs[0].tensors[0].shape  # array([  1, 128,   6], dtype=int32)
    """
    return File.of(tflite).tree
