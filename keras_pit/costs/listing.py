"""Operators in a row: is one possible, and how to list them in another one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import heapify, heappop, heappush

from .program import Order, Program
from .walk import depth_first


def in_order(program: Program, places: Sequence[int]) -> Program:
    """A network with its operators in another order, and its tensors numbered as they come."""
    operators = [program.operators[place] for place in places]
    met = [*program.inputs, *(n for op in operators for n in (*op.inputs, *op.outputs) if n >= 0), *program.outputs]
    numbers = {-1: -1} | {old: new for new, old in enumerate(dict.fromkeys(met))}

    def renumbered(olds: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(numbers[old] for old in olds)

    return Program(
        tuple(replace(op, inputs=renumbered(op.inputs), outputs=renumbered(op.outputs)) for op in operators),
        tuple(program.tensors[old] for old in numbers if old >= 0),
        renumbered(program.inputs),
        renumbered(program.outputs),
    )


def is_ordered(program: Program) -> bool:
    """Whether each tensor is made once, before any operator reads it."""
    makers = Counter(number for op in program.operators for number in op.outputs)
    made: set[int] = set()
    for op in program.operators:
        if any(number in makers and number not in made for number in op.inputs):
            return False
        made.update(op.outputs)
    return all(count == 1 for count in makers.values()) and makers.keys().isdisjoint(program.inputs)


def by_turns(program: Program, places: Iterable[int], turns: Mapping[int, int]) -> Order:
    """Some operators by their turns, but each behind those of them that it reads."""
    places = list(places)
    makers: dict[int, set[int]] = {}
    for place in places:
        for number in program.operators[place].outputs:
            makers.setdefault(number, set()).add(place)
    waits = {
        place: set().union(*(makers.get(number, ()) for number in program.operators[place].inputs)) for place in places
    }
    ready = [(turns[place], place) for place, others in waits.items() if not others]
    heapify(ready)
    found = []
    while ready:
        _, done = heappop(ready)
        found.append(done)
        for place, others in waits.items():
            if done in others:
                others.remove(done)
                if not others:
                    heappush(ready, (turns[place], place))
    return tuple(found)


def written(program: Program) -> Iterator[int]:
    """Each operator behind those that it reads, depth first, from the outputs on; what no output needs comes last."""
    makers = {number: place for place, op in enumerate(program.operators) for number in op.outputs}
    wanted = [*(makers[number] for number in program.outputs if number in makers), *range(len(program.operators))]
    return depth_first(wanted, lambda place: [makers[n] for n in program.operators[place].inputs if n in makers])
