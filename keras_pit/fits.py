"""Whether a network fits a board: flash, RAM and time, each with what is left."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import keras

from . import boards
from .cost import cost
from .costs import get
from .deployment.flatbuffer import read_program

UNITS = {"flash": "bytes", "ram": "bytes", "latency": "ms"}


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
    """The answer of `fits`: true if all fits; prints as a few lines."""

    board: boards.Board
    flash: Share
    ram: Share
    latency: Share

    def __bool__(self) -> bool:
        return all(getattr(self, name).fits for name in UNITS)

    def as_dict(self) -> dict[str, Any]:
        """The same as a dictionary, for JSON."""
        shares = {name: {**asdict(getattr(self, name)), "margin": getattr(self, name).margin} for name in UNITS}
        return {"board": self.board.name, "fits": bool(self), **shares}

    def __str__(self) -> str:
        board = self.board
        lines = [f"{'fits' if self else 'does not fit'} {board.title} ({board.core}, {board.clock_mhz} MHz)"]
        for name, unit in UNITS.items():
            share: Share = getattr(self, name)
            bound = "no bound" if share.bound is None else f"of {share.bound:,.6g}, {share.margin:,.6g} left"
            lines.append(f"  {name:<8}{share.used:>12,.6g} {unit} ({bound})")
        return "\n".join(lines)


def fits(
    model: keras.Model | bytes,
    board: str | boards.Board,
    *,
    latency: float | None = None,
    reserved: boards.Reserved = boards.RESERVED,
) -> Fits:
    """Tell whether a network fits a board, as the int8 file that `to_tflite` makes.

    Args:
        model: a plain Keras model, a search model (as `export` would return it now), or the content of a .tflite file.
        board: a board or its name.
        latency: milliseconds that one inference may take; None: any.
        reserved: flash and RAM that are not for the network.

    Returns:
        A `Fits`: `if fits(...)`, `print(fits(...))`, `fits(...).ram.margin`.

    Raises:
        TypeError: if it is neither a model nor bytes.
        ValueError: if the board is unknown, or has nothing left for a network.

    Example:

        print(keras_pit.fits(tflite, "nano33ble", latency=20))
    """
    board = boards.get(board) if isinstance(board, str) else board
    if not isinstance(model, (keras.Model, bytes)):
        raise TypeError(f"Expected a Keras model or the bytes of a .tflite file, received {type(model).__name__}.")
    used = _of_file(model, board) if isinstance(model, bytes) else _of_model(model, board)
    bounds: dict[str, float | None] = {**board.bounds(reserved), "latency": latency}
    return Fits(board, **{name: Share(used[name], bounds[name]) for name in UNITS})


def _of_file(tflite: bytes, board: boards.Board) -> dict[str, float]:
    program = read_program(tflite)
    used = {name: float(get(f"{name}:{board.name}").function(program)) for name in ("ram", "latency")}
    return {"flash": float(len(tflite)), **used}


def _of_model(model: keras.Model, board: boards.Board) -> dict[str, float]:
    return {name: float(cost(model, f"{name}:{board.name}", discrete=True)) for name in UNITS}
