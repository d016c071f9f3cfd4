"""When a streaming network decides, in steps from its reset on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Steps are counted from 0; `window` is the length of the model's input.

    A decision at step t is about the window of steps t - delay - window + 1 to t - delay.
    """

    window: int
    period: int
    """A decision every so many steps, the first one possible at step period - 1."""
    first: int
    """The first step whose decision is about steps since the reset alone."""
    delay: int
    """Steps from the end of a window to its decision: what layers look ahead. Negative where none looks at the last
    steps of the window."""

    def decides(self, step: int) -> bool:
        """Whether there is a decision at a step, of a whole window."""
        return step >= self.first and (step + 1) % self.period == 0
