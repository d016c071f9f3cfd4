"""The one look: colours, sizes, and how a figure is made and saved.

The colours are those of Okabe and Ito, which colour-blind readers tell apart, in an order in which neighbours differ in
lightness, too. Lines differ in their dashes as well, so that nothing is lost in black and white.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .. import checks

BEFORE, AFTER = "#c9ced6", "#0b4f8a"
COLORS = ("#0072b2", "#e69f00", "#000000", "#56b4e9", "#d55e00", "#cc79a7", "#009e73")
DASHES = ("-", "--", ":", "-.")
MARKERS = "osD^vPX"
SHARES = "cividis"
"""The map from 0 to 1: its lightness grows all the way."""
ROW, TEXT, TITLE = 0.24, 8, 10
"""Inches for a layer; points of text."""
MORE = 0.9
"""Inches for what is around the rows: title, axis."""

UNITS = {
    "size": "parameters",
    "macs": "MACs",
    "flash": "flash (B)",
    "ram": "RAM (B)",
    "latency": "latency (ms)",
}
"""How costs are called in tables and pictures."""


def unit(cost: str) -> str:
    """The label of an axis for a cost; one of the user's own is called by its name."""
    base, _, board = cost.partition(":")
    return UNITS.get(base, base) + f" on {board}" * bool(board)


def figure(width: float, height: float) -> Any:
    """A new Matplotlib figure; sizes in inches.

    Raises:
        ImportError: if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('Plots need matplotlib: pip install "keras_pit[plot]".') from error
    return Figure(figsize=(width, height), layout="constrained")


def axes_of(parent: Any, rows: int = 1, columns: int = 1, **settings: Any) -> list[Any]:
    """The axes of a figure, with little around them."""
    made = parent.subplots(rows, columns, squeeze=False, **settings)
    for one in made.flat:
        one.spines[["top", "right"]].set_visible(False)
        one.tick_params(labelsize=TEXT)
    return list(made.flat)


def rows_named(axes: Any, names: Iterable[str]) -> None:
    """Names for the rows of a picture, the first one at the top."""
    names = [shortened(name) for name in names]
    axes.set_yticks(range(len(names)), names, fontsize=TEXT)
    axes.set_ylim(len(names) - 0.5, -0.5)


def few_ticks(axis: Any, most: int = 4) -> None:
    """So few numbers along an axis that they do not meet, large ones as 10k and 2M."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(most))
    axis.set_major_formatter(EngFormatter(sep=""))


def shortened(name: str, most: int = 28) -> str:
    """A name of at most so many letters, without its middle."""
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[:half]}…{name[-half:]}"


def operators_named(operators: Iterable[str], layers: Iterable[str]) -> list[str]:
    """What operators are called: by the layers that they come from, where these are known."""
    both = enumerate(zip(operators, layers, strict=True))
    return [f"{layer} ({name})" if layer else f"{name} {number}" for number, (name, layer) in both]


def line(number: int) -> dict[str, Any]:
    """How the line of a number looks."""
    return {"color": COLORS[number % len(COLORS)], "linestyle": DASHES[number % len(DASHES)], "linewidth": 1.6}


def saved(drawn: Any, path: str | os.PathLike[str] | None) -> Any:
    """The figure, saved where a path is given; the ending chooses the format (.png, .svg, .pdf)."""
    if path is not None:
        target: Path = checks.path(path, "`path`")
        drawn.savefig(target, dpi=150)
    return drawn


def plain(report: Any) -> Mapping[str, Any]:
    """What a report holds, as dictionaries and lists.

    Raises:
        TypeError: if it is none.
    """
    found = report.as_dict() if hasattr(report, "as_dict") else report
    expected = "what keras_pit.summary or keras_pit.profile returns, or its as_dict()"
    checked: Mapping[str, Any] = checks.instance(found, "`report`", Mapping, expected)
    return checked
