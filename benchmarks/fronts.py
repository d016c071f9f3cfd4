"""Fronts of accuracy against cost: how much of the plane a method dominates, as a table and as a picture.

Hypervolume: cost on a logarithmic axis from the seed's (0) to the share of it that the tightest budget is (1), score
from chance (0) to all right (1). It is the area below the best score that a method reaches within each cost. A network
below the tightest budget counts as one that just meets it: how far below a method ends by chance is no merit.
Validation data choose which networks are on a front, test data say how good they are.
"""

from __future__ import annotations

import math
import pathlib
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean, stdev

from rich.console import Console
from rich.table import Table

COSTS = ("size", "macs", "latency")
UNITS = {"size": "parameters", "macs": "MACs", "latency": "ms"}


@dataclass(frozen=True)
class Point:
    """One network, made for a budget of a cost; method "seed" is where the others start.

    Latency in ms on a Nano 33 BLE (Cortex-M4, 64 MHz).
    """

    task: str
    seed: int
    method: str
    budget: float
    size: float
    macs: float
    latency: float
    validation: float
    test: float
    epochs: int
    seconds: float
    classes: int
    cost: str = "size"
    """What is bounded."""


def made_for(points: list[Point], task: str, cost: str) -> list[Point]:
    """The networks of a task that were made for budgets of a cost; if there are none, for budgets of parameters."""
    of_task = [point for point in points if point.task == task and point.method != "seed"]
    return [point for point in of_task if point.cost == cost] or [p for p in of_task if p.cost == "size"]


def hypervolume(points: Iterable[Point], whole: Point, cost: str, reach: float) -> float:
    """The area that networks of one method and one seed dominate, between 0 and 1.

    Args:
        points: the networks.
        whole: the seed network.
        cost: one of `COSTS`.
        reach: where the axis ends: how many times less than the seed the tightest budget is.
    """
    front: list[tuple[float, float]] = []
    best = -math.inf
    for point in sorted(points, key=lambda one: (getattr(one, cost), -one.validation)):
        if point.validation > best:
            best = point.validation
            reduction = math.log(getattr(whole, cost) / getattr(point, cost)) / math.log(reach)
            chance = 1 / point.classes
            front.append((min(max(reduction, 0.0), 1.0), max((point.test - chance) / (1 - chance), 0.0)))
    # The front runs from the smallest network to the largest: each rules from its own reduction down to the next one's.
    ends = [reduction for reduction, _ in front[1:]] + [0.0] * bool(front)
    return sum((reduction - end) * height for (reduction, height), end in zip(front, ends, strict=True))


def volumes(points: list[Point], task: str, method: str, cost: str) -> list[float]:
    """The hypervolume of a method on a task, seed by seed."""
    wholes = {point.seed: point for point in points if point.task == task and point.method == "seed"}
    every = made_for(points, task, cost)
    if not every:
        return []
    mine = [point for point in every if point.method == method]
    reach = max(getattr(wholes[point.seed], point.cost) / point.budget for point in every)
    return [
        hypervolume([point for point in mine if point.seed == seed], whole, cost, reach)
        for seed, whole in sorted(wholes.items())
        if any(point.seed == seed for point in mine)
    ]


def spread(values: list[float], form: str) -> str:
    """The mean, and the standard deviation if there are several."""
    more = f" ± {stdev(values):{form}}" if len(values) > 1 else ""
    return f"{mean(values):{form}}{more}" if values else "-"


def show(points: list[Point]) -> None:
    """Two tables: the score at each budget, and hypervolumes."""
    tasks = list(dict.fromkeys(point.task for point in points))
    methods = list(dict.fromkeys(point.method for point in points if point.method != "seed"))
    scores = Table(title="Test score (%) within each budget, mean of seeds")
    areas = Table(title="Hypervolume of test score against the logarithm of a cost")
    for table, columns in ((scores, ("task", "budget")), (areas, ("task", "cost"))):
        for column in (*columns, *methods):
            table.add_column(column, justify="left" if column == "task" else "right", no_wrap=True)
    for task in tasks:
        of_task = [point for point in points if point.task == task]
        for cost in COSTS:
            of_cost = [p for p in of_task if p.cost == cost and p.method != "seed"]
            for budget in sorted({p.budget for p in of_cost}, reverse=True):
                row = [[100 * p.test for p in of_cost if (p.method, p.budget) == (one, budget)] for one in methods]
                scores.add_row(task, f"{budget:,.0f} {UNITS[cost]}", *(spread(values, ".1f") for values in row))
            areas.add_row(
                task, UNITS[cost], *(spread(volumes(points, task, method, cost), ".3f") for method in methods)
            )
    console = Console(width=150)
    console.print(scores)
    console.print(areas)


def draw(points: list[Point], path: pathlib.Path) -> None:
    """Test score over parameters and MACs, a row of axes for each task."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    tasks = list(dict.fromkeys(point.task for point in points))
    methods = list(dict.fromkeys(point.method for point in points if point.method != "seed"))
    figure, axes = pyplot.subplots(len(tasks), len(COSTS), figsize=(13, 3.2 * len(tasks)), squeeze=False)
    for row, task in zip(axes, tasks, strict=True):
        for axis, cost in zip(row, COSTS, strict=True):
            for method in (*methods, "seed"):
                of_method = [p for p in made_for(points, task, cost) if p.method == method]
                if method == "seed":
                    of_method = [p for p in points if (p.task, p.method) == (task, method)]
                budgets = sorted({p.budget for p in of_method})
                groups = [[p for p in of_method if p.budget == budget] for budget in budgets]
                x = [mean(getattr(p, cost) for p in group) for group in groups]
                y = [100 * mean(p.test for p in group) for group in groups]
                axis.plot(x, y, "k*" if method == "seed" else "o-", label=method, lw=2.5 if method == "ours" else 1.2)
            axis.set(xscale="log", xlabel=UNITS[cost], ylabel="test score (%)", title=task)
            axis.grid(alpha=0.3)
    axes[0][0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    pyplot.close(figure)
