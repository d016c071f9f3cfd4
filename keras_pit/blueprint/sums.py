"""Additions some of whose operands may be off, in a lowered network; and when each of its nodes is needed.

An addition of three operands is two nodes, the first of which the second one reads:

    Add([f(x), x, g(x)])       ADD 1 = f(x) + x, if f is on; else what reads ADD 1 reads x
                               ADD 2 = ADD 1 + g(x), if g is on; else what reads ADD 2 reads ADD 1, or x
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

from ..graph.branches import Branch
from ..graph.needs import ALWAYS, NEVER, Need
from ..layers.sums import PITAdd
from ..lowering import Network, Node
from ..lowering.operators import Binary

Sides = tuple[Need, Need]
"""When there is anything to the left and to the right of an addition."""


def sums_of(network: Network, layers: Mapping[str, Any]) -> dict[Node, Sides]:
    """The nodes that add branches; the search model's layers are by the nodes' names."""
    found: dict[Node, Sides] = {}
    turns: dict[Node, int] = {}
    for node in network.nodes():
        layer = layers.get(node.name)
        if not isinstance(layer, PITAdd) or not isinstance(node.operator, Binary):
            continue
        left = node.inputs[0]
        # Where a model is called on what it has returned, the first operand is a sum of the same layer.
        before = turns.get(left, 0) % (len(layer.input) - 1) if left.name == node.name else 0
        turns[node] = before + 1
        first, *others = (_there(layer, place) for place in range(before + 2))
        found[node] = reduce(Need.__or__, others[:-1], first), others[-1]
    return {node: sides for node, sides in found.items() if sides != (ALWAYS, ALWAYS)}


def _there(layer: PITAdd, place: int) -> Need:
    return Need.of([[Branch(layer, place)]]) if place in layer.places else ALWAYS


def needs_of(nodes: Iterable[Node], outputs: Iterable[Node], sums: Mapping[Node, Sides]) -> dict[Node, Need]:
    """When each node is needed.

    Args:
        nodes: all nodes, each after those it reads.
        outputs: those that are always needed.
        sums: as `sums_of`.
    """
    needs: dict[Node, Need] = defaultdict(lambda: NEVER, dict.fromkeys(outputs, ALWAYS))
    for node in reversed(list(nodes)):
        sides = sums.get(node, (ALWAYS,) * len(node.inputs))
        for source, side in zip(node.inputs, sides, strict=True):
            needs[source] |= needs[node] & side
    return needs
