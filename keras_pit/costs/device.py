"""What a board charges for: flash, RAM and time of the int8 network that `to_tflite` would make."""

from __future__ import annotations

from ..boards import Board
from . import cores
from .arena import arena
from .flash import flash as file_size
from .latency import milliseconds
from .program import Program
from .registry import register
from .sizes import Scalar, is_number

_SOFT = 32
"""During a search, flash is costed from above: which parts of a file are equal differs a little from state to state."""


@register("flash", whole=True)
def flash(program: Program, board: Board) -> Scalar:
    """Bytes of the .tflite file; the same for every board."""
    size = file_size(program)
    return size if is_number(size) else size + _SOFT


@register("ram", whole=True)
def ram(program: Program, board: Board) -> Scalar:
    """Bytes of the tensor arena on the board's core that must be there."""
    return arena(program, cores.of_board(board).name).needed


@register("latency", whole=True)
def latency(program: Program, board: Board) -> Scalar:
    """Milliseconds of one inference on the board's core, at its clock."""
    return milliseconds(program, cores.of_board(board).name, board.clock_mhz)
