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

Where a branch is searched, what joins its sum joins the shortcut alone when it has gone: a QUANTIZE says for which
branches that is so, and is there in those states alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from types import MappingProxyType
from typing import NamedTuple

from ..graph.needs import ALWAYS, Need
from ..lowering import Network, Node
from ..lowering import operators as kinds
from .names import activation
from .sums import Sides

Absent = frozenset[Need]
"""What has gone with branches that are off."""


@dataclass(frozen=True)
class Quantize(kinds.Operator):
    """QUANTIZE: the same numbers with another scale."""

    when: frozenset[Absent] = frozenset([Absent()])
    """It is there where all of one of these have gone."""


class Way(NamedTuple):
    """A node that joins what it reads with others, what that is, and what has to be absent for that."""

    join: Node
    operand: Node
    absent: Absent


@dataclass(frozen=True, eq=False)
class Apart:
    """Two scales, by the nodes that stand for them, that what a way reads may have and is brought to."""

    way: Way
    of: Node
    to: Node
    absent: Absent


def rescaled(network: Network, sums: Mapping[Node, Sides] = MappingProxyType({})) -> list[Network]:
    """A network with each QUANTIZE that the converter puts between operators; and without those it may leave out.

    Args:
        network: the network.
        sums: its additions of branches (see `sums`).
    """
    nodes = network.nodes()
    joined = _joined(nodes, sums)
    groups = _groups(nodes, joined)
    apart = [one for ways in joined.values() for way in ways for one in _apart(way, ways, groups)]
    return [
        _rescaled(network, joined, [replace(one, to=same[one.to]) for one in apart if same[one.of] is not same[one.to]])
        for same in _equalities(list(dict.fromkeys(group for one in apart for group in (one.of, one.to))))
    ]


def _apart(way: Way, ways: list[Way], groups: Mapping[Node, Node]) -> Iterator[Apart]:
    """Where one of several nodes that join a tensor has another scale than the last one that does, which rules."""
    for last in reversed(ways):
        if last is way:
            return
        if groups[last.join] is not groups[way.join]:
            yield Apart(way, groups[last.join], groups[way.join], way.absent | last.absent)
        if last.absent <= way.absent:
            return


def _equalities(groups: list[Node]) -> Iterator[dict[Node, Node]]:
    """Which scales may be equal: none, all, or two of them; for each, the first one that it is equal to."""
    equals: list[list[Node]] = [[], groups, *map(list, combinations(groups, 2))]
    for place, equal in enumerate(equals[:_VARIANTS]):
        if equal not in equals[:place]:
            yield {group: equal[0] if group in equal else group for group in groups}


def _rescaled(network: Network, joined: Mapping[Node, list[Way]], apart: list[Apart]) -> Network:
    """A network with a QUANTIZE behind what has a fixed range and is joined, and before what joins it at another scale.

    Args:
        network: the network.
        joined: the nodes whose numbers are joined with others.
        apart: where these have another scale.
    """
    nodes = network.nodes()
    new: dict[Node, Node] = {}
    scales = {(one.way.join, one.way.operand): one.to for one in apart}
    when: dict[tuple[Node, Node], set[Absent]] = defaultdict(set)
    for one in apart:
        when[one.way.operand, one.to].add(one.absent)
    between: dict[tuple[Node, Node], Node] = {}
    for node in nodes:
        inputs = []
        for source in node.inputs:
            inputs.append(new[source])
            if (node, source) in scales:
                key = source, scales[node, source]
                between.setdefault(key, _behind(new[source], when[key]))
                inputs[-1] = between[key]
        new[node] = node.on(*inputs)
        if node in joined and activation(node.operator) in _FIXED:
            new[node] = _behind(new[node], {way.absent for way in joined[node]})
    return Network(tuple(new.get(node, node) for node in network.inputs), tuple(new[node] for node in network.outputs))


def _behind(node: Node, when: Iterable[Absent]) -> Node:
    return Node.of(Quantize(frozenset(when)), node, name=node.name)


def _joined(nodes: list[Node], sums: Mapping[Node, Sides]) -> dict[Node, list[Way]]:
    """For each node whose numbers are joined with others, all ways in which they are."""
    found: dict[Node, list[Way]] = defaultdict(list)
    for node in filter(_joins, nodes):
        for operand in node.inputs:
            for made, absent in _makers(operand, sums, Absent()):
                found[made].append(Way(node, operand, absent))
    return found


def _makers(node: Node, sums: Mapping[Node, Sides], absent: Absent) -> Iterator[tuple[Node, Absent]]:
    """What makes the numbers that a node hands on; of a sum, each side if the other one has gone, too."""
    while isinstance(node.operator, _HAND_ON):
        (node,) = node.inputs
    yield node, absent
    if node in sums:
        for side, other in zip(node.inputs, reversed(sums[node]), strict=True):
            if other != ALWAYS:
                yield from _makers(side, sums, absent | {other})


def _groups(nodes: list[Node], joined: Mapping[Node, list[Way]]) -> dict[Node, Node]:
    """For each node that joins, one that stands for all that have its scale."""
    groups = {node: node for node in filter(_joins, nodes)}

    def unite(one: Node, two: Node) -> None:
        old, kept = groups[one], groups[two]
        groups.update({node: kept for node, group in groups.items() if group is old})

    for made, ways in joined.items():
        joins = [way.join for way in ways if not way.absent]
        if made in groups and joins:
            unite(made, joins[-1])
        for join in joins[:-1] if _enters(made) else ():
            unite(join, joins[-1])
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
