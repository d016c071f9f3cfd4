"""When something is needed: in a network some of whose branches may be off.

    x -> conv a -> + -> ...          a is needed if branch 1 is on
    |              |                 b if branches 1 and 2 are: it lies in a branch within a branch
    +--------------+                 c, which two branches read, if one of them is on

A `Need` is one or several sets of branches: what has it is needed where all branches of one of its sets are on.
Branches are any objects that can be told apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any


@dataclass(frozen=True)
class Need:
    """The sets of branches, none of which contains another one."""

    ways: frozenset[frozenset[Any]]

    @classmethod
    def of(cls, ways: Iterable[Iterable[Any]]) -> Need:
        """In one of these ways, without those that say more than another one."""
        found = {frozenset(way) for way in ways}
        return cls(frozenset(way for way in found if not any(other < way for other in found)))

    def __and__(self, other: Need) -> Need:
        return Need.of(one | two for one in self.ways for two in other.ways)

    def __or__(self, other: Need) -> Need:
        return Need.of(self.ways | other.ways)

    @property
    def branches(self) -> frozenset[Any]:
        """All that it depends on."""
        return frozenset().union(*self.ways)

    @property
    def always(self) -> frozenset[Any]:
        """The branches that it lies in: they have to be on in every way."""
        return reduce(frozenset.__and__, self.ways) if self.ways else frozenset()

    def renamed(self, name: Callable[[Any], Any]) -> Need:
        """The same of other objects."""
        return Need(frozenset(frozenset(map(name, way)) for way in self.ways))

    def value(self, mask: Callable[[Any], Any]) -> Any:
        """1 where it is needed, 0 where not.

        Args:
            mask: the same for a branch: a number, or a tensor, whose gradient is passed on.
        """
        if ALWAYS.ways <= self.ways:
            return 1
        ways = sorted((sorted(way, key=str) for way in self.ways), key=str)
        missing = [1 - reduce(lambda one, two: one * two, map(mask, way)) for way in ways]
        return 1 - reduce(lambda one, two: one * two, missing, 1) if missing else 0


ALWAYS = Need(frozenset([frozenset()]))
NEVER = Need(frozenset())
