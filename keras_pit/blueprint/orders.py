"""In which orders the operators of a search model can run: each stretch of nodes in its orders, operator by operator.

A node may be several operators, of which the masks leave some. These stay together, but for a PAD that others read:

    nodes a, b     PAD a, CONV_2D a, PAD b, CONV_2D b         where both need the same zeros, b reads PAD a
    nodes b, a     PAD a, PAD b, CONV_2D b, CONV_2D a         there, PAD a comes first
                   PAD b, CONV_2D b, PAD a, CONV_2D a         elsewhere this is better

Both are orders; `costs.undecided` takes the second one only where nothing reads what is made later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..costs.listing import by_turns
from ..costs.program import Order, Program
from ..lowering import Node


def orders_of(
    program: Program, nodes: Sequence[Node], stretches: Iterable[Sequence[Sequence[Node]]]
) -> tuple[tuple[Order, ...], ...]:
    """The orders of each stretch of a program, the listed one first.

    Args:
        program: the operators, in all their forms.
        nodes: the node that each of them is for.
        stretches: for each stretch, the orders of its nodes, the one in which the program lists them first.
    """
    found = []
    for stretch in stretches:
        first = set(stretch[0])
        places = [place for place, node in enumerate(nodes) if node in first]
        orders: list[Order] = [tuple(places)]
        for some in stretch:
            turn = {node: at for at, node in enumerate(some)}
            turns = {place: turn[nodes[place]] for place in places}
            orders += [by_turns(program, places, turns), tuple(sorted(places, key=turns.__getitem__))]
        found.append(tuple(dict.fromkeys(orders)))
    return tuple(found)
