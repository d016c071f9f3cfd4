"""How long a network takes: instructions of each operator, and milliseconds.

A kernel takes one of several paths, and on a path the number of instructions is a sum over its loops (see `kernels`):

    CONV_2D, kernel (1, 3), 16 -> 8 channels, 64 positions, on the path "conv" of a Cortex-M4:
        593 x call (1) + 59 x block (32 * 4) + 26 x block_macs (32 * 4 * 12) + 38 x copy (64 * 3) + ...

The factors, in cortex_m.json, are fitted by `benchmarks/cost_models.py --fit` on measured networks (TFLite-Micro
90b983c with CMSIS-NN 4ab83cc, gcc 12.2). `costs.cores` tells how instructions become time.

What was not measured is unknown: it counts as nothing, and whoever shows a total says so (`unknown`).
"""

from __future__ import annotations

import json
import pathlib
from functools import cache
from typing import Any

from .. import checks
from . import cores
from .call import Call
from .kernels import PATHS, UNMEASURED, WIDE, Path
from .program import Program
from .sizes import Scalar, choose, weighted

COEFFICIENTS = pathlib.Path(__file__).with_name("cortex_m.json")
INVOKE = "invoke"
"""The path of what the interpreter itself takes, once an inference."""
WORST = "_worst"
"""Behind the name of a path: factors for the values that take longest."""


def instructions(program: Program, core: str = "cortex-m4") -> Scalar:
    """Instructions of one inference; at least so many if some operators are unknown.

    Args:
        program: the network; sizes may be soft.
        core: a name of `costs.cores`; one that was not measured counts as the one that stands for it.

    Raises:
        ValueError: if the core is unknown.

    Example:
        >>> instructions(program, "cortex-m4")
        401830.0
    """
    return _overhead(program, core) + weighted(_taken(program, core))


def _overhead(program: Program, core: str) -> Scalar:
    """What the interpreter itself takes."""
    present = weighted((op.presence, 1) for op in program.operators)
    return _weigh(Path(INVOKE, {"call": 1, "operator": present}), core)


def _taken(program: Program, core: str) -> list[tuple[Scalar, Scalar]]:
    """For each operator, whether it is present, and its instructions."""
    taken = program.of_each(("instructions", core), lambda call: operator_instructions(call, core))
    return [(op.presence, own) for op, own in zip(program.operators, taken, strict=True)]


def instructions_per_step(program: Program, core: str = "cortex-m4") -> Scalar:
    """Instructions of a step on average, of a network that runs step by step: a CIRCULAR_BUFFER may end a run early.

    Args:
        program: the network; sizes may be soft.
        core: a name of `costs.cores`.

    Example:
        >>> instructions_per_step(program, "cortex-m4")
        34749.0
    """
    total, an_operator = (_weigh(Path(INVOKE, {"call": call, "operator": 1 - call}), core) for call in (1, 0))
    share, runs = 1.0, dict[float, list[tuple[Scalar, Scalar]]]()
    for op, term in zip(program.operators, _taken(program, core), strict=True):
        runs.setdefault(share, []).extend((term, (op.presence, an_operator)))
        share /= op.cycles
    return total + sum(share * weighted(terms) for share, terms in runs.items())


def milliseconds(program: Program, core: str, clock_mhz: float) -> Scalar:
    """Time of one inference.

    Args:
        program: the network; sizes may be soft.
        core: a name of `costs.cores`.
        clock_mhz: the core's clock in MHz.

    Raises:
        TypeError: if the clock is no number.
        ValueError: if it is not above 0, or the core is unknown.

    Example:
        >>> milliseconds(program, "cortex-m4", clock_mhz=64)
        8.5
    """
    return _cycles(program, core) / _a_millisecond(clock_mhz)


