"""Hypervolumes of the benchmark of alternatives, on points whose area is known."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from fronts import Point, hypervolume, made_for, volumes

WHOLE = Point("task", 0, "seed", 10_000, 10_000, 10_000, 10_000, 1.0, 1.0, 1, 1.0, classes=2)


def points(*rows: tuple[float, float, float]) -> list[Point]:
    """Networks of a size, with a score on validation and one on test data."""
    return [replace(WHOLE, method="one", size=size, validation=val, test=test) for size, val, test in rows]


AREAS = [
    ([], 0.0),
    ([(100, 1.0, 1.0)], 1.0),  # a hundredth of the size, nothing lost
    ([(10, 1.0, 1.0)], 1.0),  # beyond the axis
    ([(1_000, 1.0, 1.0)], 0.5),  # half way on the logarithmic axis
    ([(100, 0.5, 0.5)], 0.0),  # chance
    ([(100, 0.75, 0.75)], 0.5),
    ([(100, 0.75, 0.75), (1_000, 1.0, 1.0)], 0.5 * 0.5 + 0.5),
    ([(1_000, 1.0, 1.0), (100, 0.75, 0.75)], 0.5 * 0.5 + 0.5),  # in any order
    ([(100, 0.9, 0.75), (1_000, 0.8, 1.0)], 0.5),  # larger and worse on validation data: not chosen
    ([(100, 0.9, 0.4)], 0.0),  # below chance
]


@pytest.mark.parametrize(("rows", "area"), AREAS, ids=range(len(AREAS)))
def test_the_area_below_the_best_score_within_each_cost(rows, area):
    assert hypervolume(points(*rows), WHOLE, "size", 100) == pytest.approx(area)


def test_costs_count_each_by_itself():
    assert hypervolume(points((100, 1.0, 1.0)), WHOLE, "macs", 100) == 0.0


def test_networks_count_for_the_cost_that_they_were_made_for():
    small = replace(WHOLE, method="one", budget=100, size=100, macs=5_000, validation=0.9, test=0.9)
    fast = replace(WHOLE, method="one", budget=100, size=5_000, macs=100, validation=0.8, test=0.8, cost="macs")
    assert made_for([WHOLE, small, fast], "task", "macs") == [fast]
    assert made_for([WHOLE, small, fast], "task", "latency") == [small]
    assert volumes([WHOLE, small, fast], "task", "one", "macs") == [pytest.approx(0.6)]


def test_the_axis_ends_at_the_tightest_budget():
    below = replace(WHOLE, method="one", budget=1_000, size=10, validation=0.9, test=0.9)
    exact = replace(below, size=1_000, method="other")
    assert volumes([WHOLE, below, exact], "task", "one", "size") == [pytest.approx(0.8)]
    assert volumes([WHOLE, below, exact], "task", "other", "size") == [pytest.approx(0.8)]
