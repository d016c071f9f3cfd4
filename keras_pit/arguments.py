"""The arguments of `convert`, checked and in one form: they shape a search model, and are saved with it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from . import boards, costs
from .layers.search import SEARCHES

DEFAULT_REGULARIZER = "size"


@dataclass(frozen=True)
class Arguments:
    """What is searched, and what presses on it."""

    regularizer: dict[str, float]
    """The costs in the loss, each with its weight."""
    strength: float
    target: dict[str, float] | None
    """The bound on each of the costs, in its own unit."""
    exclude: tuple[str, ...]
    search: tuple[str, ...]
    round_to: int


def pressed(
    regularizer: str | Mapping[str, float] | None, target: float | Mapping[str, float] | str | None
) -> tuple[dict[str, float], dict[str, float] | None]:
    """The costs in the loss with their weights, and the bounds on them.

    Raises:
        ValueError: if a cost is unknown, or the two arguments do not fit together.
    """
    if isinstance(target, str):
        board = boards.get(target)
        target = {"flash": board.bounds()["flash"], f"ram:{board.name}": board.bounds()["ram"]}
    if isinstance(target, Mapping):
        bounds = {name: _positive(value, f"target[{name!r}]") for name, value in target.items()}
        weights = dict.fromkeys(bounds, 1.0) if regularizer is None else _weights(regularizer)
        if weights.keys() != bounds.keys():
            raise ValueError(
                f"`regularizer` names {', '.join(weights)}, but `target` bounds {', '.join(bounds)}: leave "
                "`regularizer` away, the bounds say what is pressed down."
            )
    else:
        weights = _weights(DEFAULT_REGULARIZER if regularizer is None else regularizer)
        bounds = {}
        if target is not None:
            if len(weights) > 1:
                raise ValueError(
                    f"`target` is one number for {len(weights)} costs: pass a dictionary with a bound for each of "
                    f"{', '.join(weights)}."
                )
            bounds = {name: _positive(target, "target") for name in weights}
    for name in weights:
        costs.get(name)
    return weights, bounds or None


def _weights(regularizer: str | Mapping[str, float]) -> dict[str, float]:
    if not isinstance(regularizer, Mapping):
        return {regularizer: 1.0}
    if not regularizer:
        raise ValueError(f"`regularizer` has no cost: expected some of {', '.join(map(repr, costs.names()))}.")
    return {name: _positive(value, f"regularizer[{name!r}]") for name, value in regularizer.items()}


def _positive(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise ValueError(f"`{name}` must be a finite number above 0, received {value!r}.")
    return float(value)


def check_strength(value: float) -> float:
    """Return the strength as a float.

    Raises:
        ValueError: if it is not a finite number of at least 0.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= float(value) < math.inf:
        raise ValueError(f"`strength` must be a finite number of at least 0, received {value!r}.")
    return float(value)


def check_search(search: Iterable[str] | str) -> tuple[str, ...]:
    """Return the names of what is searched.

    Raises:
        ValueError: if one is unknown, or there is none.
    """
    names = (search,) if isinstance(search, str) else tuple(search)
    unknown = [name for name in names if name not in SEARCHES]
    if unknown or not names:
        raise ValueError(f"`search` must name some of {', '.join(SEARCHES)}; received {search!r}.")
    return names


def check_round_to(value: int) -> int:
    """Return the size of the blocks in which channels are searched.

    Raises:
        ValueError: if it is not a whole number of at least 1.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"`round_to` must be a whole number of at least 1, received {value!r}.")
    return value
