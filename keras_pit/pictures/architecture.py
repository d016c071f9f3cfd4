"""A network layer by layer: before and after a search, and where a cost comes from."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import checks
from . import style

Layer = Mapping[str, Any]


def spanned(kernel: Sequence[int], dilation: Sequence[int]) -> int:
    """The samples from the first to the last tap of a kernel, along its longest axis."""
    return max([(count - 1) * step + 1 for count, step in zip(kernel, dilation, strict=True)], default=1)


MEASURES: dict[str, Callable[[Layer], float]] = {
    "channels": lambda shape: shape["channels"],
    "span of the kernel (samples)": lambda shape: spanned(shape["kernel"], shape["dilation"]),
    "taps of the kernel": lambda shape: math.prod(shape["kernel"]),
    "parameters": lambda shape: shape["size"],
    "MACs": lambda shape: shape["macs"] or 0,
}


def architecture(report: Any, path: str | os.PathLike[str] | None = None) -> Any:
    """Draw channels, kernels and costs of each layer, before and after a search.

    Args:
        report: what `keras_pit.summary` returns, or its `as_dict()`.
        path: where the picture is saved, if anywhere.

    Returns:
        A Matplotlib figure.

    Raises:
        TypeError: if `report` is no report.
        ImportError: if matplotlib is not installed.

    Example:

        pictures.architecture(keras_pit.summary(search), "architecture.png")
    """
    found = style.plain(report)
    layers = found["layers"]
    known = all(layer[when]["macs"] is not None for layer in layers for when in ("before", "after"))
    measures = {title: measure for title, measure in MEASURES.items() if known or title != "MACs"}
    drawn = style.figure(2.7 * len(measures), style.MORE + 0.25 + style.ROW * max(len(layers), 3))
    all_axes = style.axes_of(drawn, 1, len(measures), sharey=True)
    rows = range(len(layers))
    for axes, (title, measure) in zip(all_axes, measures.items(), strict=True):
        axes.barh(rows, [measure(layer["before"]) for layer in layers], 0.85, color=style.BEFORE, label="before")
        axes.barh(rows, [measure(layer["after"]) for layer in layers], 0.45, color=style.AFTER, label="after")
        axes.set_title(title, fontsize=style.TITLE)
        style.few_ticks(axes.xaxis)
    style.rows_named(all_axes[0], [layer["name"] for layer in layers])
    drawn.legend(*all_axes[0].get_legend_handles_labels(), loc="outside lower right", ncols=2, fontsize=style.TEXT)
    drawn.suptitle(f"{found['model']}: before and after the search", fontsize=style.TITLE + 1)
    return style.saved(drawn, path)


def cost_by_layer(report: Any, metric: str = "macs", path: str | os.PathLike[str] | None = None) -> Any:
    """Draw what each layer, or each operator of a file, takes of a cost.

    Args:
        report: what `keras_pit.summary` or `keras_pit.profile` returns, or its `as_dict()`.
        metric: of a summary "size" or "macs"; of a profile "macs" or a core whose instructions are drawn
            ("cortex-m4").
        path: where the picture is saved, if anywhere.

    Returns:
        A Matplotlib figure; the share of the whole stands beside each bar.

    Raises:
        TypeError: if `report` is no report.
        ValueError: if the metric is unknown.
        ImportError: if matplotlib is not installed.

    Example:

        pictures.cost_by_layer(keras_pit.profile(tflite), "cortex-m4", "instructions.png")
    """
    found = style.plain(report)
    names, values, label = _of_file(found, metric) if "operators" in found else _of_model(found, metric)
    drawn = style.figure(7.0, style.MORE + style.ROW * max(len(names), 3))
    (axes,) = style.axes_of(drawn)
    axes.barh(range(len(names)), [value or 0 for value in values], 0.7, color=style.AFTER)
    total = sum(value or 0 for value in values)
    for row, value in enumerate(values):
        share = "unknown" if value is None else f"{value / total:.1%}" if total else ""
        axes.annotate(share, (value or 0, row), (3, 0), textcoords="offset points", va="center", fontsize=style.TEXT)
    axes.margins(x=0.12)
    axes.set_xlabel(label, fontsize=style.TEXT)
    style.few_ticks(axes.xaxis)
    style.rows_named(axes, names)
    title = f"{found['model']}: " if "model" in found else ""
    axes.set_title(f"{title}{total:,.0f} {label}", fontsize=style.TITLE)
    return style.saved(drawn, path)


def _of_model(found: Mapping[str, Any], metric: str) -> tuple[list[str], list[Any], str]:
    checks.one_of(metric, "`metric`", ("size", "macs"))
    rows = [(layer["name"], layer["after"][metric]) for layer in found["layers"]]
    rows += [(kept["name"], kept[metric]) for kept in found["kept"] if kept[metric] and not kept.get("gone")]
    return [name for name, _ in rows], [value for _, value in rows], style.unit(metric)


def _of_file(found: Mapping[str, Any], metric: str) -> tuple[list[str], list[Any], str]:
    cores = list(found["instructions"])
    checks.one_of(metric, "`metric`", ("macs", *cores))
    operators = found["operators"]
    names = style.operators_named((op["name"] for op in operators), (op.get("layer", "") for op in operators))
    if metric == "macs":
        return names, [op["macs"] for op in operators], style.unit(metric)
    return names, [op["instructions"][metric] for op in operators], f"instructions on {metric}"
