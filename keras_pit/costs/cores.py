"""The processors that arena and latency are known for.

`kernels` says which code of CMSIS-NN runs: plain C, with the DSP extension (two 16-bit multiply-accumulates an
instruction) or Helium (vectors of 16 bytes). `measured` names the core whose instructions are counted in its place
(latency.py). Milliseconds are

    instructions x cycles / (1000 x clock in MHz)

with `cycles` for an instruction, of fully connected layers `dense`, which wait for their weights instead of using them
again. It is the roughest part of the estimate, for it holds all waiting for memory, and publications do not agree: so
there is an interval, `least` to `most` times the estimate, that contains all of them. `benchmarks/milliseconds.py`
compares with what is published:

* Cortex-M4: STM32L4R5 at 120 MHz, MLPerf Tiny v0.5 with TFLite-Micro 2.3.1, 2.8 to 2.9 cycles (dense 2.0); MLPerf Tiny
  v1.0 and v1.1 with microTVM and newer kernels of CMSIS-NN, 1.5 to 1.6 (1.7). The estimate lies between.
* Cortex-M33: RA6M4 at 200 MHz, MLPerf Tiny v0.7 with TFLite-Micro, 1.3 to 1.6 (1.5); nRF5340 at 128 MHz, v1.1 with
  microTVM, 1.2 to 1.4 (1.4).
* Cortex-M7: STM32F746 at 216 MHz, Plumerai's 129 ms for MobileNetV2 0.30 with TFLite-Micro 2.5: 0.79. It issues two
  instructions at a time.
* Cortex-M55: nothing is published; that of the Cortex-M4 by Arm's CoreMark/MHz, 4.2 to 3.42.
* Cortex-M0+: nothing is published for TFLite-Micro; Arm's reference manual has 1 cycle for most instructions and 2 for
  loads, stores and branches taken.
* ESP32-S3: Espressif's 54 ms at 240 MHz for person detection with ESP-NN, over the instructions of a Cortex-M4.

Boards that run from a flash chip of its own wait longer, by how much depends on their cache: `EXTERNAL_FLASH` widens
the interval, but for the ESP32-S3, whose figure has it in it.
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
    dense: float
    """The same for those of fully connected layers."""
    least: float
    """The interval's lower end, as a share of the estimate."""
    most: float
    """The interval's upper end."""
    rough: bool
    """Whether the factor is derived from another core's, or another library's."""
    source: str
    """Where the factor is from."""
    library: str = "CMSIS-NN"
    """Whose kernels TFLite-Micro is built with; some have faults (see `faults`)."""


_TABLE = (
    # name, kernels, measured, cycles, dense, least, most, rough, source, library
    Core("cortex-m4", "dsp", "cortex-m4", 2.05, 1.87, 0.7, 1.45, False, "MLPerf Tiny v0.5, v1.0 and v1.1, STM32L4R5"),
    Core("cortex-m55", "helium", "cortex-m55", 1.67, 1.52, 0.5, 1.6, True, "CoreMark/MHz 4.2"),
    Core("cortex-m7", "dsp", "cortex-m4", 0.79, 0.79, 0.6, 1.4, False, "Plumerai, STM32F746"),
    Core("cortex-m33", "dsp", "cortex-m4", 1.35, 1.45, 0.85, 1.25, False, "MLPerf Tiny v0.7, RA6M4; v1.1, nRF5340"),
    Core("cortex-m0+", "plain", "cortex-m0+", 1.8, 1.8, 0.7, 1.5, True, "Arm DDI 0484, instruction timings"),
    Core("esp32-s3", "plain", "cortex-m4", 0.525, 0.525, 0.7, 2.0, True, "ESP-NN, person detection", "ESP-NN"),
)
EXTERNAL_FLASH = 2.0
"""How much longer it may take from a flash chip of its own, at most: an assumption."""
_CORES = {core.name: core for core in _TABLE}

ORDERING = "cortex-m4"
"""The core whose scratch memory counts when the order of operators is chosen: a file has one order for all cores."""


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
