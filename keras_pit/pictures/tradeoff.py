"""What accuracy costs: points of networks, each with its name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from .. import checks
from . import style

_PLACES = ((6, 6), (6, -12), (-6, 6), (-6, -12), (0, 12), (0, -18), (14, 18), (14, -24), (-14, 18), (-14, -24))
"""Where the name of a point may be, in points from it."""


def accuracy_against_cost(
    points: Any, cost: str = "macs", path: str | os.PathLike[str] | None = None, *, accuracy: str = "accuracy"
) -> Any:
    """Draw accuracy against a cost.

    Args:
        points: a list of dictionaries with "name" (or "model"), the accuracy as a share, and the cost, itself or in
            "costs", as the "models" of a run's result.
        cost: the cost of the axis.
        path: where the picture is saved, if anywhere.
        accuracy: what the accuracy is called in the points.

    Returns:
        A Matplotlib figure; the cost is logarithmic where it spans more than a factor of five.

    Raises:
        TypeError: if `points` is no list of dictionaries.
        ValueError: if no point has both.
        ImportError: if matplotlib is not installed.

    Example:

        pictures.accuracy_against_cost([{"name": "seed", "accuracy": 0.84, "macs": 11_575_520}, ...])
    """
    expected = "a list of dictionaries with name, accuracy and the cost"
    known = []
    for point in checks.listed(points, "`points`", expected):
        checks.instance(point, "Each of `points`", Mapping, "a dictionary")
        value = point.get(cost, point.get("costs", {}).get(cost))
        if value is not None and point.get(accuracy) is not None:
            known.append((str(point.get("name", point.get("model", ""))), float(value), float(point[accuracy])))
    if not known:
        raise ValueError(f"None of {len(points)} points has both {accuracy!r} and {cost!r}: there is nothing to draw.")
    drawn = style.figure(6.0, 4.2)
    (axes,) = style.axes_of(drawn)
    for number, (_, value, right) in enumerate(known):
        color = style.COLORS[number % len(style.COLORS)]
        marker = style.MARKERS[number % len(style.MARKERS)]
        axes.plot(value, 100 * right, marker, color=color, markersize=7, markeredgecolor="white")
    values = [value for _, value, _ in known]
    if min(values) > 0 and max(values) > 5 * min(values):
        axes.set_xscale("log")
    axes.margins(0.18)
    axes.set_xlabel(style.unit(cost), fontsize=style.TEXT + 1)
    axes.set_ylabel(f"{accuracy} (%)", fontsize=style.TEXT + 1)
    axes.grid(color="#e6e8eb", linewidth=0.8)
    axes.set_axisbelow(True)
    _name(drawn, axes, [(name, value, 100 * right) for name, value, right in known])
    return style.saved(drawn, path)


def _name(drawn: Any, axes: Any, points: list[tuple[str, float, float]]) -> None:
    """A name at each point, where it meets no other one and no point, if there is such a place."""
    drawn.draw_without_rendering()
    taken = [_around(axes.transData.transform(point[1:])) for point in points]
    for name, x, y in points:
        best = None
        for place in _PLACES:
            align = "left" if place[0] > 0 else "right" if place[0] < 0 else "center"
            text = axes.annotate(
                name, (x, y), place, textcoords="offset points", ha=align, fontsize=style.TEXT, annotation_clip=False
            )
            box = text.get_window_extent()
            meets = sum(box.overlaps(other) for other in taken) + (not _inside(box, drawn.bbox))
            if best is None or meets < best[0]:
                if best is not None:
                    best[1].remove()
                best = (meets, text, box)
            else:
                text.remove()
            if meets == 0:
                break
        if best is not None:
            taken.append(best[2])


def _around(place: Any) -> Any:
    from matplotlib.transforms import Bbox

    return Bbox.from_bounds(place[0] - 4, place[1] - 4, 8, 8)


def _inside(box: Any, frame: Any) -> bool:
    return bool(box.x0 >= frame.x0 and box.x1 <= frame.x1 and box.y0 >= frame.y0 and box.y1 <= frame.y1)
