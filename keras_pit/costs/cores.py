"""The processors that arena and latency are known for.

`kernels` says which code of CMSIS-NN runs: plain C, with the DSP extension (two 16-bit multiply-accumulates an
instruction) or Helium (vectors of 16 bytes). `measured` names the core whose instructions are counted in its place
(latency.py). Milliseconds are

    instructions x cycles / (1000 x clock in MHz)

with `cycles` for an instruction. It is the roughest part of the estimate, for it holds all waiting for memory:

* Cortex-M4: MLPerf Tiny v0.5 on an STM32L4R5 at 120 MHz (TFLite-Micro 2.3.1 with CMSIS-NN) took 181.9, 704.2, 600.6 and
  10.05 ms for its four networks. By our count of their instructions these are 2.8, 2.8, 3.0 and 2.0 cycles each; 2.6 is
  the geometric mean. Since then the kernels, whose instructions we count, have become faster: it is on the safe side.
* Cortex-M7, M33, M55: that of the Cortex-M4, divided by Arm's CoreMark/MHz over the Cortex-M4's 3.42.
* Cortex-M0+: likewise (2.46), and twice the instructions, as it has no multiply-accumulate of two numbers.
* ESP32-S3: Espressif's 54 ms at 240 MHz for person detection with ESP-NN, over our count for that MobileNet: 24.3 M.
"""

from __future__ import annotations

from dataclasses import dataclass

from .. import checks
from ..boards import Board


@dataclass(frozen=True)
class Core:
    """A processor."""

    name: str
    kernels: str
    """"plain", "dsp" or "helium"."""
    measured: str
    """The core whose measured instructions stand for its own: "cortex-m4", "cortex-m55" or "cortex-m0+"."""
    cycles: float
    """Cycles for each of these instructions."""
    rough: bool
    """Whether the factor is derived from another core's, or another library's."""
    source: str
    """Where the factor is from."""
    library: str = "CMSIS-NN"
    """Whose kernels TFLite-Micro is built with; some have faults (see `faults`)."""


_TABLE = (
    Core("cortex-m4", "dsp", "cortex-m4", 2.6, False, "MLPerf Tiny v0.5, STM32L4R5"),
    Core("cortex-m55", "helium", "cortex-m55", 2.1, True, "CoreMark/MHz 4.2"),
    Core("cortex-m7", "dsp", "cortex-m4", 1.8, True, "CoreMark/MHz 5.01"),
    Core("cortex-m33", "dsp", "cortex-m4", 2.2, True, "CoreMark/MHz 4.02"),
    Core("cortex-m0+", "plain", "cortex-m0+", 3.6, True, "CoreMark/MHz 2.46"),
    Core("esp32-s3", "plain", "cortex-m4", 0.53, True, "ESP-NN, person detection", "ESP-NN"),
)
_CORES = {core.name: core for core in _TABLE}


def get(name: str) -> Core:
    """The core of a name.

    Raises:
        TypeError: if it is no string.
        ValueError: if it is unknown.
    """
    return _CORES[checks.one_of(name, "`core`", _CORES)]


def names() -> list[str]:
    """The known names."""
    return list(_CORES)


_OTHER_NAMES = {"xtensa-lx7": "esp32-s3", "xtensa-lx6": "esp32-s3"}


def of_board(board: Board) -> Core:
    """The core of a board."""
    return get(_OTHER_NAMES.get(board.core, board.core))
