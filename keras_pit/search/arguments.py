"""The arguments of `convert`, checked and in one form: they shape a search model, and are saved with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from .. import boards, checks, costs
from ..layers.layer import check_search

DEFAULT_REGULARIZER = "size"
DEFAULT_STRENGTH = 2.0

MOST_STRENGTH, MOST_WEIGHT = 1e9, 1e6
"""Their product is in the gradients of the masks, whose squares optimizers add up in float32."""

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
            TypeError: if one is of a wrong type.
            ValueError: if one is wrong.
        """
        weights, bounds = pressed(regularizer, target)
        searched = _with_whole_kernel(check_search(search, "`search`"))
        return cls(weights, check_strength(strength), bounds, searched, checks.whole(round_to, "`round_to`", least=1))


def pressed(regularizer: Regularizer | None, target: Target | None) -> tuple[dict[str, float], dict[str, float] | None]:
    """The costs in the loss with their weights, and the bounds on them.

    Raises:
        TypeError: if one is of a wrong type.
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
    if target is not None and (isinstance(target, bool) or not isinstance(target, Real)):
        raise checks.wrong_type("`target`", _TARGETS, target)
    weights = _weights(DEFAULT_REGULARIZER if regularizer is None else regularizer)
    if target is None:
        return weights, None
    if len(weights) > 1:
        raise ValueError(
            f"`target` is one number for {len(weights)} costs: pass a dictionary with a bound for each of "
            f"{', '.join(weights)}."
        )
    return weights, {name: checks.number(target, "`target`", positive=True) for name in weights}


def _weights(regularizer: Regularizer) -> dict[str, float]:
    if isinstance(regularizer, (str, costs.Metric)):
        regularizer = [regularizer]
    if not isinstance(regularizer, Mapping):
        listed = checks.listed(regularizer, "`regularizer`", _REGULARIZERS)
        regularizer = {_name(cost, "regularizer"): 1.0 for cost in listed}
    return _by_name(regularizer, "regularizer", MOST_WEIGHT)


def _by_name(numbers: Mapping[Any, float], argument: str, most: float = checks.LARGEST) -> dict[str, float]:
    if not numbers:
        raise ValueError(
            f"`{argument}` has no cost: expected some of {', '.join(map(repr, costs.names()))}, received none. Name "
            "one, or leave the argument away."
        )
    named = {_name(cost, argument): value for cost, value in numbers.items()}
    return {
        name: checks.number(value, f"`{argument}[{name!r}]`", positive=True, most=most) for name, value in named.items()
    }


def _name(cost: Cost, argument: str) -> str:
    if not isinstance(cost, (str, costs.Metric)):
        raise checks.wrong_type(f"A cost in `{argument}`", "the name of a registered cost", cost)
    return costs.get(cost.name if isinstance(cost, costs.Metric) else cost).name


def check_strength(value: Any, name: str = "`strength`") -> float:
    """The strength as a float.

    Raises:
        TypeError: if it is no number.
        ValueError: if it is not finite, negative, or more than training can bear.
    """
    return checks.number(value, name, most=MOST_STRENGTH)


def _with_whole_kernel(search: tuple[str, ...]) -> tuple[str, ...]:
    """What is searched; "kernel_2d" alone means the whole kernel."""
    if "kernel_2d" in search and not {"kernel", "dilation"} & set(search):
        return (*search, "kernel", "dilation")
    return search


def check_input_shape(shape: Any) -> None:
    """Check the shape of a sample, or a list or dictionary of such shapes.

    Raises:
        TypeError: if it is none.
        ValueError: if a size is below 1.
    """
    expected = "the shape of one sample without batch, as (32, 3), or a list of shapes for several inputs"
    if shape is None:
        return
    sizes = list(_sizes(shape)) if isinstance(shape, (list, tuple, Mapping)) else [shape]
    if sizes == [shape] or any(isinstance(size, bool) or not isinstance(size, Integral) for size in sizes):
        raise checks.wrong_type("`input_shape`", expected, shape)
    if any(size < 1 for size in sizes):
        raise ValueError(f"`input_shape` must have sizes of at least 1, or None for open ones, received {shape!r}.")


def _sizes(shape: Any) -> Iterator[Any]:
    """All sizes in nested lists and dictionaries but None, which stands for an open one."""
    for part in shape.values() if isinstance(shape, Mapping) else shape:
        if isinstance(part, (list, tuple, Mapping)):
            yield from _sizes(part)
        elif part is not None:
            yield part


_REGULARIZERS = "the name of a cost, a list of names, or a dictionary of names and weights"
_TARGETS = "a number, a dictionary of names of costs and numbers, a board or the name of a board"
