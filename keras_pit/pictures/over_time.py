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


def _epochs(history: Any, phase: str = SEARCH) -> list[Mapping[str, Any]]:
    """The epochs of a phase, of those that are told."""
    rows = history.history() if hasattr(history, "history") else history
    found = [row for row in checks.listed(rows, "`history`", _HISTORY) if row.get("phase", SEARCH) == phase]
    if not found:
        raise ValueError(f"`history` has no epoch of {phase!r}: expected {_HISTORY}.")
    return found


_HISTORY = "a callbacks.ArchitectureLog, a run's folder, or a list with a dictionary for each epoch"


def channels_over_time(history: Any, path: str | os.PathLike[str] | None = None) -> Any:
    """Draw how many channels each layer has, epoch by epoch.

    Args:
        history: a `callbacks.ArchitectureLog`, the `runs.Folder` of a run, or a list of epochs as above.
        path: where the picture is saved, if anywhere.

    Returns:
        A Matplotlib figure: a row for each layer, a column for each epoch, light where most is left; on the right what
        is left in the end.

    Raises:
        TypeError: if `history` is none.
        ValueError: if it has no epochs, or no layer is searched.
        ImportError: if matplotlib is not installed.

    Example:

        pictures.channels_over_time(log, "channels.png")
    """
    return _over_time(history, ("channels",), path)


def layers_over_time(history: Any, path: str | os.PathLike[str] | None = None) -> Any:
    """Draw channels, span of the kernel and dilation of each layer, epoch by epoch, as `channels_over_time` does."""
    return _over_time(history, tuple(MEASURES), path)


def _over_time(history: Any, measures: Sequence[str], path: str | os.PathLike[str] | None) -> Any:
    epochs = _epochs(history)
    names = list(epochs[0].get("layers", ()))
    if not names:
        raise ValueError("`history` has no layer that is searched: there is nothing to draw.")
    height = style.MORE + style.ROW * max(len(names), 3)
    drawn = style.figure(2.2 + 4.4 * len(measures), height)
    all_axes = style.axes_of(drawn, 1, len(measures), sharey=True)
    for axes, measure in zip(all_axes, measures, strict=True):
        values = np.array([[row["layers"][name][measure] for row in epochs] for name in names], float)
        image = _shares(axes, values)
        axes.set_title(MEASURES[measure], fontsize=style.TITLE)
    style.rows_named(all_axes[0], names)
    bar = drawn.colorbar(image, ax=all_axes, pad=0.01, aspect=6 * height)
    bar.set_label("share of the most", fontsize=style.TEXT)
    bar.ax.tick_params(labelsize=style.TEXT)
    return style.saved(drawn, path)


def _shares(axes: Any, values: np.ndarray) -> Any:
    """Rows of shares of their largest value, with the last value beside each."""
    count, epochs = values.shape
    largest = values.max(1, keepdims=True)
    extent = (0.5, epochs + 0.5, count - 0.5, -0.5)
    image = axes.imshow(values / largest, aspect="auto", cmap=style.SHARES, vmin=0, vmax=1, extent=extent)
    for row, (last, most) in enumerate(zip(values[:, -1], largest[:, 0], strict=True)):
        text = f"{last:g} of {most:g}"
        axes.annotate(text, (1, row), (4, 0), xycoords=axes.get_yaxis_transform(), textcoords="offset points",
                      va="center", fontsize=style.TEXT, annotation_clip=False)  # fmt: skip
    axes.set_xlabel(f"epoch ({SEARCH})", fontsize=style.TEXT)
    axes.xaxis.get_major_locator().set_params(integer=True)
    return image


MEASURES = {"channels": "channels", "span": "span of the kernel (samples)", "dilation": "dilation"}


def costs_over_time(
    history: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    costs: Sequence[str] | None = None,
    target: Mapping[str, float] | None = None,
    phase: str = SEARCH,
) -> Any:
    """Draw the costs of a search, epoch by epoch, each in its own unit.

    Args:
        history: as for `channels_over_time`.
        path: where the picture is saved, if anywhere.
        costs: their names in the logs; None: all whose names are those of costs.
        target: bounds, drawn as lines.
        phase: "search", or "fine-tune" of the history of a run.

    Returns:
        A Matplotlib figure, with a panel for each cost and one for the losses.

    Raises:
        TypeError: if `history` is none.
        ValueError: if it has no epochs.
        ImportError: if matplotlib is not installed.
    """
    epochs, target = _epochs(history, phase), target or {}
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
            style.few_ticks(axes.yaxis, 5)
        axes.set_ylim(bottom=0)
        axes.set_xlabel(f"epoch ({phase})", fontsize=style.TEXT)
        axes.xaxis.get_major_locator().set_params(integer=True)
    return style.saved(drawn, path)
