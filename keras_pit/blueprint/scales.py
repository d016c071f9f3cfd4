"""Where the converter puts a QUANTIZE: what it joins has one scale, and some of it already has another one.

CONCATENATION, MAXIMUM and MINIMUM compare or copy integers: all that they read has the scale of their result. So has
what is only moved or pooled on the way there. Where that cannot be, numbers are brought to the scale by a QUANTIZE:

    conv -> tanh -> QUANTIZE -> pool -+-> concatenate     the range of tanh is fixed: for all that read it
    conv -----------------------------+

    a -+-> QUANTIZE -> concatenate with b                 a has the scale of the last one that joins it
       +-------------> concatenate with c

An input of the network, and what is looked up in a table, has one scale, which goes on to all that joins it. Two scales
may turn out to be equal, if the largest number of both is the same one; then the file has no QUANTIZE. That takes no
more at any step, but the planner may place the rest worse: so the networks are known with and without, and where two
scales that something is brought to are equal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from ..lowering import Network, Node
from ..lowering import operators as kinds
from .names import activation


class Quantize(kinds.Operator):
    """QUANTIZE: the same numbers with another scale."""


def rescaled(network: Network) -> list[Network]:
    """A network with each QUANTIZE that the converter puts between operators; and without those it may leave out."""
    nodes = network.nodes()
    joined = _joined(nodes)
    groups = _groups(nodes, joined)
    ways = {(join, operand): (groups[some[-1][0]], groups[join]) for some in joined.values() for join, operand in some}
    apart = {way: pair for way, pair in ways.items() if pair[0] is not pair[1]}
    return [
        _rescaled(network, joined, {way: same[to] for way, (of, to) in apart.items() if same[of] is not same[to]})
        for same in _equalities(list(dict.fromkeys(group for pair in apart.values() for group in pair)))
    ]


def _equalities(groups: list[Node]) -> Iterator[dict[Node, Node]]:
    """Which scales may be equal: none, all, or two of them; for each, the first one that it is equal to."""
    equals: list[list[Node]] = [[], groups, *map(list, combinations(groups, 2))]
    for place, equal in enumerate(equals[:_VARIANTS]):
        if equal not in equals[:place]:
            yield {group: equal[0] if group in equal else group for group in groups}


def _rescaled(network: Network, joined: Mapping[Node, Any], apart: Mapping[tuple[Node, Node], Node]) -> Network:
    """A network with a QUANTIZE behind what has a fixed range and is joined, and before what joins it at another scale.

    Args:
        network: the network.
        joined: the nodes whose numbers are joined with others.
        apart: for such joining nodes and what they read, the one whose scale that is brought to.
    """
    nodes = network.nodes()
    new: dict[Node, Node] = {}
    between: dict[tuple[Node, Node], Node] = {}
    for node in nodes:
        inputs = []
        for source in node.inputs:
            inputs.append(new[source])
            if (node, source) in apart:
                key = source, apart[node, source]
                between.setdefault(key, _behind(new[source]))
                inputs[-1] = between[key]
        new[node] = node.on(*inputs)
        if node in joined and activation(node.operator) in _FIXED:
            new[node] = _behind(new[node])
    return Network(tuple(new.get(node, node) for node in network.inputs), tuple(new[node] for node in network.outputs))


def _behind(node: Node) -> Node:
    return Node.of(Quantize(), node, name=node.name)


def _joined(nodes: list[Node]) -> dict[Node, list[tuple[Node, Node]]]:
    """For each node whose numbers are joined with others: by which nodes, and what these read of it."""
    found: dict[Node, list[tuple[Node, Node]]] = defaultdict(list)
    for node in filter(_joins, nodes):
        for operand in node.inputs:
            made = operand
            while isinstance(made.operator, _HAND_ON):
                (made,) = made.inputs
            found[made].append((node, operand))
    return found


def _groups(nodes: list[Node], joined: dict[Node, list[tuple[Node, Node]]]) -> dict[Node, Node]:
    """For each node that joins, one that stands for all that have its scale."""
    groups = {node: node for node in filter(_joins, nodes)}

    def unite(one: Node, two: Node) -> None:
        old, kept = groups[one], groups[two]
        groups.update({node: kept for node, group in groups.items() if group is old})

    for made, ways in joined.items():
        *others, (last, _) = ways
        if made in groups:
            unite(made, last)
        for join, _ in others if _enters(made) else ():
            unite(join, last)
    return groups


def _enters(node: Node) -> bool:
    """Whether the converter is given a node's numbers: those of an input, and of a table (see `deployment.tables`)."""
    return isinstance(node.operator, (kinds.Input, kinds.Function)) or activation(node.operator) == "elu"


def _joins(node: Node) -> bool:
    operator = node.operator
    if isinstance(operator, kinds.Binary):
        return operator.kind in ("maximum", "minimum")
    return isinstance(operator, kinds.Concat) or activation(operator) in ("clip", "minimum")


_HAND_ON = (kinds.Pool, kinds.Pad, kinds.Reshape, kinds.Transpose, kinds.Slice, kinds.Resize, kinds.Take)
"""What keeps the scale of what it reads."""
_VARIANTS = 8
_FIXED = ("sigmoid", "tanh", "softmax", "log_softmax")
"""Their results have a scale of their own."""
