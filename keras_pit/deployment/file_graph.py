"""What a .tflite file declares about itself.

The data model: a file is a `Graph` of operators (`OpInfo`) that read and make tensors (`TensorInfo`), in the order in
which they run; inputs and outputs in the order of the file.

    Graph(inputs=(x,), outputs=(y,), tensors=(...), ops=(CONV_2D x, w, b -> h; SOFTMAX h -> y))

`flatbuffer.read_graph` reads one.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

# Operators that only change the type of numbers.
BRIDGES = ("QUANTIZE", "DEQUANTIZE")


@dataclass(frozen=True)
class TensorInfo:
    """A tensor of a file; `scale` is 0 where it is not quantised with one scale."""

    index: int
    name: str  # empty in a trimmed file
    shape: tuple[int, ...]
    open: tuple[int, ...]  # the axes that are left to the runtime, which TFLite-Micro ignores
    dtype: str
    scale: float
    zero_point: int
    variable: bool = False  # kept from one inference to the next

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

    @functools.cached_property
    def _makers(self) -> tuple[dict[str, OpInfo], set[str]]:
        """By labels, the operators that make tensors, and the inputs."""
        makers = {tensor.label: maker for maker in self.ops for tensor in maker.outputs}
        return makers, {tensor.label for tensor in self.inputs}

    def place(self, op: OpInfo) -> str:
        """Where an operator stands: 'computed tensor' -> 'result'.

        The names hold those of layers, except for the model's outputs and changes of type.
        """
        makers, given = self._makers
        sources = [tensor.label for tensor in op.inputs if tensor.label in makers or tensor.label in given]
        source, passed = sources[0] if sources else "", set()
        while source in makers and makers[source].name in BRIDGES and makers[source].inputs:
            passed.add(source)
            source = makers[source].inputs[0].label
            if source in passed:  # two tensors may have one name
                break
        return f"{source} -> " * bool(source) + ", ".join(tensor.label for tensor in op.outputs)
