"""The costs by name: pure functions from the geometry of a stage to a number."""

from __future__ import annotations

from collections.abc import Callable

from .geometry import Geometry, Scalar

Cost = Callable[[Geometry], Scalar]

_costs: dict[str, Cost] = {}


def register(name: str) -> Callable[[Cost], Cost]:
    """Make a cost known by name.

    Raises:
        ValueError: if the name is taken.
    """

    def decorate(cost: Cost) -> Cost:
        if name in _costs:
            raise ValueError(f"A cost named '{name}' is registered already: choose another name.")
        _costs[name] = cost
        return cost

    return decorate


def get(name: str) -> Cost:
    """The cost of a name.

    Raises:
        ValueError: if there is none.
    """
    if not isinstance(name, str) or name not in _costs:
        raise ValueError(f"Unknown cost {name!r}: expected one of {', '.join(map(repr, names()))}.")
    return _costs[name]


def names() -> list[str]:
    """The registered names."""
    return sorted(_costs)
