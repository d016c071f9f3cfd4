"""What is in the arena's head, and when: activations, and the scratch memory of operators while they run."""

from __future__ import annotations

from . import cores
from .planner import ALIGNMENT, Buffer
from .program import Program
from .scratch import requests
from .sizes import Scalar, larger, round_up


def buffers(program: Program, core: str) -> list[Buffer]:
    """What is to be placed: activations by their numbers, then scratch memory by operator.

    Args:
        program: the network, its operators as they run; sizes may be soft.
        core: a name of `costs.cores`.
    """
    kernels = cores.get(core).kernels
    found: list[Buffer] = program.once(("buffers", kernels), lambda: _buffers(program, kernels))
    return found


def _buffers(program: Program, kernels: str) -> list[Buffer]:
    there, scratch = program.presences(), list[Buffer]()
    asked = program.of_each(("requests", kernels), lambda call: requests(call, kernels))
    for step, (op, sizes) in enumerate(zip(program.operators, asked, strict=True), start=1):
        scratch += [Buffer(round_up(size, ALIGNMENT) * op.presence, step, step) for size in sizes]
    lives = _lives(program)
    placed = {number: round_up(program.tensors[number].bytes, ALIGNMENT) * there[number] for number in lives}
    return [Buffer(placed[n], *lives[n], n) for n in sorted(lives)] + scratch


def _lives(program: Program) -> dict[int, tuple[int, Scalar]]:
    """The first and the last step at which each activation is needed, by its number."""
    first: dict[int, int] = dict.fromkeys(program.inputs, 0)
    last: dict[int, Scalar] = dict(first)
    for step, op in enumerate(program.operators, start=1):
        for number in op.outputs:
            if not program.tensors[number].variable:
                first.setdefault(number, step)
        for number in (*op.inputs, *op.outputs):
            if number in first:
                last[number] = larger(step * op.presence, last.get(number, 0))
    last |= dict.fromkeys(program.outputs, len(program.operators))
    return {number: (first[number], last[number]) for number in first}
