"""What accuracy costs: points of networks, each with its name or on a curve."""

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

    Points of one curve look alike: the legend has its name, and a line of steps leads through those of them that are
    not "dominated", which are pale. Points of no curve have their names beside them.

    Args:
        points: a list of dictionaries with "name" (or "model"), the accuracy, and the cost, itself or in "costs", as
            the "models" of a run's result; perhaps with "curve", the name of one, and "dominated", whether another
            point is as good for less.
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
            known.append((point, float(value), float(point[accuracy])))
    if not known:
        raise ValueError(f"None of {len(points)} points has both {accuracy!r} and {cost!r}: there is nothing to draw.")
    drawn = style.figure(6.0, 4.2)
    (axes,) = style.axes_of(drawn)
    curves: dict[Any, list[tuple[Mapping[str, Any], float, float]]] = {}
    for number, one in enumerate(known):
        curves.setdefault(one[0].get("curve", number), []).append(one)
    for number, (name, curve) in enumerate(curves.items()):
        _draw(axes, number, name if isinstance(name, str) else None, curve)
    values = [value for _, value, _ in known]
    if min(values) > 0 and max(values) > 5 * min(values):
        _logarithmic(axes)
    axes.margins(0.18)
    axes.set_xlabel(style.unit(cost), fontsize=style.TEXT + 1)
    axes.set_ylabel(accuracy, fontsize=style.TEXT + 1)
    axes.grid(color="#e6e8eb", linewidth=0.8)
    axes.set_axisbelow(True)
    if any(isinstance(name, str) for name in curves):
        axes.legend(fontsize=style.TEXT, frameon=False)
    alone = [one for one in known if one[0].get("curve") is None]
    _name(drawn, axes, [(str(point.get("name", point.get("model", ""))), x, y) for point, x, y in alone])
    return style.saved(drawn, path)


def _draw(axes: Any, number: int, name: str | None, points: list[tuple[Mapping[str, Any], float, float]]) -> None:
    """The points of one curve, or one of none."""
    look = style.line(number)
    marks = {"marker": style.MARKERS[number % len(style.MARKERS)], "markersize": 7, "markeredgecolor": "white"}
    best = sorted(place for point, *place in points if not point.get("dominated"))
    rest = [place for point, *place in points if point.get("dominated")]
    axes.plot(*_along(best), **{**look, "linewidth": 1}, **marks, drawstyle="steps-post", label=name)
    axes.plot(*_along(rest), **{**look, "linestyle": ""}, **marks, alpha=0.3)


def _along(points: list[list[float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _logarithmic(axes: Any) -> None:
    """Numbers at 1, 2 and 5 of each power of ten."""
    from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    large = EngFormatter(sep="")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}" if value < 1000 else large(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


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
