"""The costs by name.

Most costs are a sum over the stages of a network (see `geometry`), each a function from a `Geometry` to a number:

    @register("macs")
    def macs(stage: Geometry) -> Scalar:
        return stage.weights * stage.positions

What does not add up layer by layer, such as a peak of memory, is a function of the whole network as a board runs it
(see `program` and `keras_pit.boards`):

    @register("ram", whole=True)
    def ram(program: Program, board: Board) -> Scalar: ...

Either way the result is a number for a plain or a finished network, and during the search a float scalar tensor of the
same value that TensorFlow can differentiate with respect to the masks. What depends on the board is for `BOARD` unless
the name says another one: "latency:pico2".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from .. import boards, checks
from .geometry import Geometry, Scalar
from .program import Program

Cost = Callable[[Geometry], Scalar]

BOARD = "nano33ble"
"""The board of costs that name none."""

_LOGS = ("loss", "accuracy", "learning_rate")
"""What Keras logs itself, beside all that starts with "val_"."""


@dataclass(frozen=True)
class Metric:
    """A registered cost: `function` takes one stage, or (`whole`) a `Program`."""

    name: str
    function: Callable[..., Scalar]
    whole: bool = False

    @property
    def source(self) -> tuple[str, str]:
        """Where the function is written: its module and its name in there."""
        function: Any = self.function
        return getattr(function, "__module__", None) or "", getattr(function, "__qualname__", "")

    @property
    def built_in(self) -> bool:
        """Whether it is one of keras_pit's own."""
        return self.source[0].partition(".")[0] == __name__.partition(".")[0]


_metrics: dict[str, Metric] = {}


def register(
    name: str, *, whole: bool = False, replace: bool = False
) -> Callable[[Callable[..., Scalar]], Callable[..., Scalar]]:
    """Make a cost known by name, to `convert`, `cost` and all else that takes a metric.

    A function that is defined again, as by running a cell of a notebook twice, takes the place of its former self.

    Args:
        name: of the cost, also in the logs of `fit`.
        whole: whether the function takes a whole network (a `Program`) and a `boards.Board` instead of one `Geometry`.
        replace: whether to take the place of another function of yours with this name.

    Raises:
        TypeError: if `name` is no string, or what is decorated no function.
        ValueError: if the name is taken, or none that a cost can have.

    Example:

        @keras_pit.costs.register("weight_bytes")
        def weight_bytes(stage):
            return stage.weights
    """
    if callable(name):
        raise TypeError('`name` is missing: write @keras_pit.costs.register("name").')
    checks.text(name, "`name` of a cost")
    checks.flag(whole, "`whole`")
    checks.flag(replace, "`replace`")
    if ":" in name:
        raise ValueError(f"The name of a cost has no ':', which stands before a board; received {name!r}.")
    if name in _LOGS or name.startswith("val_"):
        raise ValueError(f"'{name}' is what Keras calls one of its own logs of `fit`: choose another name.")

    def decorate(function: Callable[..., Scalar]) -> Callable[..., Scalar]:
        checks.function(function, f"Cost '{name}'", "a function")
        old, new = _metrics.get(name), Metric(name, function, whole)
        if old is not None and (old.built_in or not (replace or old.source == new.source)):
            cure = "" if old.built_in else ", or pass `replace=True`"
            raise ValueError(f"A cost named '{name}' is registered already: choose another name{cure}.")
        _metrics[name] = new
        return function

    return decorate


def get(name: str) -> Metric:
    """The cost of a name.

    Raises:
        TypeError: if it is no string.
        ValueError: if there is none.
    """
    base, _, board = checks.text(name, "The name of a cost").partition(":")
    metric = _metrics.get(base)
    if metric is None or (board and not metric.whole):
        raise ValueError(
            f"Unknown cost {name!r}: expected one of {', '.join(map(repr, names()))}. A cost of your own must be "
            "registered first (keras_pit.costs.register), also before a search model that uses it is loaded."
        )
    if not metric.whole:
        return metric
    function, there = metric.function, boards.get(board or BOARD)

    @wraps(function)
    def on_board(program: Program) -> Scalar:
        return function(program, there)

    return Metric(name, on_board, whole=True)


def names() -> list[str]:
    """The registered names."""
    return sorted(_metrics)


def own() -> list[Metric]:
    """The costs that users have registered, as they registered them."""
    return [_metrics[name] for name in names() if not _metrics[name].built_in]
