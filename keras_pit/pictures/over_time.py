"""A search over time: what became of each layer, and of the costs, epoch by epoch.

A history is a list with a dictionary for each epoch, as a run writes it down:

    {"phase": "search", "logs": {"loss": 0.3, "macs": 29440}, "layers": {"conv0": {"channels": 12, ...}, ...}}
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import checks
from . import style

SEARCH = "search"
_ROW_TICKS = 10


def _epochs(history: Any) -> list[Mapping[str, Any]]:
    """The epochs of the search, of those that are told."""
    rows = history.history() if hasattr(history, "history") else history
    found = [row for row in checks.listed(rows, "`history`", _HISTORY) if row.get("phase", SEARCH) == SEARCH]
    if not found:
        raise ValueError(f"`history` has no epoch of a search: expected {_HISTORY}.")
    return found


_HISTORY = "a callbacks.ArchitectureLog, a run's folder, or a list with a dictionary for each epoch"


def channels_over_time(history: Any, path: str | os.PathLike[str] | None = None, *, measure: str = "channels") -> Any:
    """Draw how many channels each layer has, epoch by epoch.

    Args:
        history: an `ArchitectureLog`, the `Folder` of a run, or a list of epochs as above.
        path: where the picture is saved, if anywhere.
        measure: "channels", "span" (of the kernel, in samples) or "dilation".

    Returns:
        A Matplotlib figure: a row for each layer, a column for each epoch, light where most is left.

    Raises:
        TypeError: if `history` is none.
        ValueError: if it has no epochs, or the measure is unknown.
        ImportError: if matplotlib is not installed.
    """
    checks.one_of(measure, "`measure`", ("channels", "span", "dilation"))
    epochs = _epochs(history)
    names = list(epochs[0].get("layers", ()))
    if not names:
        raise ValueError("`history` has no layer that is searched: there is nothing to draw.")
    values = np.array([[row["layers"][name][measure] for row in epochs] for name in names], float)
    largest = values.max(1, keepdims=True)
    drawn = style.figure(8.0, style.MORE + style.ROW * max(len(names), 3))
    (axes,) = style.axes_of(drawn)
    extent = (0.5, len(epochs) + 0.5, len(names) - 0.5, -0.5)
    image = axes.imshow(values / largest, aspect="auto", cmap=style.SHARES, vmin=0, vmax=1, extent=extent)
    style.rows_named(axes, names)
    axes.set_xlabel("epoch of the search", fontsize=style.TEXT)
    axes.xaxis.get_major_locator().set_params(integer=True)
    twin = axes.secondary_yaxis("right")
    counts = [f"{one[-1]:g} of {most:g}" for one, most in zip(values, largest[:, 0], strict=True)]
    twin.set_yticks(range(len(names)), counts, fontsize=style.TEXT)
    twin.tick_params(length=0)
    twin.spines["right"].set_visible(False)
    bar = drawn.colorbar(image, ax=axes, pad=0.02, aspect=30)
    bar.set_label(f"share of the most {measure}", fontsize=style.TEXT)
    bar.ax.tick_params(labelsize=style.TEXT)
    axes.set_title(f"{measure} of each layer over time", fontsize=style.TITLE)
    return style.saved(drawn, path)


def costs_over_time(
    history: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    costs: Sequence[str] | None = None,
    target: Mapping[str, float] | None = None,
) -> Any:
    """Draw the costs of a search, epoch by epoch, each in its own unit.

    Args:
        history: as for `channels_over_time`.
        path: where the picture is saved, if anywhere.
        costs: their names in the logs; None: all whose names are those of costs.
        target: bounds, drawn as lines.

    Returns:
        A Matplotlib figure, with a panel for each cost and one for the losses.

    Raises:
        TypeError: if `history` is none.
        ValueError: if it has no epochs.
        ImportError: if matplotlib is not installed.
    """
    epochs, target = _epochs(history), target or {}
    logged = list(epochs[0]["logs"])
    names = [name for name in logged if name.partition(":")[0] in style.UNITS] if costs is None else list(costs)
    losses = [name for name in logged if name.endswith(("loss", "accuracy"))]
    panels = [*([name] for name in names), *([losses] if losses else [])]
    drawn = style.figure(3.2 * len(panels), 3.0)
    steps = range(1, len(epochs) + 1)
    for axes, panel in zip(style.axes_of(drawn, 1, len(panels)), panels, strict=True):
        for number, name in enumerate(panel):
            values = [row["logs"].get(name, np.nan) for row in epochs]
            axes.plot(steps, values, label=name, marker="." if len(epochs) == 1 else None, **style.line(number))
        for name in set(panel) & set(target):
            axes.axhline(target[name], color="#000000", linestyle=":", linewidth=1)
            axes.annotate("target", (1, target[name]), (2, 2), textcoords="offset points", fontsize=style.TEXT)
        if panel is losses:
            axes.legend(fontsize=style.TEXT)
            axes.set_title("loss and accuracy", fontsize=style.TITLE)
        else:
            axes.set_ylabel(style.unit(panel[0]), fontsize=style.TEXT)
            axes.set_title(panel[0], fontsize=style.TITLE)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("epoch of the search", fontsize=style.TEXT)
        axes.xaxis.get_major_locator().set_params(integer=True)
    return style.saved(drawn, path)
