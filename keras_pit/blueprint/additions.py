"""Writes down additions whose branches may be off: where one is, what reads the sum reads the shortcut.

    conv a -+-> ADD c -> d         d reads c where the branch b is on, a where it is off; c is present where b is on
    conv b -+

An activation in the addition moves to the shortcut. It costs nothing there if its operator can compute it in passing,
or has done so; else it is an operator of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..costs.operators import Operator
from ..costs.sizes import Scalar, either, is_number, product
from ..graph.needs import Need
from ..layers.ownership import presence
from ..layers.reader import Reader
from ..lowering import Node
from .convolutions import Convolutions
from .names import KINDS, fuses, is_fused
from .parts import Parts
from .sheet import Choice


class Additions(Convolutions):
    """Writes down the additions of a blueprint."""

    def __init__(self, blueprint: Parts, reader: Reader) -> None:
        super().__init__(blueprint, reader)
        self.numbers: dict[Node, int] = {}
        """The tensor that each node makes."""
        self.readers = blueprint.network.uses()
        self._ends = {*blueprint.network.outputs}
        self._ends |= {source for node in self._ends for source in node.inputs if self.joins(node)}
        self.low: dict[int, Scalar] = {}
        """Tensors with an activation whose least number is 0 where they are read in place of a sum: 1 there, else 0."""
        self._presences: dict[Need, Scalar] = {}

    def joins(self, node: Node) -> bool:
        """Whether the operator before a node does it in passing."""
        return bool(node.inputs) and is_fused(node) and self.readers[node.inputs[0]] == 1

    def adds(self, node: Node) -> bool:
        """Whether a node is an addition whose branches may be off; an output of the network is made in any case."""
        return node in self.blueprint.sums and node not in self._ends

    def presence(self, need: Need) -> Scalar:
        """1 where something is needed, 0 where not."""
        if need not in self._presences:
            self._presences[need] = presence(need, self.reader)
        return self._presences[need]

    def sum(self, node: Node, shape: Sequence[Scalar]) -> int:
        """An addition, which is there where both its sides are."""
        left, right = map(self.presence, self.blueprint.sums[node])
        both = product((left, right))
        number = self.put("ADD", [self.numbers[source] for source in node.inputs], shape, presence=both)
        self.choices[number] = [(number, both), *self._alone(node.inputs[0], right), *self._alone(node.inputs[1], left)]
        return number

    def quantized(self, node: Node, shape: Sequence[Scalar]) -> int:
        """A QUANTIZE, which may be there in some states of the branches only; in others, what it reads is read."""
        there: Scalar = 1
        if self.blueprint.sums:
            ways = node.operator.when
            there = either([product(tuple(1 - self.presence(need) for need in absent)) for absent in ways])
        source = self.numbers[node.inputs[0]]
        number = self.put("QUANTIZE", [source], shape, presence=there)
        if not is_number(there):
            rest = [(way, product((presence, 1 - there))) for way, presence in self.ways(source)]
            self.choices[number] = [(number, there), *rest]
        return number

    def _alone(self, source: Node, other: Scalar) -> list[Choice]:
        """What is read in place of the sum where there is nothing on the other side."""
        if is_number(other):  # there always is
            return []
        return [(way, product((there, 1 - other))) for way, there in self.ways(self.numbers[source])]

    def joined(self, activation: str, maker: Node) -> int:
        """An activation that the operator before it computes; behind what is read in place of a sum, it may be one."""
        number = self.numbers[maker]
        self.fuse(activation, number)
        if number in self.choices:
            left, right = self.blueprint.sums[maker]
            ways = [self._activated(activation, maker, *side) for side in zip(maker.inputs, (right, left), strict=True)]
            self.choices[number] = [self.choices[number][0], *ways[0], *ways[1]]
        return number

    def _activated(self, activation: str, maker: Node, source: Node, other: Need) -> list[Choice]:
        """What is read in place of an activation in a sum where there is nothing on the other side."""
        ways = self._alone(source, self.presence(other))
        number = self.numbers[source]
        makers = [one for one in self.operators if number in one.outputs]
        if makers and activation == "relu" and all({one.activation, one.name.lower()} & _ABOVE_0 for one in makers):
            return ways
        joins = fuses(source) and self._is_read_alone(source, maker, other)
        if joins and activation in _ABOVE_0:
            self.low[number] = 1 - self.presence(other)
        return [way if joins and way[0] == number else self._apart(activation, *way) for way in ways]

    def _apart(self, activation: str, number: int, there: Scalar) -> Choice:
        """An activation as an operator of its own."""
        made = self.copy(number)
        self.operators.append(Operator(KINDS[activation], (number,), (made,), presence=product((there, self.there))))
        return made, there

    def _is_read_alone(self, source: Node, maker: Node, other: Need) -> bool:
        """Whether a sum is all that reads an operand, where nothing is on the other side."""
        readers = [node for node in self.blueprint.needs if source in node.inputs and node is not maker]
        return source not in self._ends and all(self.blueprint.needs[one].always & other.branches for one in readers)


_ABOVE_0 = {"relu", "relu6"}
