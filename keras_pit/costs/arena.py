"""The tensor arena that TFLite-Micro takes for a network on a 32-bit Cortex-M.

The arena has two ends. At its head lie buffers that are reused: activations, and scratch memory of CMSIS-NN's kernels
(see `alive`, `scratch`). TFLite-Micro places them greedily (see `planner`). At its tail lies what stays: a record for
each tensor and operator, multipliers for each channel, states (see `records`).

`Arena.total` is what is used in the end, as `arena_used_bytes()` tells. `Arena.needed` is what must be there: while the
interpreter prepares and plans, the head holds other things, which small networks with many tensors or channels need
more room for than for their buffers.

The head is exact, by the kernels' own rules, on 905 networks measured with TFLite-Micro 90b983c and CMSIS-NN 4ab83cc.
"""

from __future__ import annotations

from dataclasses import dataclass

from .alive import buffers
from .planner import Buffer, plan
from .program import Program
from .records import needed, tail
from .sizes import Scalar, choose, is_number, larger
from .undecided import soft_head

__all__ = ["Arena", "Buffer", "arena", "buffers", "plan", "tail"]


@dataclass(frozen=True)
class Arena:
    """Bytes at the two ends, and those that must be there for a moment."""

    head: Scalar
    tail: Scalar
    needed: Scalar
    """The size of the array to reserve: with less, the interpreter fails to allocate its tensors."""

    @property
    def total(self) -> Scalar:
        """All bytes that are used in the end."""
        return self.head + self.tail

    def or_larger(self, other: Arena) -> Arena:
        """The one of which more is used, with what both need."""
        is_larger = self.total >= other.total
        head, tail = (choose(is_larger, *pair) for pair in ((self.head, other.head), (self.tail, other.tail)))
        return Arena(head, tail, larger(self.needed, other.needed))


def arena(program: Program, core: str = "cortex-m4") -> Arena:
    """The arena of a network.

    Args:
        program: the network; sizes may be soft.
        core: "cortex-m4", "cortex-m55" or another name of `costs.cores`.

    Returns:
        An `Arena`, in bytes. Of a soft head, the gradient goes to the steps at which most is alive.

    Raises:
        ValueError: if the core is unknown.

    Example:
        >>> arena(program, "cortex-m55").needed
        9568
    """
    found = _arena(program, core)
    for variant in program.variants:
        found = found.or_larger(_arena(variant, core))
    return found


def _arena(program: Program, core: str) -> Arena:
    wanted = buffers(program, core)
    if all(is_number(buffer.size) for buffer in wanted):
        head = max((placed.end for placed in plan(wanted)), default=0)
    else:
        head = soft_head(program, core)
    return Arena(head, tail(program, core), needed(program, core, head))
