"""What the masks cost and what each of them adds: computed when one has switched, remembered until the next one does.

From one step of a search to the next, most masks stay as they are, and so do the costs, which are those of the
binarised masks. A step then does not compute them, but compares the masks with those of the last time:

    row       1 1 0 1 ...    all masks (see `masks.MaskRow`), 0 or 1
    costs     2,341 ...      of this row
    slopes    9 12 9 0 ...   of each cost by each mask: the gradient through which the loss presses

What is remembered says nothing that the masks do not say, and is not saved.

The costs are two functions of the graph, whoever asks for them, one with slopes and one without, as to trace them takes
long. The one with slopes does not call the other: XLA compiles no gradient of the loops in a function that is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from .variables import apart, state


class Prices:
    """Costs and their slopes.

    Args:
        size: length of the row.
        count: number of costs.
        row: from the values of all mask variables, one after the other, to the row.
        costs: computes the costs of a row, shape (count,).
    """

    def __init__(self, size: int, count: int, row: Callable[[Any], Any], costs: Callable[[Any], Any]) -> None:
        self._row_of, self._compute, self._count = row, costs, count
        self._priced = apart(self._price)
        self.at = apart(lambda values: costs(row(values)))
        """From the values of all mask variables to the costs, shape (count,)."""
        self._row = state("row", np.full(size, np.nan))
        self._costs = state("costs", np.zeros(count))
        self._slopes = state("slopes", np.zeros((count, size)))

    def of(self, row: Any) -> Any:
        """The costs, with the gradient of the masks, shape (count,)."""
        fixed = ops.stop_gradient(row)
        costs, slopes = ops.cond(self._known(fixed), self.remembered, lambda: self._priced(fixed))
        return ops.stop_gradient(costs) + ops.matmul(ops.stop_gradient(slopes), row - fixed)

    def remember(self, values: Any) -> Any:
        """The costs, shape (count,); from now on they are those that are remembered."""
        row = self._row_of(values)
        return ops.cond(self._known(row), lambda: self._costs + 0.0, lambda: self._renewed(row))

    def remembered(self) -> tuple[Any, Any]:
        """The costs that are remembered, and their slopes."""
        return self._costs + 0.0, self._slopes + 0.0

    def steepest(self, values: Any, budgets: Any, costs: Any, slopes: Any) -> Any:
        """The gradient of the cost that is highest for its budget, as a share of it, by the values of all masks.

        Args:
            values: of all masks.
            budgets: of the costs.
            costs: of these values.
            slopes: of the costs.
        """
        with tf.GradientTape() as tape:
            tape.watch(values)
            row = self._row_of(values)
        tightest = ops.argmax(costs / budgets)
        slope = ops.take(slopes / ops.expand_dims(budgets, 1), tightest, axis=0)
        return tape.gradient(row, values, output_gradients=slope)

    def _known(self, row: Any) -> Any:
        return ops.all(ops.equal(row, self._row))

    def _price(self, row: Any) -> tuple[Any, Any]:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(row)
            costs = ops.unstack(self._compute(row), self._count)
        slopes = [tape.gradient(cost, row, unconnected_gradients="zero") for cost in costs]
        return ops.stack(costs), ops.stack(slopes)

    def _renewed(self, row: Any) -> Any:
        costs, slopes = self._priced(row)
        self._row.assign(row)
        self._costs.assign(costs)
        self._slopes.assign(slopes)
        return costs
