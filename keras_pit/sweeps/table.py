"""A front as a table: the seeds, the points of the sweep from the cheapest to the dearest, and what was added."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from .. import printing
from ..pictures.style import UNITS, unit
from .points import Point


def table(front: Any) -> Table:
    """The table of a front.

    Args:
        front: a `Front`.
    """
    first = front.plan.costs[0]
    notes = [f"RAM and latency on board '{front.plan.board}'"]
    notes += ["dim: another point is as good for less"]
    notes += [f"{front.missing} points are not finished"] * bool(front.missing)
    notes += [f"{failure.step.name} has failed: {failure.reason.splitlines()[0]}" for failure in front.failures]
    title = f"Front of {front.monitor} over {first}"
    result = printing.table(title=title, caption="\n".join(notes))
    names = [name for name in dict.fromkeys((*UNITS, *map(front.plan.short, front.plan.costs))) if front.knows(name)]
    result.add_column("point")
    values = [front.monitor, "in int8", *(["test", "test in int8"] if front.tests else [])]
    for title in (*values, *map(unit, names)):
        result.add_column(title, justify="right")
    for point in front.seeds:
        result.add_row(*_cells(point, names, front.tests), style="italic")
    for point, kept in front.rank(first):
        result.add_row(*_cells(point, names, front.tests), style=None if kept else "dim")
    for point in front.others:
        result.add_row(*_cells(point, names, front.tests))
    return result


def _cells(point: Point, names: list[str], tests: dict[Point, tuple[float, float | None]]) -> list[str]:
    values = [point.accuracy, point.accuracy_int8]
    if tests:
        values += tests.get(point, (None, None))
    numbers = [_number(point.costs[name]) if name in point.costs else "" for name in names]
    return [point.label, *("" if value is None else f"{value:.4f}" for value in values), *numbers]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"
