"""A program of one time step as a file: weights, scales and zero points are those of the file of the whole window.

    File of a window --program--> Program --streaming.streamed--> Streamed --write--> File of a step

What is known of time is written down in the file's description, for whoever has only the file:

    keras_pit stream: window 128, period 1, first 127, delay 0
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..costs.operators import Operator
from ..errors import DeploymentError
from ..streaming import CannotStream, Origin, Streamed, Timing, streamed
from .flatbuffer import File, operator_names
from .packing import pack
from .schema import keep, optional, schema
from .scopes import scope
from .trim import STREAM, trim_file

_BUFFER = "CIRCULAR_BUFFER"
_DESCRIPTION = re.compile(rf"{STREAM.decode()}: window (\d+), period (\d+), first (\d+), delay (-?\d+)")
_OPTIONS = {
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "SLICE": "SliceOptions",
    "RESHAPE": "ReshapeOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "MAXIMUM": "MaximumMinimumOptions",
}
"""Of the operators that a stream needs and the whole network has not."""


def stream(file: File, every: int = 1, layers: Sequence[str] = ()) -> Streamed:
    """The program of one time step of a file.

    Args:
        file: of a whole window, int8, with the names of its tensors.
        every: how often the head runs.
        layers: the names of the layers that it was made of.

    Raises:
        DeploymentError: names the layer that cannot stream, as far as the names of tensors tell it.
    """
    try:
        return streamed(file.program, every=every)
    except CannotStream as error:
        place = "it" if error.number is None else _place(file, error.number, layers)
        raise DeploymentError(
            f"The network cannot stream: {place} {error.reason}. Convert it without streaming=True, or replace "
            "the layer."
        ) from error


def _place(file: File, number: int, layers: Sequence[str]) -> str:
    """The layers that an operator is of: names of tensors begin with theirs, in the form that TensorFlow takes."""
    op = file.graph.ops[number]
    words = dict.fromkeys(word for tensor in op.outputs for word in re.split("[/;]", tensor.name))
    names = {scope(name): name for name in layers}
    # TensorFlow numbers what has the same name.
    candidates = dict.fromkeys(one for word in words for one in (word, re.sub(r"_\d+$", "", word)) if one in names)
    found = [names[one] for one in candidates]
    return f"layer {' and '.join(map(repr, found))} ({op.name})" if found else f"{op.name} ({file.graph.place(op)})"


def write(file: File, steps: Streamed) -> File:
    """The file of a program of one time step.

    Args:
        file: that of the whole window.
        steps: its program of a step.
    """
    return trim_file(File(_Writer(file, steps).content()))


def timing_of(file: File) -> Timing | None:
    """When a file decides; None if it is none of a step that `write` has written."""
    found = _DESCRIPTION.fullmatch((file.tree.description or b"").decode(errors="replace"))
    return Timing(*map(int, found.groups())) if found else None


class _Writer:
    """Puts the tensors and operators of a step in place of those of the window."""

    def __init__(self, file: File, steps: Streamed) -> None:
        self.schema, self.steps, self.old = schema(), steps, file.tree.subgraphs[0]
        self.model = copy.deepcopy(file.tree)
        self.codes = {name: number for number, name in enumerate(operator_names(file.tree))}

    def content(self) -> bytes:
        """The file's bytes."""
        subgraph, program = self.model.subgraphs[0], self.steps.program
        pairs = zip(program.tensors, self.steps.origins, strict=True)
        subgraph.tensors = [self._tensor(tensor.shape, tensor.variable, origin) for tensor, origin in pairs]
        sources = zip(program.operators, self.steps.sources, strict=True)
        subgraph.operators = [self._operator(operator, source) for operator, source in sources]
        subgraph.inputs, subgraph.outputs = (np.array(one, np.int32) for one in (program.inputs, program.outputs))
        self.model.signatureDefs = None
        time = self.steps.timing
        told = f"window {time.window}, period {time.period}, first {time.first}, delay {time.delay}"
        self.model.description = b"%s: %s" % (STREAM, told.encode())
        return pack(self.model, self.schema, b"TFL3")

    def _tensor(self, shape: Any, variable: bool, origin: Origin) -> Any:
        tensor = self.schema.TensorT()
        if origin.of is not None:
            old = self.old.tensors[origin.of]
            tensor.name, tensor.type, tensor.quantization = old.name, old.type, old.quantization
            tensor.buffer = 0 if variable else old.buffer
        else:
            tensor.type = self.schema.TensorType.INT32
        if origin.values is not None:
            numbers = np.array(origin.values, "<i4" if origin.of is None else np.int8)
            tensor.buffer = keep(self.model, numbers)
        tensor.shape, tensor.isVariable = np.array(shape, np.int32), variable
        return tensor

    def _operator(self, operator: Operator, source: int | None) -> Any:
        old = None if source is None else self.old.operators[source]
        if old is not None and self.codes.get(operator.name) == old.opcodeIndex:
            made = copy.deepcopy(old)
            made.intermediates = None
        else:
            made = self.schema.OperatorT()
            made.opcodeIndex = self._code(operator.name)
            if operator.name == _BUFFER:
                made.customOptions = _cycles(operator.cycles)
            else:
                made.builtinOptionsType = getattr(self.schema.BuiltinOptions, _OPTIONS[operator.name])
                made.builtinOptions = getattr(self.schema, _OPTIONS[operator.name] + "T")()
        _set(made.builtinOptions, operator, self.schema)
        made.inputs, made.outputs = (np.array(one, np.int32) for one in (operator.inputs, operator.outputs))
        return made

    def _code(self, name: str) -> int:
        if name not in self.codes:
            code = self.schema.OperatorCodeT()
            number = getattr(self.schema.BuiltinOperator, "CUSTOM" if name == _BUFFER else name)
            code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), 1
            code.customCode = name.encode() if name == _BUFFER else None
            self.codes[name] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(code)
        return self.codes[name]


def _cycles(count: int) -> np.ndarray:
    """The options of a CIRCULAR_BUFFER: a flexbuffer vector with one number."""
    builder = optional("flatbuffers.flexbuffers").Builder()
    with builder.Vector():
        builder.Int(count)
    return np.frombuffer(bytes(builder.Finish()), np.uint8)


def _set(options: Any, operator: Operator, tflite: Any) -> None:
    """Write an operator's settings into the options that have them."""
    pairs = (
        ("strideH", "strideW", operator.stride),
        ("dilationHFactor", "dilationWFactor", operator.dilation),
        ("filterHeight", "filterWidth", operator.window),
    )
    for high, wide, values in pairs:
        if hasattr(options, high):
            setattr(options, high, values[0])
            setattr(options, wide, values[1])
    if hasattr(options, "padding") and type(options).__name__ != "PadOptionsT":
        options.padding = getattr(tflite.Padding, operator.padding.upper())
    if operator.name == "STRIDED_SLICE":  # its bounds are written out
        options.beginMask = options.endMask = 0
    if operator.name == "CONCATENATION":
        options.axis = operator.axis
    if operator.name == "FULLY_CONNECTED":
        options.fusedActivationFunction = getattr(tflite.ActivationFunctionType, operator.activation.upper())
