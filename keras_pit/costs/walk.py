"""A walk through what depends on each other."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

Thing = TypeVar("Thing", bound=Hashable)


def depth_first(wanted: Sequence[Thing], needs: Callable[[Thing], Iterable[Thing]]) -> Iterator[Thing]:
    """What is wanted and all that it needs, each once and behind what it needs; the first of it as early as can be.

    Args:
        wanted: the ends.
        needs: what a thing needs, the first of it first.
    """
    stack = [(thing, False) for thing in reversed(wanted)]
    done: set[Thing] = set()
    while stack:
        thing, is_ready = stack.pop()
        if thing in done:
            continue
        if is_ready:
            done.add(thing)
            yield thing
        else:
            stack.append((thing, True))
            stack += [(other, False) for other in reversed(list(needs(thing)))]
