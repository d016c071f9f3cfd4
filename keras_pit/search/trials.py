"""Branches are tried: each may leave once, and if the task wants it back, it stays.

What a branch is worth shows only when it is gone. While it is there, and its batch norm has found the best scale for
it, the gradient of the loss by its mask is about zero, whether it is needed or not; the price alone would switch all of
them off and on again. So a branch that is switched off stays off until the gradient, which now tells what it is worth,
brings it back. Then it has passed its trial: it stays on, and is the last to go if a bound cannot be met otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ..layers.masks import MARGIN, THRESHOLD
from .variables import state


class Trials:
    """Which branches have been tried.

    Args:
        sizes: of the mask variables.
        branches: which of them are those of branches.
    """

    def __init__(self, sizes: Sequence[int], branches: Sequence[bool]) -> None:
        self._is_branch = np.repeat(np.array(branches, bool), sizes)
        self._passed = state("passed", np.zeros(len(self._is_branch)))

    def __bool__(self) -> bool:
        """Whether there are branches."""
        return bool(self._is_branch.any())

    @property
    def variables(self) -> list[keras.Variable]:
        """All state."""
        return [self._passed] if self else []

    def passed(self, values: Any, switched: Any) -> tuple[Any, Any]:
        """The masks, with those branches on that have passed; whether that changes anything.

        Args:
            values: the masks as the optimizer left them.
            switched: which of them have switched.
        """
        on = ops.logical_and(values > THRESHOLD, self._is_branch)
        # One that has passed and is off was shifted, since a bound left no choice: it has to wait as the others do.
        stays = ops.logical_and(on, ops.logical_or(switched, self._passed > 0))
        self._passed.assign(ops.cast(stays, "float32"))
        top = THRESHOLD + MARGIN
        return ops.where(stays, top, values), ops.any(ops.logical_and(stays, values < top - MARGIN / 2))

    def slopes(self, slopes: Any, values: Any, least: float) -> Any:
        """How far masks are shifted: branches that are off stay where they are, those that have passed go last."""
        off = ops.logical_and(values <= THRESHOLD, self._is_branch)
        return ops.where(self._passed > 0, least, ops.where(off, 0.0, slopes))
