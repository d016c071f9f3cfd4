"""A float network as a microcontroller sees it: a graph of operators on tensors of fixed shape.

A `Node` is one call of an `Operator` on the results of other nodes. Nodes are immutable and point to their inputs, so
a network is its output nodes, and a pass builds new nodes instead of changing old ones:

    x = Node(Input("float32"), (), (1, 1, 64, 6), "signal")
    y = Node.of(Conv(kernel, bias, window), x, name="conv")          y.shape == (1, 1, 64, 16)
    network = rewrite(Network((x,), (y,)), rule)                      rule(node, uses) returns what takes its place

Shapes include the batch, which is 1. Sequences (T, C) are maps of one row, (1, 1, T, C): see `shapes`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..costs.walk import depth_first
from .operators import Operator
from .shapes import Shape


@dataclass(frozen=True, eq=False)
class Node:
    """One call of an `Operator`; `name` is that of the Keras layer that it comes from."""

    operator: Any
    inputs: tuple[Node, ...]
    shape: Shape
    name: str

    @classmethod
    def of(cls, operator: Operator, *inputs: Node, name: str) -> Node:
        """A node whose shape follows from its inputs."""
        return cls(operator, inputs, operator.shape(*(node.shape for node in inputs)), name)

    def on(self, *inputs: Node) -> Node:
        """The same operator on other inputs; the node itself, if they are its own."""
        if inputs == self.inputs:
            return self
        return replace(self, inputs=inputs, shape=self.operator.shape(*(node.shape for node in inputs)))


Uses = Counter[Node]
"""How many nodes and outputs read each node."""


@dataclass(frozen=True, eq=False)
class Network:
    """Input and output nodes, in the model's order."""

    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]

    def nodes(self) -> list[Node]:
        """All nodes that the outputs depend on, each after those it reads."""
        return list(depth_first(self.outputs, lambda node: node.inputs))

    def uses(self) -> Uses:
        """How often each node is read."""
        counts: Uses = Counter(self.outputs)
        for node in self.nodes():
            counts.update(node.inputs)
        return counts

    def evaluate(self, compute: Callable[..., Any], inputs: Sequence[Any]) -> list[Any]:
        """Compute the outputs: `compute(node, *values)` is called for every node but the inputs."""
        values = dict(zip(self.inputs, inputs, strict=True))
        for node in self.nodes():
            if node not in values:
                values[node] = compute(node, *(values[source] for source in node.inputs))
        return [values[node] for node in self.outputs]


def rewrite(network: Network, rule: Callable[[Node, Uses], Node]) -> Network:
    """Build a network anew, from the inputs to the outputs.

    Args:
        network: left as it is.
        rule: called with each node, its inputs being new already, and the number of readers of every node so far;
            returns the node to put in its place.
    """
    uses = network.uses()
    new: dict[Node, Node] = {}
    for old in network.nodes():
        node = old.on(*(new[source] for source in old.inputs))
        if node is not old:
            uses[node] += uses[old]
        new[old] = rule(node, uses)
        if new[old] is not node:
            uses[new[old]] += uses[old]
    inputs = tuple(new.get(node, node) for node in network.inputs)
    return Network(inputs, tuple(new[node] for node in network.outputs))
