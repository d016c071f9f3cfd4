"""Whether a network fits a board: flash, RAM and time, each with what is left."""

from __future__ import annotations

import os
import warnings
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from .. import boards, checks, costs
from ..costs import cores
from ..costs.faults import faults
from ..costs.latency import interval, unknown
from ..costs.program import Program
from ..errors import DeploymentError
from ..streaming import of_a_step
from .advice import Advice, of_fault, require_runnable
from .batch import is_open, require_only_batch
from .file_graph import BRIDGES
from .flatbuffer import File
from .rate import decision_rate

if TYPE_CHECKING:
    import keras

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
    """Whether the time is derived from another core's, as none is published (see `costs.cores`)."""
    interval: tuple[float, float]
    """Milliseconds: what is published of this core lies within, relative to its estimates."""
    unknown: tuple[str, ...] = ()
    """The operators whose time is not known, nor all of their RAM: `ram` and `latency` are at least what is told."""
    faults: tuple[Advice, ...] = ()
    """What the kernels of the board's core are known to compute wrongly of this network, and the cure."""
    open_batch: bool = False
    """Whether it is a file that leaves the batch open, which is taken as 1."""

    def __bool__(self) -> bool:
        return all(getattr(self, name).fits for name in UNITS)

    def as_dict(self) -> dict[str, Any]:
        """The same as a dictionary, for JSON."""
        shares = {name: {**asdict(getattr(self, name)), "margin": getattr(self, name).margin} for name in UNITS}
        marks = {"unknown": list(self.unknown), "open_batch": self.open_batch}
        marks["interval"] = list(self.interval)
        marks["faults"] = [asdict(fault) for fault in self.faults]
        return {"board": self.board.name, "fits": bool(self), **shares, "reserved": asdict(self.reserved), **marks}

    def __rich__(self) -> Table:
        board = self.board
        known = "" if not self or not self.unknown else ", as far as that is known,"
        notes = [f"set aside: {self.reserved.flash:,} B of flash, {self.reserved.ram:,} B of RAM"]
        low, high = (f"{bound:,.2f}" for bound in self.interval)
        notes += [f"the time is between {low} and {high} ms" + ", a rough estimate" * self.rough]
        notes += [f"RAM and time are at least these: without what {', '.join(self.unknown)} takes"] * bool(self.unknown)
        notes += [f"{fault.place}: {fault.problem}; cure: {fault.cure}" for fault in self.faults]
        notes += ["the file leaves the batch open, it is taken as 1"] * self.open_batch
        table = Table(
            title=f"{'fits' if self else 'does not fit'}{known} {board.title} ({board.core}, {board.clock_mhz:g} MHz)",
            caption="; ".join(notes),
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
        console = Console(width=100, color_system=None, force_jupyter=False)
        with console.capture() as capture:
            console.print(self)
        return capture.get()


def fits(
    model: keras.Model | bytes | str | os.PathLike[str],
    board: str | boards.Board,
    *,
    latency: float | None = None,
    streaming: bool = False,
    decide_every: int = 1,
    reserved: boards.Reserved = boards.RESERVED,
) -> Fits:
    """Tell whether a network fits a board, as the int8 file that `to_tflite` makes.

    Args:
        model: a plain Keras model, a search model (as `export` would return it now), or the content or path of a
            .tflite file for int8.
        board: a board or its name.
        latency: milliseconds that one inference may take by the estimate; None: any. See `Fits.interval`.
        streaming: of a model, its streaming file, as `to_tflite(..., streaming=True)` makes it: `latency` is then that
            of a step that decides. A file is what it is.
        decide_every: as for `to_tflite`.
        reserved: flash and RAM that are not for the network.

    Returns:
        A `Fits`: `if fits(...)`, `print(fits(...))`, `fits(...).ram.margin`.

    Raises:
        TypeError: if it is neither a model nor a file, or another argument is of a wrong type.
        ValueError: if the board is unknown, or has nothing left for a network; if `latency` is no number above 0; if
            the model's operators are not known before it is converted; if it cannot stream.
        DeploymentError: if a file is damaged or beyond the limits, leaves more open than the batch, computes with
            other numbers than int8, or holds what TFLite-Micro cannot run on this board, as the operator of an Ethos-U.

    Example:

        print(keras_pit.fits(tflite, "nano33ble", latency=20))
    """
    board = boards.get(board) if isinstance(board, str) else board
    checks.instance(board, "`board`", boards.Board, f"a keras_pit.boards.Board or the name of one ({_names()})")
    latency = None if latency is None else checks.number(latency, "`latency`", positive=True)
    every = decision_rate(streaming, decide_every)
    bounds = board.bounds(reserved)
    open_batch = False
    if isinstance(model, (bytes, bytearray, memoryview, str, os.PathLike)):
        file = File.of(model)
        program, flash, open_batch = _read(file, board), len(file.content), is_open(file.graph)
    else:
        program = _program(model)
        program = program if every is None else of_a_step(program, every)
        flash = costs.flash(program, board)
    core = cores.of_board(board)
    least, most = interval(program, core.name, board.clock_mhz, external_flash=board.external_flash)
    return Fits(
        board,
        Share(float(flash), bounds["flash"]),
        Share(float(costs.ram(program, board)), bounds["ram"]),
        Share(float(costs.latency(program, board)), latency),
        reserved,
        core.rough,
        (float(least), float(most)),
        tuple(dict.fromkeys(call.op.name for call in program.calls() if unknown(call))),
        _faults(program, board),
        open_batch,
    )


def _faults(program: Program, board: boards.Board) -> tuple[Advice, ...]:
    """The faults of the board's kernels, also told as a warning."""
    found = tuple(map(of_fault, faults(program, cores.of_board(board).library)))
    if found:
        told = " ".join(f"{one.place}: {one.problem}. Cure: {one.cure}." for one in found)
        warnings.warn(f"On board '{board.name}', {told}", stacklevel=3)
    return found


def _program(model: Any) -> Program:
    # These need TensorFlow, a file does not.
    from ..blueprint import Blueprint
    from ..graph import seeds
    from ..search.model import SearchModel
    from ..search.slim import slim

    if isinstance(model, SearchModel):
        return Blueprint.of(slim(model, model.channels)).program()
    with seeds.functional(model) as graph:
        return Blueprint.of(graph).program()


def _read(file: File, board: boards.Board) -> Program:
    """What a file makes a board do, if that is known, and anything at all."""
    graph = file.graph
    try:
        require_runnable(graph)
    except DeploymentError as error:
        raise DeploymentError(f"The file does not run on board '{board.name}'. {error}") from error
    require_only_batch(graph)
    activations = {*graph.inputs, *(tensor for op in graph.ops for tensor in op.outputs)}
    for op in graph.ops:
        # States and weights of other types, as the cell of an LSTM, are the operator's own affair.
        passed = {tensor.dtype for tensor in (*op.inputs, *op.outputs) if tensor in activations and not tensor.variable}
        others = sorted(dtype for dtype in passed if dtype == "int16" or dtype.startswith(("float", "bfloat")))
        if others and op.name not in BRIDGES:
            raise DeploymentError(
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
