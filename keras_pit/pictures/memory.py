"""The tensor arena over time: which buffer lies where, and while which layer runs.

    bytes from the start ->     |  0        1000        2000
    input                       | [ input       ]
    conv0 (CONV_2D)             | [ input       ][ conv0    ]
    conv1 (CONV_2D)             | [ conv1 ]      [ conv0    ]

Time goes down, a row for each operator, so that names are read as they are, however many there are.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from .. import checks
from . import style

_LIGHT = ("#0072b2", "#56b4e9", "#009e73", "#e69f00", "#cc79a7")
_SCRATCH = "#8a8f98"
_LETTER = 0.065
"""Inches that a letter takes in a box, about."""


def arena(
    report: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    core: str = "cortex-m4",
    layers: Sequence[str] | None = None,
) -> Any:
    """Draw what lies where in the head of the arena, and how long.

    Args:
        report: what `keras_pit.profile` returns.
        path: where the picture is saved, if anywhere.
        core: whose scratch memory is drawn, a name of `keras_pit.costs.cores`.
        layers: the layer that each operator comes from; files do not tell. None for the operators' own names.

    Returns:
        A Matplotlib figure.

    Raises:
        TypeError: if `report` is of another kind.
        ValueError: if the core is unknown, or `layers` are not as many as the operators.
        ImportError: if matplotlib is not installed.

    Example:

        pictures.arena(report, "arena.png", layers=runs.layers_of(slim, report))
    """
    if not hasattr(report, "memory") or not hasattr(report, "program"):
        raise checks.wrong_type("`report`", "what keras_pit.profile returns", report)
    operators = [op.name for op in report.program.operators]
    known = [op.layer for op in report.program.operators]
    names = list(known if layers is None else layers)
    if len(names) != len(operators):
        raise ValueError(
            f"`layers` names {len(names)} operators, but the file has {len(operators)}: name each of them."
        )
    steps = style.operators_named(operators, names)
    return drawing(report.memory(core), steps, path, core=core)


def drawing(
    rows: Sequence[dict[str, Any]], steps: Sequence[str], path: str | os.PathLike[str] | None = None, *, core: str
) -> Any:
    """The picture of buffers, as `DeploymentReport.memory` lists them.

    Args:
        rows: the buffers.
        steps: what each operator is called.
        path: where the picture is saved, if anywhere.
        core: whose it is, for the title.
    """
    names = ["input", *steps]
    width = 9.0
    drawn = style.figure(width, style.MORE + style.ROW * max(len(names), 4))
    (axes,) = style.axes_of(drawn)
    most = max((row["offset"] + row["bytes"] for row in rows), default=1)
    for row in rows:
        _box(axes, row, names, 0.6 * width / most)
    axes.set_xlim(0, 1.02 * most)
    style.rows_named(axes, names)
    axes.set_xlabel("bytes from the start of the arena", fontsize=style.TEXT)
    axes.set_title(f"tensor arena on {core}: {most:,} B for activations, over time (down)", fontsize=style.TITLE)
    return style.saved(drawn, path)


def _box(axes: Any, row: dict[str, Any], names: Sequence[str], scale: float) -> None:
    """A buffer; its name where there is room for it."""
    from matplotlib.patches import Rectangle

    scratch = row["tensor"] is None
    rows = row["last"] - row["first"] + 1
    maker = names[row["operator"] + 1]
    color = _SCRATCH if scratch else _LIGHT[(row["operator"] + 1) % len(_LIGHT)]
    axes.add_patch(
        Rectangle(
            (row["offset"], row["first"] - 0.5),
            row["bytes"],
            rows,
            facecolor=color,
            edgecolor="white",
            linewidth=1.2,
            hatch="///" if scratch else None,
        )
    )
    label = "scratch" if scratch else style.shortened(maker.partition(" (")[0], 24)
    room = row["bytes"] * scale
    for text in (f"{label}  {row['bytes']:,} B", label):
        if len(text) * _LETTER <= room:
            middle = row["offset"] + row["bytes"] / 2, (row["first"] + row["last"]) / 2
            box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1}
            axes.text(*middle, text, ha="center", va="center", fontsize=style.TEXT - 1, color="black", bbox=box)
            return
