"""What a sweep does, decided before it begins: bounds, random seeds, epochs. A plan is written down and kept.

The bounds of `points=6` lie between the seed's cost and the least that a search can reach, evenly in the logarithm,
without these two:

    size     24,669 (seed)   12,000   5,830   2,840   1,380   670   326   158 (least)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any

import numpy as np

from .. import checks
from ..search.arguments import pressed
from ..search.convert import convert
from ..search.least import least
from .store import Step

UNKNOWN_LENGTH = 30
"""Epochs of a seed that is not trained yet, and of one that does not tell how long it was."""
SHARES = {True: (1 / 5, 1 / 4), False: (3 / 4, 1 / 2)}
"""Epochs of a search and of fine-tuning, relative to those of the seed: in a descent, and of independent searches. A
descent's search starts from a network that is close, and passes on what it has trained."""


@dataclass(frozen=True)
class Epochs:
    """How long the seed, a search and fine-tuning are."""

    seed: int
    search: int
    fine_tune: int

    @classmethod
    def of(cls, seed: int | None, search: int | None, fine_tune: int | None, trained: int | None, descent: bool) -> Any:
        """The epochs that were asked for; else by how long the seed is trained.

        Args:
            seed: epochs of the seed.
            search: epochs of one search.
            fine_tune: epochs of one fine-tuning.
            trained: epochs that the seed was trained for, if that is known.
            descent: whether each search starts where the last one ended.
        """
        whole = trained or UNKNOWN_LENGTH if seed is None else checks.whole(seed, "`epochs`", least=1)
        shares = [max(2, round(share * whole)) for share in SHARES[descent]]
        given = ((search, "`search_epochs`"), (fine_tune, "`fine_tune_epochs`"))
        return cls(
            whole,
            *(
                share if value is None else checks.whole(value, name, least=1)
                for share, (value, name) in zip(shares, given, strict=True)
            ),
        )


@dataclass(frozen=True)
class Plan:
    """A sweep. The first bound is the loosest."""

    costs: tuple[str, ...]
    """What is pressed down; fronts are drawn over the first one."""
    bounds: tuple[dict[str, float], ...]
    seeds: tuple[int, ...]
    descent: bool
    epochs: Epochs
    trained: bool
    """Whether the seed came trained."""
    quantization: str | None
    monitor: str | None
    """The log that says how good a model is; None: the first that is no loss."""
    mode: str
    board: str
    """RAM and milliseconds are those of this board."""
    options: dict[str, Any]
    """Further arguments of `convert`."""
    shapes: list[Any]
    """Of the seed: the shapes of its weights."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Plan:
        """From JSON."""
        values = dict(content, epochs=Epochs(**content["epochs"]))
        for name in ("costs", "bounds", "seeds"):
            values[name] = tuple(values[name])
        return cls(**values)

    def named(self, found: dict[str, float]) -> dict[str, float]:
        """Costs, also by the names that the plan has for them: "latency:pico" is the latency on the plan's board."""
        return {**{name: found[name.partition(":")[0]] for name in self.costs if name not in found}, **found}

    def short(self, cost: str) -> str:
        """A cost's name without the board, where that is the plan's."""
        base, _, board = cost.partition(":")
        return base if board == self.board else cost

    def steps(self) -> list[Step]:
        """All steps, in the order in which one process would make them."""
        found = []
        for seed in self.seeds:
            found.append(Step("seed", seed))
            for point in range(1, len(self.bounds) + 1):
                found += [Step("search", seed, point), Step("point", seed, point)]
        return found

    def length(self, step: Step) -> int:
        """Epochs of a step."""
        if step.kind == "seed":
            return 0 if self.trained else self.epochs.seed
        return self.epochs.search if step.kind == "search" else self.epochs.fine_tune

    def weight(self, step: Step) -> float:
        """About how long a step takes, relative to others: epochs get shorter as the network shrinks."""
        share = 1.0 if step.kind == "seed" else 0.2 + 0.8 * 0.6**step.point
        return 1.0 + self.length(step) * share


def even_bounds(model: Any, metric: Any, points: int, options: dict[str, Any]) -> tuple[dict[str, float], ...]:
    """Bounds between the cost of a model and the least that a search reaches, evenly in the logarithm.

    Args:
        model: the seed.
        metric: one or several costs, as the regularizer of `convert`.
        points: how many.
        options: further arguments of `convert`.

    Raises:
        ValueError: if nothing can be searched.
    """
    search = convert(model, metric, **options)
    ends = {name: (seed, least(search, name)) for name, seed in search.origin.costs.items()}
    for name, (seed, end) in ends.items():
        if end >= seed:
            raise ValueError(
                f"No search can lower the {name} of model '{search.name}': it is {seed:,g} with everything on, and "
                f"{end:,g} with everything off. keras_pit.summary(model) tells why; choose another cost or seed."
            )
    shares = np.arange(1, points + 1) / (points + 1)
    return tuple(
        {name: _rounded(seed * (max(end, 1e-6 * seed) / seed) ** share) for name, (seed, end) in ends.items()}
        for share in shares
    )


def given_bounds(bounds: Iterable[Any], metric: Any, seed: Callable[[str], float]) -> tuple[dict[str, float], ...]:
    """Bounds as the user gives them, from the loosest to the tightest.

    Args:
        bounds: targets as `convert` takes them.
        metric: the cost of those that are numbers.
        seed: tells the seed's cost of a name, to compare bounds on several costs.
    """
    listed = checks.listed(bounds, "`bounds`", "a list of targets, as convert(target=...) takes one")
    if not listed:
        raise ValueError("`bounds` must name at least one target, received none.")
    found = [bound_of(bound, metric) for bound in listed]
    return tuple(sorted(found, key=lambda bound: -tightness(bound, seed)))


def bound_of(target: Any, metric: Any) -> dict[str, float]:
    """One target, by the names of costs."""
    return pressed(metric if isinstance(target, Real) else None, target)[1] or {}


def tightness(bound: dict[str, float], seed: Callable[[str], float]) -> float:
    """The mean logarithm of a bound's shares of the seed's costs: the lower, the tighter."""
    return float(np.mean([np.log(value / seed(name)) for name, value in bound.items()]))


def random_seeds(seeds: Any) -> tuple[int, ...]:
    """Random seeds: so many, or those."""
    if isinstance(seeds, Sequence) and not isinstance(seeds, str):
        found = [checks.whole(seed, "Each of `seeds`", least=0) for seed in seeds]
        if not found or len(set(found)) < len(found):
            raise ValueError(f"`seeds` must be at least one number, each once, received {list(seeds)}.")
        return tuple(found)
    return tuple(range(checks.whole(seeds, "`seeds`", least=1)))


def _rounded(value: float) -> float:
    """Four digits, which is enough for a bound, and easier to read."""
    return float(f"{value:.4g}")
