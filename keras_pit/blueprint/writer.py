"""Writes down the operators and tensors of a blueprint, as the converter would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..costs.operators import Operator, Tensor
from ..costs.program import Program
from ..costs.sizes import Scalar, choose, is_number, product, the_one
from ..graph.needs import ALWAYS
from ..layers.reader import Reader
from ..lowering import Node
from ..lowering import operators as kinds
from ..lowering.passes import moves_ones_only
from .additions import Additions
from .names import activation, arguments, operator_name, settings
from .parts import Parts
from .scales import Quantize
from .states import replaced


class Writer(Additions):
    """Writes down the program of a blueprint."""

    def __init__(self, blueprint: Parts, reader: Reader) -> None:
        super().__init__(blueprint, reader)
        self.nodes: list[Node] = []
        """The node that each operator is for."""

    def build(self, nodes: Sequence[Node]) -> Program:
        """The program, with its nodes written down in the given order."""
        network = self.blueprint.network
        for node in nodes:
            first, maker = len(self.operators), node
            self.need = self.blueprint.needs.get(node, ALWAYS)
            self.there = self.presence(self.need)
            if isinstance(node.operator, (kinds.Input, kinds.Constant)):
                self.numbers[node] = self.given(node)
            elif self.joins(node):
                (maker,) = node.inputs
                self.numbers[node] = self.joined(activation(node.operator), maker)
            else:
                self.numbers[node] = self.node(node)
            self.operators[first:] = [replace(operator, layer=node.name) for operator in self.operators[first:]]
            self.nodes += [maker] * (len(self.operators) - first)
        inputs, outputs = (tuple(self.numbers[node] for node in nodes) for nodes in (network.inputs, network.outputs))
        return Program(tuple(self.operators), tuple(self._at_the_end()), inputs, outputs)

    def _at_the_end(self) -> list[Tensor]:
        """The tensors, those marked whose smallest number is 0."""
        versions: dict[int, list[tuple[Scalar, Scalar]]] = {}
        lowest: dict[int, Scalar] = {}
        for operator in self.operators:
            (made,) = operator.outputs
            is_low = self.low.get(made, 0)
            if operator.activation in _LOW or operator.name.lower() in _LOW:
                is_low = 1
            elif operator.name in _KEEPS_LOW:
                is_low = lowest.get(operator.inputs[0], 0)
            versions.setdefault(made, []).append((is_low, operator.presence))
            lowest[made] = the_one(versions[made])
        return [replace(one, lowest=lowest.get(number, 0)) for number, one in enumerate(self.tensors)]

    def given(self, node: Node) -> int:
        """An input, or a constant that is computed with."""
        if isinstance(node.operator, kinds.Constant):
            return self.tensor(node.shape, constant=True)
        is_float = node.operator.dtype == "float32"
        return self.tensor(self.shape(node), "int8" if is_float else node.operator.dtype)

    def shape(self, node: Node) -> tuple[Scalar, ...]:
        """The shape of a node's output, as the masks leave it."""
        if node not in self.blueprint.masks:
            return node.shape
        axis, masks = self.blueprint.masks[node]
        if node.shape[axis] == 1:  # a tensor keeps a channel
            return node.shape
        return replaced(node.shape, axis + len(node.shape), masks.count(self.reader))

    def node(self, node: Node) -> int:
        """One operator, and what has to come before it."""
        operator, shape = node.operator, self.shape(node)
        inputs = [self.numbers[source] for source in node.inputs]
        if node in self.blueprint.kernels:
            return self.searched(node, inputs[0], shape)
        if isinstance(operator, (kinds.Conv, kinds.Depthwise)):
            return self.convolution(node, inputs[0], shape)
        if isinstance(operator, kinds.Pad) and len(shape) == 4 and not operator.value:
            batch, rows, columns, channels = operator.amounts
            if batch == channels == (0, 0):
                return self.pad((rows, columns), inputs[0])
        options: dict[str, Any] = {}
        constants: list[int] = []
        if isinstance(operator, kinds.Dense):
            constants = self.weights((shape[-1], product(self.tensors[inputs[0]].shape)), operator.bias, must=False)
            constants = self.once(operator, constants)
        elif isinstance(operator, kinds.TransposeConv):
            options = {"stride": operator.strides, "padding": operator.padding.lower()}
            read = self.tensors[inputs[0]].shape[-1]
            constants = self.weights((shape[-1], *operator.kernel.shape[:2], read), operator.bias, must=False)
            inputs = [self.tensor((4,), "int32", constant=True), constants[0], inputs[0]]
            constants = constants[1:]
        elif isinstance(operator, kinds.Pool):
            window = operator.window
            options = {"stride": window.strides, "window": window.size, "padding": operator.padding.lower()}
        elif isinstance(operator, kinds.Gather):
            inputs = [self.tensor(operator.table.shape, constant=True), *inputs]
        elif isinstance(operator, kinds.PReLU):
            constants = [self.tensor((1, 1, shape[-1]), constant=True)]
        elif isinstance(operator, kinds.Function):
            return self.looked_up(inputs[0], shape)
        elif isinstance(operator, kinds.Transpose):
            return self.transposed(node, inputs[0], shape)
        elif activation(operator) in ("clip", "minimum"):
            return self.limited(operator.arguments, inputs[0], shape)
        else:
            constants = [self.setting(*pair) for pair in zip(arguments(node), self.contents(node, shape), strict=True)]
            if operator_name(node) == "PADV2":
                constants.append(self.tensor((), constant=True))
            options = settings(operator)
        if self.adds(node):
            return self.sum(node, shape)
        if isinstance(operator, Quantize):
            return self.quantized(node, shape)
        return self.put(operator_name(node), [*inputs, *constants], shape, **options)

    def contents(self, node: Node, shape: tuple[Scalar, ...]) -> list[tuple[Scalar, ...] | None]:
        """What the masks leave of the settings of a node, by setting; None if that is all."""
        values = arguments(node)
        if not isinstance(node.operator, (kinds.Reshape, kinds.Slice)) or node not in self.blueprint.masks:
            return [None] * len(values)
        if isinstance(node.operator, kinds.Reshape):
            return [shape]
        axis, _ = self.blueprint.masks[node]
        is_whole = values[0][axis] == 0 and operator_name(node) == "SLICE"
        return [None, shape] if is_whole else [()] * len(values)

    def transposed(self, node: Node, source: int, shape: tuple[Scalar, ...]) -> int:
        """A TRANSPOSE, or a RESHAPE where a single channel is left and nothing else moves."""
        (read,), axes = node.inputs, node.operator.axes
        single: Scalar = 0
        if read in self.blueprint.masks:
            axis, masks = self.blueprint.masks[read]
            if moves_ones_only(axes, replaced(read.shape, axis + len(read.shape), 1)):
                single = choose(masks.count(self.reader) <= 1, 1, 0)
        (order,) = arguments(node)
        made = self.put("TRANSPOSE", [source, self.setting(order)], shape, permutation=axes, presence=1 - single)
        if not is_number(single):
            self.add(Operator("RESHAPE", (source, self.setting(order, shape)), (made,), presence=single))
        return made

    def looked_up(self, source: int, shape: Sequence[Scalar]) -> int:
        """The entries of a table, which integers from 0 on number (see `deployment.tables`)."""
        signed = self.put("CAST", [source], shape, "int32")
        positive = self.put("ADD", [signed, self.setting(np.array([128]))], shape, "int32")
        return self.put("GATHER", [self.tensor((256,), constant=True), positive], shape)

    def limited(self, limits: tuple[float, ...], source: int, shape: Sequence[Scalar]) -> int:
        """No more than the last limit, and no less than the one before it, if there is one."""
        number = self.put("MINIMUM", [source, self.tensor((), constant=True)], shape)
        if len(limits) == 1:
            return number
        if limits[0] == 0:
            return self.put("RELU", [number], shape)
        return self.put("MAXIMUM", [number, self.tensor((), constant=True)], shape)


_LOW = ("relu", "relu6", "logistic", "softmax")
_KEEPS_LOW = ("AVERAGE_POOL_2D", "MAX_POOL_2D", "PAD", "RESHAPE", "SLICE", "STRIDED_SLICE", "TRANSPOSE")
"""Operators whose results have no number below 0, and those that keep it so."""
