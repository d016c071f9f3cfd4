"""Branches that may vanish, as a shortcut goes round them.

    x -+-> conv a -> norm -> conv b -+         the sum may be x alone: a, norm and b are one branch
       |                             add ->
       +-----------------------------+         the shortcut: identity, or one layer with weights (a projection)

All operands of an addition start from what they have in common. The shortcut is the one with the fewest layers with
weights from there, one at most; every operand with more of them is a branch. So an addition of three may lose two, and
a branch may lie in another one. What is needed in which states of the branches is told by its `Need`.

Knows no masks.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, NamedTuple

import keras

from . import _keras, table
from .kinds import kind_of
from .needs import ALWAYS, NEVER, Need


class Branch(NamedTuple):
    """One operand of an addition."""

    sum: Any
    """The layer or operation that adds."""
    place: int


@dataclass(frozen=True, eq=False)
class Branches:
    """The additions of a model, and what each of their branches carries."""

    places: dict[Any, tuple[int, ...]] = field(default_factory=dict)
    """For each addition with branches, which operands these are."""
    needs: dict[Any, Need] = field(default_factory=dict)
    """For each operation that may vanish, when it is needed."""
    kept: dict[Any, str] = field(default_factory=dict)
    """For each addition all of whose operands stay, why."""

    def need(self, operation: Any) -> Need:
        """When an operation is needed."""
        return self.needs.get(operation, ALWAYS)

    def within(self, branch: Branch) -> list[Any]:
        """The operations that a branch consists of."""
        return [operation for operation, need in self.needs.items() if branch in need.always]

    def transfer(self, operations: dict[Any, Any]) -> Branches:
        """The same for a rebuilt model, given the new operation for each old one."""

        def renamed(branch: Branch) -> Branch:
            return Branch(operations[branch.sum], branch.place)

        return Branches(
            {operations[one]: places for one, places in self.places.items()},
            {operations[one]: need.renamed(renamed) for one, need in self.needs.items()},
            {operations[one]: reason for one, reason in self.kept.items()},
        )


def find(model: keras.Model, stays: Callable[[Any], str | None]) -> Branches:
    """The branches of a model.

    Args:
        model: Functional or built Sequential model.
        stays: tells for an operation why it may not vanish (None: it may).
    """
    found, kept = _candidates(model, stays)
    while True:
        needs = _needs(model, found)
        refused = dict(_refused(needs, found, stays))
        if not refused:
            break
        for branch, reason in refused.items():
            found.remove(branch)
            kept[branch.sum] = reason
    places: dict[Any, tuple[int, ...]] = {}
    for branch in found:
        places[branch.sum] = (*places.get(branch.sum, ()), branch.place)
    vanishing = {operation: some[0] for operation, some in needs.items() if some[0] != ALWAYS}
    return Branches(places, vanishing, {one: reason for one, reason in kept.items() if one not in places})


def adds(operation: Any) -> bool:
    """Whether it adds tensors."""
    return kind_of(operation) is keras.layers.Add or _keras.op_name(operation) == "Add"


def has_kernel(operation: Any) -> bool:
    """Whether a layer, or a model in the model, mixes channels by weights."""
    if _keras.is_graph(operation):
        return any(has_kernel(call.operation) for call in _keras.calls(operation))
    known = table.row(operation)
    return known.geometry is not None if known else bool(getattr(operation, "weights", ()))


# -- which operands ---------------------------------------------------------------------------------------------------


def _candidates(model: keras.Model, stays: Callable[[Any], str | None]) -> tuple[list[Branch], dict[Any, str]]:
    """The operands that a shortcut goes round; for every other addition why it has none."""
    found: list[Branch] = []
    kept: dict[Any, str] = {}
    for graph in _graphs(model):
        calls = list(_keras.calls(graph))
        times = Counter(call.operation for call in calls)
        for call in calls:
            if not adds(call.operation) or len(call.node.input_tensors) < 2:
                continue
            reason = stays(call.operation) or _odd(call)
            if times[call.operation] > 1:
                reason = "is called several times"
            places = [] if reason else _round(call, calls)
            found += [Branch(call.operation, place) for place in places]
            if not places:
                kept[call.operation] = reason or "has no operand that is a shortcut round another one"
    return found, kept


def _graphs(model: keras.Model) -> list[keras.Model]:
    """A model and all models in it, each once."""
    inner = dict.fromkeys(call.operation for call in _keras.calls(model) if _keras.is_graph(call.operation))
    return list(dict.fromkeys([model, *(graph for one in inner for graph in _graphs(one))]))


def _odd(call: _keras.OperationCall) -> str | None:
    """What keeps an addition from being replaced by one of its operands, whichever it is."""
    tensors, (result,) = call.node.input_tensors, call.node.outputs
    if any(map(_keras.masked, tensors)):
        return "has operands with a mask of time steps"
    if any(tensor.dtype != result.dtype for tensor in tensors) or not keras.backend.is_float_dtype(result.dtype):
        return "has operands of several types or of integers"
    if any(len(tensor.shape) != len(result.shape) for tensor in tensors):
        return "has operands of several ranks"
    return None


def _round(call: _keras.OperationCall, calls: list[_keras.OperationCall]) -> list[int]:
    """The operands that one with fewer layers with weights goes round."""
    operands, (result,) = call.node.input_tensors, call.node.outputs
    makers = {id(tensor): one for one in calls for tensor in one.node.outputs}
    common = reduce(set.__and__, (_behind(tensor, makers) for tensor in operands))
    lengths: dict[int, float] = defaultdict(lambda: math.inf, dict.fromkeys(common, 0))
    for one in calls:
        before = min((lengths[id(tensor)] for tensor in one.node.input_tensors), default=math.inf)
        for tensor in one.node.outputs:
            if id(tensor) not in common:
                lengths[id(tensor)] = before + has_kernel(one.operation)
    ways = [lengths[id(tensor)] for tensor in operands]
    is_whole = [tuple(tensor.shape) == tuple(result.shape) for tensor in operands]
    least = min(ways)
    if least > 1 or not any(way == least and whole for way, whole in zip(ways, is_whole, strict=True)):
        return []
    return [place for place, way in enumerate(ways) if least < way < math.inf]


def _behind(tensor: Any, makers: dict[int, _keras.OperationCall]) -> set[int]:
    """A tensor and all that it depends on, by identity."""
    found: set[int] = set()
    stack = [tensor]
    while stack:
        one = stack.pop()
        if id(one) not in found:
            found.add(id(one))
            stack += makers[id(one)].node.input_tensors if id(one) in makers else []
    return found


# -- what they carry --------------------------------------------------------------------------------------------------


def _needs(model: keras.Model, found: Iterable[Branch]) -> dict[Any, list[Need]]:
    """When each operation is needed, one for each call, in the order of the graph."""
    branches = set(found)
    needs: dict[Any, list[Need]] = defaultdict(list)

    def visit(graph: keras.Model, need: Need) -> None:
        by_tensor: dict[int, Need] = defaultdict(lambda: NEVER)
        by_tensor.update(dict.fromkeys(map(id, _keras.graph(graph).outputs), need))
        for call in reversed(list(_keras.calls(graph))):
            here = reduce(Need.__or__, (by_tensor[id(tensor)] for tensor in call.node.outputs))
            needs[call.operation].append(here)
            for place, tensor in enumerate(call.node.input_tensors):
                branch = Branch(call.operation, place)
                way = here & Need.of([[branch]]) if branch in branches else here
                by_tensor[id(tensor)] |= way
            if _keras.is_graph(call.operation):
                visit(call.operation, here)

    visit(model, ALWAYS)
    return dict(reversed(needs.items()))


def _refused(
    needs: dict[Any, list[Need]], found: Iterable[Branch], stays: Callable[[Any], str | None]
) -> Iterable[tuple[Branch, str]]:
    """The branches that cannot vanish after all, because of what they consist of."""
    for operation, some in needs.items():
        if len(set(some)) > 1:
            everywhere = reduce(frozenset.__and__, (need.always for need in some))
            for branch in frozenset().union(*(need.branches for need in some)) - everywhere:
                yield branch, f"shares layer '{operation.name}' with what stays without the branch"
    for operation, some in needs.items():
        reason = stays(operation)
        for branch in some[0].always if reason else ():
            yield branch, f"adds what layer '{operation.name}' makes, which {reason}"
