"""The arguments of `convert`, checked and in one form: they shape a search model, and are saved with it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from .. import boards, costs
from ..layers.layer import SEARCHES

DEFAULT_REGULARIZER = "size"

Cost = str | costs.Metric
Regularizer = Cost | Iterable[Cost] | Mapping[str, float] | Mapping[Cost, float]
Target = float | Mapping[str, float] | Mapping[Cost, float] | str | boards.Board


@dataclass(frozen=True)
class Arguments:
    """What is searched, and what presses on it."""

    regularizer: dict[str, float]
    """The costs in the loss, each with its weight."""
    strength: float
    target: dict[str, float] | None
    """The bound on each of the costs, in its own unit."""
    search: tuple[str, ...]
    round_to: int
    exclude: tuple[str, ...] = ()
    """Names of layers."""

    @classmethod
    def checked(
        cls, regularizer: Regularizer | None, strength: Any, target: Target | None, search: Any, round_to: Any
    ) -> Arguments:
        """What the arguments of `convert` say, but for `exclude`.

        Raises:
            ValueError: if one is wrong.
        """
        weights, bounds = pressed(regularizer, target)
        return cls(weights, check_strength(strength), bounds, check_search(search), check_round_to(round_to))


def pressed(regularizer: Regularizer | None, target: Target | None) -> tuple[dict[str, float], dict[str, float] | None]:
    """The costs in the loss with their weights, and the bounds on them.

    Raises:
        ValueError: if a cost is unknown, or the two arguments do not fit together.
    """
    if isinstance(target, str):
        target = boards.get(target)
    if isinstance(target, (Mapping, boards.Board)):
        bounds = _by_name(target.target() if isinstance(target, boards.Board) else target, "target")
        weights = dict.fromkeys(bounds, 1.0) if regularizer is None else _weights(regularizer)
        if weights.keys() != bounds.keys():
            raise ValueError(
                f"`regularizer` names {', '.join(weights)}, but `target` bounds {', '.join(bounds)}: leave "
                "`regularizer` away, the bounds say what is pressed down."
            )
        return weights, bounds
    weights = _weights(DEFAULT_REGULARIZER if regularizer is None else regularizer)
    if target is None:
        return weights, None
    if len(weights) > 1:
        raise ValueError(
            f"`target` is one number for {len(weights)} costs: pass a dictionary with a bound for each of "
            f"{', '.join(weights)}."
        )
    return weights, {name: check_positive(target, "target") for name in weights}


def _weights(regularizer: Regularizer) -> dict[str, float]:
    if isinstance(regularizer, str) or not isinstance(regularizer, Iterable):
        regularizer = [regularizer]
    if not isinstance(regularizer, Mapping):
        regularizer = dict.fromkeys(map(_name, regularizer), 1.0)
    return _by_name(regularizer, "regularizer")


def _by_name(numbers: Mapping[Any, float], argument: str) -> dict[str, float]:
    if not numbers:
        raise ValueError(
            f"`{argument}` has no cost: expected some of {', '.join(map(repr, costs.names()))}, received none. Name "
            "one, or leave the argument away."
        )
    return {_name(cost): check_positive(value, f"{argument}[{_name(cost)!r}]") for cost, value in numbers.items()}


def _name(cost: Cost) -> str:
    return costs.get(cost.name if isinstance(cost, costs.Metric) else cost).name


def check_positive(value: Any, name: str) -> float:
    """Return the number as a float.

    Raises:
        ValueError: if it is not a finite number above 0; `name` is that of the argument.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < math.inf:
        raise ValueError(f"`{name}` must be a finite number above 0, received {value!r}.")
    return float(value)


def check_strength(value: Any) -> float:
    """Return the strength as a float.

    Raises:
        ValueError: if it is not a finite number of at least 0.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < math.inf:
        raise ValueError(f"`strength` must be a finite number of at least 0, received {value!r}.")
    return float(value)


def check_search(search: Iterable[str] | str) -> tuple[str, ...]:
    """Return the names of what is searched; "kernel_2d" alone means the whole kernel.

    Raises:
        ValueError: if one is unknown, or there is none.
    """
    names = (search,) if isinstance(search, str) else tuple(search)
    unknown = [name for name in names if name not in SEARCHES]
    if unknown or not names:
        raise ValueError(f"`search` must name some of {', '.join(SEARCHES)}; received {search!r}.")
    if "kernel_2d" in names and not {"kernel", "dilation"} & set(names):
        names = (*names, "kernel", "dilation")
    return names


def check_round_to(value: Any) -> int:
    """Return the size of the blocks in which channels are searched.

    Raises:
        ValueError: if it is not a whole number of at least 1.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 1:
        raise ValueError(f"`round_to` must be a whole number of at least 1, received {value!r}.")
    return int(value)
