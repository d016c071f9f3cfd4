"""Does it fit this board? Flash, tensor arena and time of a network against what the board has left for it.

fit = fits(slim, "nano33ble", latency=20)
bool(fit)       whether it fits
print(fit)      what is used and what is there, line by line
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import keras
from rich.console import Console
from rich.table import Table

from keras_pit import boards, costs, seeds
from keras_pit.blueprint import Blueprint
from keras_pit.costs import cores
from keras_pit.deployment.flatbuffer import read_program


@dataclass(frozen=True)
class Need:
    """What a network takes of one thing, and what there is of it, in the same unit ("B" or "ms")."""

    name: str
    used: float
    available: float
    unit: str

    @property
    def margin(self) -> float:
        """What is left; below 0 where it does not fit."""
        return self.available - self.used


@dataclass(frozen=True)
class Fit:
    """Whether a network fits a board: true if all needs are met; prints as a table."""

    board: boards.Board
    needs: tuple[Need, ...]
    reserved: boards.Reserved
    rough: bool
    """Whether the time is an estimate from another core's (see `costs.cores`)."""

    def __bool__(self) -> bool:
        return all(need.margin >= 0 for need in self.needs)

    def as_dict(self) -> dict[str, Any]:
        """The same as plain dictionaries and lists, for JSON."""
        needs = [{**asdict(need), "margin": need.margin} for need in self.needs]
        return {"board": self.board.name, "fits": bool(self), "needs": needs, "reserved": asdict(self.reserved)}

    def __rich__(self) -> Table:
        word = "fits" if self else "does not fit"
        table = Table(title=f"{word} {self.board.title} ({self.board.core}, {self.board.clock_mhz:g} MHz)")
        for column in ("", "used", "available", "margin"):
            table.add_column(column, justify="right" if column else "left")
        for need in self.needs:
            numbers = (need.used, need.available, need.margin)
            cells = [f"{number:,.0f} {need.unit}" if need.unit == "B" else f"{number:.1f} ms" for number in numbers]
            table.add_row(need.name, *cells, style=None if need.margin >= 0 else "red")
        table.caption = (
            f"Set aside for all else: {self.reserved.flash:,} B of flash, {self.reserved.ram:,} B of RAM."
            + " The time is a rough estimate." * self.rough
        )
        return table

    def __str__(self) -> str:
        console = Console(width=100, color_system=None)
        with console.capture() as capture:
            console.print(self)
        return capture.get()


def fits(
    model: keras.Model | bytes,
    board: str | boards.Board,
    *,
    latency: float | None = None,
    reserved: boards.Reserved = boards.RESERVED,
) -> Fit:
    """Tell whether a network fits a board.

    Args:
        model: plain Keras model, for what `to_tflite` would make of it, or the content of an int8 .tflite file.
        board: name of a board (`keras_pit.boards.names()`), or a `boards.Board`.
        latency: milliseconds that one inference may take; None if time does not matter.
        reserved: bytes of flash and RAM for the runtime and the application.

    Returns:
        A `Fit`: true if it fits.

    Raises:
        ValueError: if the board is unknown, or nothing of it is left for a network.
        DeploymentError: if the model has no form for a microcontroller.

    Example:
        >>> print(fits(slim, "nano33ble", latency=20))
    """
    board = boards.get(board) if isinstance(board, str) else board
    left = board.bounds(reserved)
    if isinstance(model, (bytes, bytearray)):
        program = read_program(bytes(model))
        flash = float(len(model))
    else:
        with seeds.functional(model) as graph:
            program = Blueprint.of(graph).program()
        flash = float(costs.flash(program, board))
    needs = [
        Need("flash", flash, left["flash"], "B"),
        Need("RAM", float(costs.ram(program, board)), left["ram"], "B"),
    ]
    time = float(costs.latency(program, board))
    needs.append(Need("latency", time, float("inf") if latency is None else latency, "ms"))
    return Fit(board, tuple(needs), reserved, cores.of_board(board).rough)
