"""How often a streaming file decides."""

from __future__ import annotations

from typing import Any

from .. import checks


def decision_rate(streaming: Any, decide_every: Any) -> int | None:
    """How often a streaming file decides; None for a file of the whole window.

    Raises:
        TypeError: if an argument is of a wrong type.
        ValueError: if `decide_every` is below 1, or given without `streaming`.
    """
    every = checks.whole(decide_every, "`decide_every`", least=1)
    if checks.flag(streaming, "`streaming`"):
        return every
    if every != 1:
        raise ValueError(f"`decide_every` is for streaming files, received {every}. Pass streaming=True, too.")
    return None
