"""The page of a front: one file with the figures of all points, which draws itself in any browser, without a network.

The figures are JSON inside of `page.html`; what would end the script they stand in is escaped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras

from .. import boards, costs
from ..blueprint import Blueprint
from ..costs import arena, cores
from ..costs.faults import faults
from ..costs.program import Program
from ..deployment.advice import of_fault
from ..deployment.flatbuffer import File
from ..graph import seeds
from ..pictures.style import UNITS, unit

TEMPLATE = Path(__file__).with_name("page.html")
MARK = "/*DATA*/null"


def page(front: Any, x: str) -> str:
    """The page of a front.

    Args:
        front: a `Front`.
        x: the cost that is shown first.
    """
    before, mark, after = TEMPLATE.read_text(encoding="utf-8").partition(MARK)
    if not mark:
        raise RuntimeError(f"The template {TEMPLATE} has no place for the data: install keras_pit anew.")
    return before + escaped(_content(front, x)) + after


def escaped(content: Any) -> str:
    """JSON that can stand inside of a script element, whatever strings are in it."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _content(front: Any, x: str) -> dict[str, Any]:
    measured = [*front.seeds, *front.points]
    names = dict.fromkeys((*UNITS, *map(front.plan.short, front.plan.costs)))
    known = [board for board in map(boards.get, boards.names()) if _has_room(board)]
    return {
        "title": f"{front.monitor} against cost",
        "monitor": front.monitor,
        "higherIsBetter": front.higher_is_better,
        "x": front.plan.short(x),
        "costs": [
            {"name": name, "title": unit(name)} for name in names if all(name in point.costs for point in measured)
        ],
        "board": front.plan.board,
        "boards": [_board(board) for board in known],
        "points": [_point(point, front, known) for point in measured],
        "others": [{"label": point.label, "value": point.value, "costs": dict(point.costs)} for point in front.others],
        "failures": [{"step": failure.step.name, "reason": failure.reason} for failure in front.failures],
    }


def _has_room(board: boards.Board) -> bool:
    """Whether anything is left of a board for a network."""
    try:
        return bool(board.bounds())
    except ValueError:
        return False


def _board(board: boards.Board) -> dict[str, Any]:
    left = board.bounds()
    return {
        "name": board.name,
        "title": f"{board.title} ({board.core}, {board.clock_mhz:g} MHz)",
        "flash": left["flash"],
        "ram": left["ram"],
    }


def _point(point: Any, front: Any, known: list[boards.Board]) -> dict[str, Any]:
    program = program_of(point)
    return {
        "label": point.label,
        "seed": point.is_seed,
        "value": point.value,
        "accuracy": point.accuracy,
        "accuracyInt8": point.accuracy_int8,
        "test": front.tests.get(point),
        "bound": point.bound,
        "costs": dict(point.costs),
        "layers": [dict(layer) for layer in point.layers],
        "boards": {board.name: _taken(program, point.costs["flash"], board) for board in known},
        "memory": memory(program, front.plan.board),
    }


def _taken(program: Program, flash: float, board: boards.Board) -> dict[str, Any]:
    """What a network takes of a board, and whether that is there; as `keras_pit.fits` tells it."""
    ram, left = float(costs.ram(program, board)), board.bounds()
    found = map(of_fault, faults(program, cores.of_board(board).library))
    return {
        "fits": flash <= left["flash"] and ram <= left["ram"],
        "flash": flash,
        "ram": ram,
        "latency": float(costs.latency(program, board)),
        "faults": [f"{fault.place}: {fault.problem}" for fault in found],
    }


def program_of(point: Any) -> Program:
    """What a board runs for a point."""
    if point.accuracy_int8 is not None:
        return File.of(point.tflite()).program
    model: keras.Model = point.model()
    with seeds.functional(model) as graph:
        return Blueprint.of(graph).program()


def memory(program: Program, board: str) -> dict[str, Any]:
    """The head of the tensor arena over time, as a board plans it.

    Args:
        program: what runs.
        board: where.

    Returns:
        "steps", the names of the operators after "input", and "buffers": each with its first and last step, offset and
        size in bytes, and whether it is scratch memory.
    """
    placed = arena.plan(arena.buffers(program, cores.of_board(boards.get(board)).name))
    return {
        "steps": ["input", *(op.name for op in program.operators)],
        "height": max((int(one.end) for one in placed), default=0),
        "buffers": [
            {
                "first": int(one.buffer.first),
                "last": int(one.buffer.last),
                "offset": int(one.offset),
                "size": int(one.buffer.size),
                "scratch": one.buffer.tensor is None,
                "shape": [] if one.buffer.tensor is None else list(program.tensors[one.buffer.tensor].shape),
            }
            for one in placed
        ],
    }
