"""In which orders the operators of a search model can run: each stretch of nodes in its orders, operator by operator.

A node may be several operators, of which the masks leave some. These stay together, but for a PAD that others read:

    nodes a, b     PAD a, CONV_2D a, PAD b, CONV_2D b         where both need the same zeros, b reads PAD a
    nodes b, a     PAD b, CONV_2D b, PAD a, CONV_2D a         where they need different ones
                   PAD a, PAD b, CONV_2D b, CONV_2D a         where b reads PAD a

Both are forms of one order; `costs.undecided` takes the first one that runs nothing before what that reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..costs.listing import by_turns
from ..costs.program import Program, Stretch
from ..lowering import Node


@dataclass(frozen=True)
class Nodes:
    """Nodes in a row that can run in several orders, the one as written first."""

    orders: tuple[tuple[Node, ...], ...]
    is_whole: bool
    """Whether these are all orders that there are."""

    @classmethod
    def of(cls, stretch: Stretch, nodes: Sequence[Node], turns: dict[Node, int]) -> Nodes:
        """The nodes of a stretch of operators: each runs when its last operator does.

        Args:
            stretch: the operators.
            nodes: the node that each operator is for.
            turns: the places of nodes as they are written.
        """
        runs = ([nodes[place] for place in reversed(forms[0])] for forms in stretch.orders)
        orders = {tuple(reversed(dict.fromkeys(run))) for run in runs}
        return cls(tuple(sorted(orders, key=lambda order: [turns[node] for node in order])), stretch.is_whole)

    def operators(self, program: Program, nodes: Sequence[Node]) -> Stretch:
        """The same in operators, in all their forms.

        Args:
            program: lists the nodes as they are written.
            nodes: the node that each operator is for.
        """
        first = set(self.orders[0])
        places = [place for place, node in enumerate(nodes) if node in first]
        found = []
        for order in self.orders:
            turn = {node: at for at, node in enumerate(order)}
            turns = {place: turn[nodes[place]] for place in places}
            forms = (tuple(sorted(places, key=turns.__getitem__)), by_turns(program, places, turns))
            found.append(tuple(dict.fromkeys(forms)))
        return Stretch(tuple(found), self.is_whole)
