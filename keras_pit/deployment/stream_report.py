"""What there is to say of a file of one time step: when it decides, its state, what a step takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from .. import checks
from ..costs import cores
from ..streaming import Timing


@dataclass(frozen=True)
class StreamReport:
    """Of a file of one time step: when it decides, and what a step takes.

    `DeploymentReport.instructions` are those of a step that decides, which takes longest.
    """

    timing: Timing | None
    """None for a file of another origin."""
    state: int
    """Bytes that are kept from one step to the next; part of the arena."""
    per_step: dict[str, int]
    """Instructions of a step on average, by measured core."""

    def per_second(self, core: str, sample_rate: float) -> float:
        """Instructions per second.

        Args:
            core: a name of `keras_pit.costs.cores`.
            sample_rate: steps per second.

        Raises:
            TypeError: if one is of a wrong type.
            ValueError: if the core is unknown, or the rate not above 0.
        """
        rate = checks.number(sample_rate, "`sample_rate`", positive=True)
        return self.per_step[cores.get(core).measured] * rate

    def load(self, core: str, clock_mhz: float, sample_rate: float) -> float:
        """The share of its time that a core computes; above 1, it cannot keep up.

        Args:
            core: a name of `keras_pit.costs.cores`.
            clock_mhz: its clock in MHz.
            sample_rate: steps per second.

        Raises:
            TypeError: if one is of a wrong type.
            ValueError: if the core is unknown, or a number not above 0.
        """
        clock = checks.number(clock_mhz, "`clock_mhz`", positive=True)
        return self.per_second(core, sample_rate) * cores.get(core).cycles / (1e6 * clock)

    def as_dict(self) -> dict[str, Any]:
        """The same as a dictionary."""
        timing = None if self.timing is None else asdict(self.timing)
        return {"timing": timing, "state": self.state, "per_step": dict(self.per_step)}

    def rows(self) -> Iterator[tuple[str, str]]:
        """What to print."""
        if self.timing is not None:
            time = self.timing
            yield "window", f"{time.window:,} steps; decided about {_delay(time.delay)}"
            yield (
                "decisions",
                f"every {time.period:,} steps, the first of a whole window at step {time.first:,} (from 0)",
            )
        yield "state in the arena", f"{self.state:,} bytes"
        for core, number in self.per_step.items():
            yield f"a step on {core}", f"{number:,} instructions on average; so many times the sample rate a second"


def _delay(steps: int) -> str:
    if steps == 0:
        return "as it ends"
    return f"{steps:,} steps after its end" if steps > 0 else f"{-steps:,} steps before its end"
