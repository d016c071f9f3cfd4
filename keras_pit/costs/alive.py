"""What is in the arena's head, and when: activations, and the scratch memory of operators while they run."""

from __future__ import annotations

from . import cores
from .planner import ALIGNMENT, Buffer
from .program import Program
from .scratch import requests
from .sizes import of_many, round_up


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
    there, lives = program.presences(), _lives(program)
    placed = sorted(lives)
    asked = program.of_each(("requests", kernels), lambda call: requests(call, kernels))
    scratch = [(step, size) for step, sizes in enumerate(asked, start=1) for size in sizes]
    sizes = [*(program.tensors[number].bytes for number in placed), *(size for _, size in scratch)]
    presences = [*(there[number] for number in placed), *(program.operators[step - 1].presence for step, _ in scratch)]
    times = [*((*lives[number], number) for number in placed), *((step, step, None) for step, _ in scratch)]
    aligned = of_many(lambda size, presence: round_up(size, ALIGNMENT) * presence, sizes, presences)
    return [Buffer(size, *time) for size, time in zip(aligned, times, strict=True)]


def _lives(program: Program) -> dict[int, tuple[int, int]]:
    """The first and the last step at which operators that may be there need each activation, by its number."""
    first: dict[int, int] = dict.fromkeys(program.inputs, 0)
    last = dict(first)
    for step, op in enumerate(program.operators, start=1):
        for number in op.outputs:
            if not program.tensors[number].variable:
                first.setdefault(number, step)
        last |= {number: step for number in (*op.inputs, *op.outputs) if number in first}
    last |= dict.fromkeys(program.outputs, len(program.operators))
    return {number: (first[number], last[number]) for number in first}