def interval(program: Program, core: str, clock_mhz: float, *, external_flash: bool = False) -> tuple[Scalar, Scalar]:
    """Least and most milliseconds of one inference: what is published lies within, and no values take longer.

    Args:
        program: the network; sizes may be soft.
        core: a name of `costs.cores`.
        clock_mhz: the core's clock in MHz.
        external_flash: whether it runs from a flash chip of its own.

    Raises:
        TypeError: if the clock is no number.
        ValueError: if it is not above 0, or the core is unknown.

    Example:
        >>> interval(program, "cortex-m4", clock_mhz=64)
        (5.9, 12.3)
    """
    known = cores.get(core)
    slower = sum(call.op.presence * (worst(call, core) - operator_instructions(call, core)) for call in program.calls())
    waits = cores.EXTERNAL_FLASH if external_flash and known.library != "ESP-NN" else 1.0
    cycles = _cycles(program, core)
    most = (cycles + slower * known.cycles) * (known.most * waits)
    return cycles * known.least / _a_millisecond(clock_mhz), most / _a_millisecond(clock_mhz)


def _a_millisecond(clock_mhz: float) -> float:
    """Cycles of a clock.

    Raises:
        TypeError: if it is no number.
        ValueError: if it is not above 0, or not finite.
    """
    return 1000 * checks.number(clock_mhz, "`clock_mhz`", positive=True)


def _cycles(program: Program, core: str) -> Scalar:
    """Cycles of one inference: those of fully connected layers have a factor of their own."""
    known, terms = cores.get(core), list(zip(program.operators, _taken(program, core), strict=True))
    dense = weighted(term for op, term in terms if op.name == "FULLY_CONNECTED")
    others = weighted(term for op, term in terms if op.name != "FULLY_CONNECTED")
    return known.cycles * (_overhead(program, core) + others) + known.dense * dense


def operator_instructions(call: Call, core: str) -> Scalar:
    """Instructions of one operator; 0 if it is unknown."""
    if _is_unmeasured(call):
        return 0
    *special, general = paths(call, cores.get(core).measured)
    total = _weigh(general, core)
    for path in reversed(special):
        total = choose(path.condition, _weigh(path, core), total)
    return choose(_has_unmeasured_form(call), 0, total)


def paths(call: Call, measured: str) -> list[Path]:
    """The paths of an operator whose time is known on a measured core, the general one last."""
    return PATHS[call.op.name](call, measured)


def worst(call: Call, core: str) -> Scalar:
    """Instructions of one operator for the values that take longest: a bound for SOFTMAX, of others the same.

    A softmax computes an exponential only of what is not far below the largest element of its row.
    """
    if unknown(call):
        return 0
    *_, general = paths(call, cores.get(core).measured)
    slow = Path(general.name + WORST, general.loops)
    known = coefficients()[cores.get(core).measured]
    return _weigh(slow, core) if slow.name in known else operator_instructions(call, core)


def unknown(call: Call) -> bool:
    """Whether the time of such an operator was never measured, for its name, its shapes or the type of its numbers.

    Its sizes are numbers.
    """
    return _is_unmeasured(call) or bool(_has_unmeasured_form(call))


def _is_unmeasured(call: Call) -> bool:
    """Whether no form of it was measured."""
    if call.op.name not in PATHS:
        return True
    types = {tensor.dtype for tensor in (*call.inputs, *call.outputs) if tensor is not None and not tensor.constant}
    return bool(types - {"int8"}) and not (types <= {"int16"} and call.op.name in WIDE) and call.op.name not in _MIXED


def _has_unmeasured_form(call: Call) -> Any:
    """Whether it is one of the forms that were not measured: True or False, of soft sizes a tensor."""
    return UNMEASURED.get(call.op.name, _never)(call)


def _never(call: Call) -> bool:
    return False


_MIXED = {"UNIDIRECTIONAL_SEQUENCE_LSTM", "SVDF", "QUANTIZE"}
"""Measured operators that have to do with other types than int8."""


@cache
def coefficients() -> dict[str, dict[str, dict[str, float]]]:
    """Instructions for each run of a loop: by measured core, path and loop."""
    content: dict[str, dict[str, dict[str, float]]] = json.loads(COEFFICIENTS.read_text())["instructions"]
    return content


def _weigh(path: Path, core: str) -> Scalar:
    factors = coefficients()[cores.get(core).measured]
    return weighted((factors[there][loop], count) for (there, loop), count in path.named())
