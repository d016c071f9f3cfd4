"""Functions that TFLite-Micro has no kernel of 8 bits for, as tables of their 256 results.

    x -> gelu -> y        CAST x to int32, ADD 128, GATHER of (gelu(x) for x = -128 .. 127) -> y

The converter would leave such a function in floats. So it is shown a network that is cut there: x is a further output,
y a further input, with gelu of each calibration sample to see the range of. In its file, the two ends are joined:

    cut(network)             the network without its functions, and these
    join(file, functions)    the file with them

ELU is cut and joined alike. It has a kernel, which makes such a table by itself, but the converter does not write it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..lowering import Network, Node
from ..lowering.graph import Uses, rewrite
from ..lowering.operators import Activation, Binary, Function, Input, Operator
from .file_graph import TensorInfo
from .flatbuffer import File
from .packing import repack
from .schema import keep, schema

_FIRST = 128
"""What makes the smallest integer of 8 bits 0."""


def is_tabulated(operator: Operator) -> bool:
    """Whether an operator becomes a table in a file of 8 bits."""
    return isinstance(operator, Function) or (isinstance(operator, Activation) and operator.kind == "elu")


def cut(network: Network) -> tuple[Network, tuple[Node, ...]]:
    """A network without its tabulated functions.

    Returns:
        The network, with an input in place of each function's result and an output for what it read, behind its own
        ones; and the functions, as nodes of the whole network.
    """
    reads: dict[Node, Node] = {}

    def rule(node: Node, uses: Uses) -> Node:
        if not is_tabulated(node.operator):
            return node
        result = Node(Input("float32", node.shape[1:]), (), node.shape, node.name)
        reads[result] = _held(node.inputs[0])
        return result

    parts = rewrite(network, rule)
    functions = tuple(node for node in network.nodes() if is_tabulated(node.operator))
    outputs = (_held(node) if node in reads else node for node in parts.outputs)
    return Network((*parts.inputs, *reads), (*outputs, *reads.values())), functions


def _held(node: Node) -> Node:
    """An input that is an output as it is would stay a float: MAXIMUM of it and itself does not, until `join`."""
    return Node.of(Binary("maximum"), node, node, name=node.name) if isinstance(node.operator, Input) else node


def join(file: File, functions: Sequence[Operator]) -> File:
    """The file of a network that was cut, with the functions at its ends.

    Args:
        file: of 8 bits; its last inputs are the results of the functions, its last outputs what they read.
        functions: in the order of these.
    """
    if not functions:
        return file
    count, model = len(functions), copy.deepcopy(file.tree)
    subgraph, tensors = model.subgraphs[0], file.graph.tensors
    builder = _Builder(model)
    builder.let_go()
    for function, source, result in zip(functions, subgraph.outputs[-count:], subgraph.inputs[-count:], strict=True):
        if isinstance(function, Function):
            ends = tensors[source], tensors[result]
            builder.look_up(*ends, table(function, *ends))
        else:
            builder.add("ELU", [source], result)
    subgraph.inputs, subgraph.outputs = subgraph.inputs[:-count], subgraph.outputs[:-count]
    subgraph.operators = _in_order(subgraph)
    model.signatureDefs = None
    return repack(model)


def table(function: Function, source: TensorInfo, result: TensorInfo) -> np.ndarray:
    """The integers of the result for those of the source from -128 to 127."""
    import tensorflow as tf

    integers = np.arange(-_FIRST, _FIRST)
    reals = np.asarray(function.compute(tf.constant(source.dequantize(integers))))
    # What was never met may be infinite, or no number.
    ends = result.dequantize(integers[[0, -1]])
    return result.quantize(np.clip(np.where(np.isnan(reals), 0.0, reals), *ends))


class _Builder:
    """Adds operators and tensors to the first subgraph of a file."""

    def __init__(self, model: Any) -> None:
        self.schema = schema()
        self.model = model
        self.subgraph = model.subgraphs[0]
        self.first: int | None = None
        """What is added to integers to number entries from 0 on: one tensor for all tables."""

    def let_go(self) -> None:
        """Drop each MAXIMUM of a tensor and itself."""
        code = self.code(self.schema.BuiltinOperator.MAXIMUM, 1)
        same = [op for op in self.subgraph.operators if op.opcodeIndex == code and op.inputs[0] == op.inputs[1]]
        instead = {int(op.outputs[0]): int(op.inputs[0]) for op in same}
        self.subgraph.operators = [op for op in self.subgraph.operators if op not in same]
        for part in (self.subgraph, *self.subgraph.operators):
            part.inputs, part.outputs = (
                np.array([instead.get(int(number), number) for number in numbers], np.int32)
                for numbers in (part.inputs, part.outputs)
            )

    def look_up(self, source: TensorInfo, result: TensorInfo, entries: np.ndarray) -> None:
        """GATHER the entry of a table that each integer stands for."""
        types, integers = self.schema.TensorType, self.schema.TensorType.INT32
        signed, positive = (
            self.tensor(f"{result.name}_{word}", source.shape, integers) for word in ("signed", "positive")
        )
        if self.first is None:
            self.first = self.tensor("first", (1,), integers, np.array([_FIRST], "<i4"))
        quantization = self.subgraph.tensors[result.index].quantization
        constant = self.tensor(f"{result.name}_table", entries.shape, types.INT8, entries, quantization)
        cast = self.schema.CastOptionsT()
        cast.inDataType, cast.outDataType = types.INT8, integers
        self.add("CAST", [source.index], signed, cast)
        self.add("ADD", [signed, self.first], positive, self.schema.AddOptionsT())
        self.add("GATHER", [constant, positive], result.index, self.schema.GatherOptionsT())

    def tensor(
        self, name: str, shape: Sequence[int], dtype: int, content: np.ndarray | None = None, quantization: Any = None
    ) -> int:
        """A new tensor; its number."""
        tensor = self.schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, np.array(shape, np.int32), dtype
        tensor.quantization = quantization
        if content is not None:
            tensor.buffer = keep(self.model, content)
        self.subgraph.tensors.append(tensor)
        return len(self.subgraph.tensors) - 1

    def add(self, name: str, inputs: Sequence[int], output: int, options: Any = None) -> None:
        """A new operator."""
        op = self.schema.OperatorT()
        op.opcodeIndex = self.code(getattr(self.schema.BuiltinOperator, name), 1 if options is None else 2)
        op.inputs, op.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
        if options is not None:
            op.builtinOptionsType = getattr(self.schema.BuiltinOptions, type(options).__name__[:-1])
            op.builtinOptions = options
        self.subgraph.operators.append(op)

    def code(self, builtin: int, version: int) -> int:
        """The number of an operator's code, a new one if it is not there yet."""
        for number, code in enumerate(self.model.operatorCodes):
            if code.builtinCode == builtin:
                return number
        code = self.schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = builtin
        code.version = version
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1


def _in_order(subgraph: Any) -> list[Any]:
    """The operators, each behind those that make what it reads."""
    makers = {int(number): op for op in subgraph.operators for number in op.outputs}
    placed: dict[int, Any] = {}
    for op in subgraph.operators:
        stack = [op]
        while stack:
            found = [makers[int(number)] for number in stack[-1].inputs if int(number) in makers]
            missing = [maker for maker in found if id(maker) not in placed]
            if not missing:
                last = stack.pop()
                placed[id(last)] = last
            stack += missing
    return list(placed.values())
