"""Whether a network fits a board: flash, RAM and time, each with what is left."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

import keras
from rich.console import Console
from rich.table import Table

from .. import boards, checks, costs
from ..blueprint import Blueprint
from ..costs import cores
from ..costs.program import Program
from ..graph import seeds
from ..search.model import SearchModel
from ..search.slim import slim
from .file_graph import BRIDGES
from .flatbuffer import File
from .verify import require_static

UNITS = {"flash": "B", "ram": "B", "latency": "ms"}


@dataclass(frozen=True)
class Share:
    """What a network takes of one thing, and what there is for it (None: no bound)."""

    used: float
    bound: float | None

    @property
    def margin(self) -> float | None:
        """What is left; negative if it does not fit."""
        return None if self.bound is None else self.bound - self.used

    @property
    def fits(self) -> bool:
        """Whether it is within its bound."""
        return self.bound is None or self.used <= self.bound


@dataclass(frozen=True)
class Fits:
    """The answer of `fits`: true if all fits; prints as a table."""

    board: boards.Board
    flash: Share
    ram: Share
    latency: Share
    reserved: boards.Reserved
    rough: bool
    """Whether the time is derived from another core's (see `costs.cores`)."""

    def __bool__(self) -> bool:
        return all(getattr(self, name).fits for name in UNITS)

    def as_dict(self) -> dict[str, Any]:
        """The same as a dictionary, for JSON."""
        shares = {name: {**asdict(getattr(self, name)), "margin": getattr(self, name).margin} for name in UNITS}
        return {"board": self.board.name, "fits": bool(self), **shares, "reserved": asdict(self.reserved)}

    def __rich__(self) -> Table:
        board = self.board
        table = Table(
            title=f"{'fits' if self else 'does not fit'} {board.title} ({board.core}, {board.clock_mhz:g} MHz)",
            caption=f"set aside: {self.reserved.flash:,} B of flash, {self.reserved.ram:,} B of RAM"
            + "; the time is a rough estimate" * self.rough,
        )
        table.add_column("")
        for column in ("used", "available", "margin"):
            table.add_column(column, justify="right")
        for name, unit in UNITS.items():
            share: Share = getattr(self, name)
            numbers = (_text(number, unit) for number in (share.used, share.bound, share.margin))
            table.add_row(name, *numbers, style=None if share.fits else "red")
        return table

    def __str__(self) -> str:
        console = Console(width=100, color_system=None)
        with console.capture() as capture:
            console.print(self)
        return capture.get()


def fits(
    model: keras.Model | bytes | str | os.PathLike[str],
    board: str | boards.Board,
    *,
    latency: float | None = None,
    reserved: boards.Reserved = boards.RESERVED,
) -> Fits:
    """Tell whether a network fits a board, as the int8 file that `to_tflite` makes.

    Args:
        model: a plain Keras model, a search model (as `export` would return it now), or the content or path of a
            .tflite file for int8.
        board: a board or its name.
        latency: milliseconds that one inference may take; None: any.
        reserved: flash and RAM that are not for the network.

    Returns:
        A `Fits`: `if fits(...)`, `print(fits(...))`, `fits(...).ram.margin`.

    Raises:
        TypeError: if it is neither a model nor a file, or another argument is of a wrong type.
        ValueError: if the board is unknown, or has nothing left for a network; if `latency` is no number above 0; if
            the model's operators are not known before it is converted, or those of a file are not int8.
        DeploymentError: if a file leaves a dimension open.

    Example:

        print(keras_pit.fits(tflite, "nano33ble", latency=20))
    """
    board = boards.get(board) if isinstance(board, str) else board
    checks.instance(board, "`board`", boards.Board, f"a keras_pit.boards.Board or the name of one ({_names()})")
    latency = None if latency is None else checks.number(latency, "`latency`", positive=True)
    bounds = board.bounds(reserved)
    if isinstance(model, (bytes, bytearray, memoryview, str, os.PathLike)):
        file = File.of(model)
        program, flash = _read(file), len(file.content)
    else:
        program = _program(model)
        flash = costs.flash(program, board)
    return Fits(
        board,
        Share(float(flash), bounds["flash"]),
        Share(float(costs.ram(program, board)), bounds["ram"]),
        Share(float(costs.latency(program, board)), latency),
        reserved,
        cores.of_board(board).rough,
    )


def _program(model: Any) -> Program:
    if isinstance(model, SearchModel):
        return Blueprint.of(slim(model, model.channels)).program()
    with seeds.functional(model) as graph:
        return Blueprint.of(graph).program()


def _read(file: File) -> Program:
    """What a file makes a board do, if that is known."""
    graph = file.graph
    require_static(graph)
    for op in graph.ops:
        others = sorted({t.dtype for t in (*op.inputs, *op.outputs) if t.floating or t.dtype == "int16"})
        if others and op.name not in BRIDGES:
            raise ValueError(
                f"The file computes with {' and '.join(others)} ({op.name} at {graph.place(op)}): expected int8, the "
                "only numbers whose time on a board is known. Make the file with keras_pit.to_tflite(model, "
                "calibration), or see what keras_pit.profile says of this one."
            )
    return file.program


def _names() -> str:
    return ", ".join(boards.names())


def _text(number: float | None, unit: str) -> str:
    if number is None:
        return "any"
    return f"{number:,.0f} B" if unit == "B" else f"{number:,.2f} ms"
