"""The processors that arena and latency are known for.

`kernels` says which code of CMSIS-NN runs: plain C, with the DSP extension (two 16-bit multiply-accumulates an
instruction) or Helium (vectors of 16 bytes). `measured` names the core whose instructions are counted in its place
(latency.py). Milliseconds are

    instructions x cycles / (1000 x clock in MHz)

with `cycles` for an instruction, the roughest part of the estimate: it holds all waiting for memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..boards import Board


@dataclass(frozen=True)
class Core:
    """A processor."""

    name: str
    kernels: str
    """"plain", "dsp" or "helium"."""
    measured: str
    """The core whose measured instructions stand for its own: "cortex-m4" or "cortex-m55"."""
    cycles: float
    """Cycles for each of these instructions."""
    rough: bool
    """Whether the factor stands for another instruction set or another library than the measured one."""
    source: str
    """Where the factor is from."""


_TABLE = (
    Core("cortex-m4", "dsp", "cortex-m4", 1.35, False, "loads and taken branches of the Cortex-M4 TRM"),
    Core("cortex-m55", "helium", "cortex-m55", 1.6, False, "two beats a vector instruction, Cortex-M55 TRM"),
    Core("cortex-m7", "dsp", "cortex-m4", 0.75, True, "dual issue: 2.0 DMIPS/MHz of Arm against 1.25 of the Cortex-M4"),
    Core("cortex-m33", "dsp", "cortex-m4", 1.15, True, "1.5 DMIPS/MHz of Arm against 1.25 of the Cortex-M4"),
    Core(
        "cortex-m0+", "plain", "cortex-m4", 4.5, True, "no DSP extension and 0.95 DMIPS/MHz: 3 to 5 times the Cortex-M4"
    ),
    Core("esp32-s3", "plain", "cortex-m4", 0.8, True, "ESP-NN's vector kernels against CMSIS-NN's on a Cortex-M4"),
)
_CORES = {core.name: core for core in _TABLE}


def get(name: str) -> Core:
    """The core of a name.

    Raises:
        ValueError: if it is unknown.
    """
    if name not in _CORES:
        raise ValueError(f"Unknown core {name!r}: expected one of {', '.join(map(repr, _CORES))}.")
    return _CORES[name]


def names() -> list[str]:
    """The known names."""
    return list(_CORES)


_OTHER_NAMES = {"xtensa-lx7": "esp32-s3", "xtensa-lx6": "esp32-s3"}


def of_board(board: Board) -> Core:
    """The core of a board."""
    return get(_OTHER_NAMES.get(board.core, board.core))
