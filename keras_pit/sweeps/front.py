"""What a sweep has found: points, each a model with what it is worth and what it costs.

    front = keras_pit.Front.load("runs/kws")
    print(front)                                             a table
    front.plot("front.png"); front.html("front.html")        pictures
    front.best(max_ram=32_000, min_accuracy=0.9).model()     a Keras model

All figures are files of the sweep's directory (see `store`); nothing is computed to look at them.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from rich.console import Console
from rich.table import Table

from .. import checks
from ..pictures import accuracy_against_cost
from . import measure
from .page import page
from .pareto import undominated
from .plan import Plan
from .points import Point, read
from .samples import Samples
from .store import Failure, Store
from .table import table


class Front:
    """The points of a sweep; prints as a table.

    Attributes:
        points: the points that the sweep has found, those of the loosest bounds first.
        seeds: the seeds that it started from, one for each random seed.
        others: what was added.
        failures: what has failed, with the reason.
    """

    def __init__(
        self, plan: Plan, points: list[Point], seeds: list[Point], failures: list[Failure], missing: int = 0
    ) -> None:
        self.plan, self.points, self.seeds, self.failures = plan, points, seeds, failures
        self.others: list[Point] = []
        self.missing = missing
        """Points that the sweep has not come to yet."""
        self.tests: dict[Point, tuple[float, float | None]] = {}

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Front:
        """The front of a sweep, finished or not.

        Args:
            directory: that of the sweep.

        Raises:
            ValueError: if there is no sweep.
        """
        store = Store(checks.path(directory, "`directory`"))
        content = store.read_plan()
        if content is None:
            raise ValueError(
                f"Directory '{store.directory}' holds no sweep (there is no sweep.json in it): pass the `directory` "
                "that keras_pit.sweep was called with."
            )
        plan = Plan.from_dict(content)
        found = [read(store, step, plan) for step in store.steps() if step.kind != "search"]
        points = sorted((point for point in found if point.number), key=lambda point: (point.number, point.seed))
        failures = store.failures()
        missing = len(plan.bounds) * len(plan.seeds) - len(points)
        return cls(plan, points, [point for point in found if not point.number], failures, missing)

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[Point]:
        return iter(self.points)

    def __getitem__(self, index: int) -> Point:
        return self.points[index]

    @cached_property
    def monitor(self) -> str:
        """The log that says how good a point is."""
        measured = [*self.points, *self.seeds]
        return measured[0].figures["monitor"] if measured else self.plan.monitor or "accuracy"

    @cached_property
    def higher_is_better(self) -> bool:
        """Whether more of it is better."""
        measured = [*self.points, *self.seeds]
        return measured[0].figures["higher_is_better"] if measured else True

    def worth(self, point: Point) -> float:
        """What a point is worth, so that more is better whatever is monitored."""
        return point.value if self.higher_is_better else -point.value

    def knows(self, cost: str) -> bool:
        """Whether a cost is known of all points."""
        return all(cost in point.costs for point in self.points)

    def rank(self, cost: str) -> list[tuple[Point, bool]]:
        """All points, by a cost, each with whether no other of the sweep's is as good for less.

        Args:
            cost: the name of a cost.

        Raises:
            ValueError: if it is not known of the points.
        """
        for point in self.points:
            _known(point, cost)
        ranked = sorted(self.points, key=lambda point: (point.costs[cost], -self.worth(point)))
        kept = undominated([(point.costs[cost], self.worth(point)) for point in ranked])
        return list(zip(ranked, kept, strict=True))

    def add(self, label: str, accuracy: float, **costs: float) -> None:
        """Add a point of another method, for tables and pictures.

        Args:
            label: what it is called; points of one label are one curve.
            accuracy: what the sweep monitors, on the same data.
            **costs: by name, as `size=7_887` or `size=keras_pit.cost(model)`; a picture over another cost is without
                it.

        Raises:
            TypeError: if one is of a wrong type.
            ValueError: if there is no cost, or a number is negative or not finite.
        """
        label = checks.text(label, "`label`")
        if not costs:
            raise ValueError("A point needs at least one cost, as size=7_887, received none.")
        numbers = {name: checks.number(value, f"`{name}`") for name, value in costs.items()}
        self.others.append(Point(label, checks.number(accuracy, "`accuracy`"), None, numbers))

    def best(
        self,
        *,
        max_flash: float | None = None,
        max_ram: float | None = None,
        max_latency: float | None = None,
        max_size: float | None = None,
        max_macs: float | None = None,
        min_accuracy: float | None = None,
    ) -> Point:
        """The best point within bounds.

        It is the most accurate one that meets them; where nothing but an accuracy is asked for, the one that costs
        least of what the sweep pressed down.

        Args:
            max_flash: bytes of the int8 file.
            max_ram: bytes of the tensor arena on the sweep's board.
            max_latency: milliseconds of one inference there.
            max_size: parameters.
            max_macs: multiply-accumulates of one inference.
            min_accuracy: in int8 (in float where there is no int8 file), on the validation data. Of what is better the
                lower it is, as a loss, the most that it may be.

        Returns:
            A `Point`: `.model()`, `.tflite()`, `.costs`, `.accuracy`.

        Raises:
            TypeError: if one is no number.
            ValueError: if no point meets the bounds; it says how near they come.

        Example:

            slim = front.best(max_ram=32_000, min_accuracy=0.9).model()
        """
        most = {"flash": max_flash, "ram": max_ram, "latency": max_latency, "size": max_size, "macs": max_macs}
        bounds = {name: checks.number(value, f"`max_{name}`") for name, value in most.items() if value is not None}
        least = None if min_accuracy is None else checks.number(min_accuracy, "`min_accuracy`")
        sign = 1 if self.higher_is_better else -1
        fitting = [point for point in self.points if all(point.costs[name] <= most for name, most in bounds.items())]
        good = [point for point in fitting if least is None or self.worth(point) >= sign * least]
        if not good:
            raise ValueError(self._unmet(bounds, least, fitting))
        if bounds or least is None:
            return max(good, key=lambda point: (self.worth(point), -point.costs[self.plan.costs[0]]))
        return min(good, key=lambda point: (point.costs[self.plan.costs[0]], -self.worth(point)))

    def _unmet(self, bounds: dict[str, float], least: float | None, fitting: list[Point]) -> str:
        wanted = [f"{name} of at most {most:,g}" for name, most in bounds.items()]
        wanted += (
            [] if least is None else [f"{self.monitor} of at {'least' if self.higher_is_better else 'most'} {least:g}"]
        )
        if not self.points:
            return f"No point has {' and '.join(wanted)}, as the front has no points yet."
        if fitting:
            near = f"the best that meets the other bounds has {max(fitting, key=self.worth).value:.4g}"
        else:
            least_of = {name: min(point.costs[name] for point in self.points) for name in bounds}
            near = f"the least of all points is {', '.join(f'{name} {value:,g}' for name, value in least_of.items())}"
        return f"No point has {' and '.join(wanted)}: {near}. Relax a bound, or sweep with tighter `bounds`."

    def test(self, x: Any, y: Any = None) -> None:
        """Measure all points on other data; tables and `as_dict` have it from then on.

        Bounds and points were chosen on the validation data; what they are worth should be told on data that nothing
        was chosen on.

        Args:
            x: inputs, as `fit` takes them, or a dataset of inputs and targets.
            y: targets.

        Raises:
            TypeError: if it is no data.
            ValueError: if it has no samples.
        """
        samples = Samples.of(x if y is None else (x, y), "The data of `test`")
        for point in (*self.seeds, *self.points):
            model = point.model()
            in_float, in_int8 = measure.evaluate(model, samples)[self.monitor], None
            if point.accuracy_int8 is not None:
                in_int8 = measure.evaluate_int8(model, point.tflite(), samples)[0][self.monitor]
            self.tests[point] = in_float, in_int8

    def as_dict(self) -> dict[str, Any]:
        """The same as plain dictionaries and lists, for JSON."""
        return {
            "monitor": self.monitor,
            "higher_is_better": self.higher_is_better,
            "plan": self.plan.as_dict(),
            "points": [self._row(point) for point in self.points],
            "seeds": [self._row(point) for point in self.seeds],
            "others": [point.as_dict() for point in self.others],
            "failures": [
                {"step": one.step.name, "reason": one.reason, "details": one.details} for one in self.failures
            ],
            "missing": self.missing,
        }

    def _row(self, point: Point) -> dict[str, Any]:
        kept = {id(one): kept for one, kept in self.rank(self.plan.costs[0])}
        row = {**point.as_dict(), "dominated": not kept.get(id(point), True)}
        if point in self.tests:
            row["test"], row["test_int8"] = self.tests[point]
        return row

    def __rich__(self) -> Table:
        return table(self)

    def __str__(self) -> str:
        console = Console(width=140, color_system=None)
        with console.capture() as capture:
            console.print(self)
        return capture.get()

    def plot(self, path: str | os.PathLike[str], x: str | None = None) -> pathlib.Path:
        """Draw accuracy against a cost.

        Args:
            path: file to write; the ending chooses the format (.png, .svg, .pdf).
            x: name of the cost; the first that the sweep pressed down if None.

        Returns:
            The path.

        Raises:
            ImportError: if matplotlib is not installed.
            ValueError: if the cost is not known of the points.
        """
        path, x = checks.path(path, "`path`"), self._axis(x)
        curves = [
            *(("sweep", point, not kept) for point, kept in self.rank(x)),
            *(("seed", point, False) for point in self.seeds),
            *((point.label, point, False) for point in self.others),
        ]
        points = [
            {"curve": curve, "dominated": dominated, self.monitor: point.value, "costs": point.costs}
            for curve, point, dominated in curves
        ]
        accuracy_against_cost(points, x, path, accuracy=self.monitor)
        return path

    def html(self, path: str | os.PathLike[str], x: str | None = None) -> pathlib.Path:
        """Write a page that shows the front, each point's architecture and memory, and which points fit which board.

        It is one file that needs nothing else, no network either.

        Args:
            path: file to write.
            x: name of the cost that is shown first; the first that the sweep pressed down if None.

        Returns:
            The path.

        Raises:
            ValueError: if the cost is not known of the points.
        """
        path = checks.path(path, "`path`")
        path.write_text(page(self, self._axis(x)), encoding="utf-8")
        return path

    def _axis(self, x: str | None) -> str:
        name = self.plan.costs[0] if x is None else checks.text(x, "`x`")
        self.rank(name)
        return name


def _known(point: Point, cost: str) -> None:
    if cost not in point.costs:
        raise ValueError(f"The cost {cost!r} is not known of the points: expected one of {', '.join(point.costs)}.")
