"""What a board charges for a network that runs step by step."""

from __future__ import annotations

import re

from ..boards import Board
from ..costs import cores, register
from ..costs.arena import arena
from ..costs.latency import milliseconds
from ..costs.program import Program
from ..costs.sizes import Scalar
from .transform import streamed
from .values import CannotStream


@register("streaming_ram", whole=True)
def streaming_ram(program: Program, board: Board) -> Scalar:
    """Bytes of the tensor arena of a streaming file, with its states, that must be there on the board's core."""
    return arena(of_a_step(program), cores.of_board(board).name).needed


@register("streaming_latency", whole=True)
def streaming_latency(program: Program, board: Board) -> Scalar:
    """Milliseconds of a step that decides, on the board's core at its clock; other steps take less."""
    return milliseconds(of_a_step(program), cores.of_board(board).name, board.clock_mhz)


def of_a_step(program: Program, every: int = 1) -> Program:
    """The program of one time step of a network that is known by its layers.

    Raises:
        ValueError: names the layer that cannot run step by step, and why.
    """
    step: Program = program.once(("step", every), lambda: _of_a_step(program, every))
    return step


def _of_a_step(program: Program, every: int) -> Program:
    plain = program.plain
    program = program if plain is None else plain(frozenset())
    try:
        steps = streamed(program, every=every)
        windows = frozenset(program.operators[number].layer for number in steps.head)
        if plain is not None and any(op.ahead is not None and op.layer in windows for op in program.operators):
            program = plain(windows)
            steps = streamed(program, every=every)
        return steps.program
    except CannotStream as error:
        operator = None if error.number is None else program.operators[error.number]
        # A search numbers its layers, so that no two have the same name.
        name = "" if operator is None else re.sub(r"#\d+$", "", operator.layer)
        place = f"layer '{name}' ({operator.name})" if operator is not None and name else "it"
        raise ValueError(
            f"The network cannot stream: {place} {error.reason}. Ask for its costs on whole windows, or replace the "
            "layer."
        ) from error
