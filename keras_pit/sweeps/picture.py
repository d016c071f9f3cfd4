"""The picture of a front: accuracy against a cost, with the seed and what else was added."""

from __future__ import annotations

import pathlib
from typing import Any

from .points import UNITS

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Of Okabe and Ito: told apart by those who see fewer colours, too."""
MARKERS = "osD^vP"


def draw(front: Any, path: pathlib.Path, x: str) -> pathlib.Path:
    """Draw a front.

    Args:
        front: a `Front`.
        path: file to write.
        x: name of a cost that all its points have.

    Raises:
        ImportError: if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
    except ImportError as error:
        raise ImportError('Plots need matplotlib: pip install "keras_pit[plot]".') from error
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axis = figure.subplots()
    ranked = front.rank(x)
    kept = [point for point, on_front in ranked if on_front]
    pale = [point for point, on_front in ranked if not on_front]
    blue = COLORS[0]
    axis.plot(*_at(kept, x), drawstyle="steps-post", color=blue, linewidth=1, alpha=0.5)
    axis.plot(*_at(kept, x), MARKERS[0], color=blue, label="sweep")
    axis.plot(*_at(pale, x), MARKERS[0], color=blue, alpha=0.25, markeredgewidth=0, label="dominated" if pale else None)
    seeds = [point for point in front.seeds if x in point.costs]
    axis.plot(*_at(seeds, x), "*", color="black", markersize=11, label="seed" if seeds else None)
    labels = dict.fromkeys(point.label for point in front.others if x in point.costs)
    for index, label in enumerate(labels):
        points = [point for point in front.others if point.label == label and x in point.costs]
        color, marker = COLORS[1 + index % (len(COLORS) - 1)], MARKERS[1 + index % (len(MARKERS) - 1)]
        axis.plot(*_at(points, x), marker, linestyle=":", linewidth=1, color=color, label=label)
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel(UNITS.get(x, x))
    in_int8 = any(point.accuracy_int8 is not None for point in front.points)
    axis.set_ylabel(f"{front.monitor}{' in int8 on TFLite-Micro' * in_int8}")
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.2, linewidth=0.5)
    axis.legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=150)
    return path


def _at(points: list[Any], x: str) -> tuple[list[float], list[float]]:
    points = sorted(points, key=lambda point: point.costs[x])
    return [point.costs[x] for point in points], [point.value for point in points]
