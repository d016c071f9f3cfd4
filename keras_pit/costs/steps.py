"""At which steps the operators of a network run, in each of the orders that its stretches have (see `undecided`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from .planner import ALIGNMENT
from .program import Program
from .schedule import TIED

ALL = 64
"""Orders of a network that the planner is asked about at most: on tensors, that takes a while."""


class Steps:
    """The steps at which operators run: in the order in which they are listed, and in each order of each stretch.

    A *row* is the order of one stretch, and the listed one of all others.
    """

    def __init__(self, program: Program) -> None:
        self.listed: Any = np.arange(1.0, 1 + len(program.operators), dtype="float32")[None]
        rows = [
            (order, bool(turn))
            for stretch in program.stretches
            for forms in stretch.orders
            for turn, order in enumerate(forms)
        ]
        self.rows = np.repeat(self.listed, max(len(rows), 1), axis=0)
        for row, (order, _) in zip(self.rows, rows, strict=False):
            row[list(order)] = 1 + min(order) + np.arange(len(order))
        self.instead = np.array([instead for _, instead in rows], bool)
        """Rows that are meant only if the one before them is not possible."""
        longest = max((len(order) for order, _ in rows), default=0)
        self.windows = np.array([[1 + min(o) + turn % len(o) for turn in range(longest)] for o, _ in rows], "float32")
        """The steps of the row's stretch, shape (rows, longest stretch)."""
        places = iter(range(len(rows)))
        forms = [[[next(places) for _ in order] for order in stretch.orders] for stretch in program.stretches]
        most = max((len(orders) for orders in forms), default=0)
        self._forms = [
            np.array([padded([order[form] for order in orders], most, -1) for orders in forms], "int32")
            for form in (0, -1)
        ]
        """For each stretch and order, the row of its first form and of its last one; shape (stretches, most orders)."""
        counts = [len(orders) for orders in forms]
        self.is_small = math.prod(counts) <= ALL and all(stretch.is_whole for stretch in program.stretches)
        """Whether the planner can be asked about all orders of the network."""
        self._all = np.array(list(product(*map(range, counts))) if self.is_small else [], "int32")
        self._stretch = np.full(len(program.operators), -1)
        for number, stretch in enumerate(program.stretches):
            self._stretch[list(stretch.orders[0][0])] = number
        self.late = _late(program, self.rows)

    def best(self, peaks: Any) -> Any:
        """The steps in the order as it is listed, and in those made of stretches with the least peaks.

        Args:
            peaks: by row.
        """
        from keras import ops

        rows, table = self._meant(peaks)
        least = ops.cast(table <= ops.min(table, axis=1, keepdims=True) + ALIGNMENT / 2, "int32")
        # Of those that are tied, the first, the second, and so on, and again from the first.
        turns = np.arange(TIED, dtype="int32")[:, None] % ops.sum(least, axis=1)
        is_next = ops.equal(ops.cumsum(least, axis=1) - 1, turns[:, :, None])
        picked = ops.argmax(least * ops.cast(is_next, "int32"), axis=2)
        return ops.concatenate([self.listed, self._joined(rows, picked)])

    def all(self, peaks: Any) -> tuple[Any, Any]:
        """The steps in all orders of a small network, and the turns in which they are tried.

        Args:
            peaks: by row.

        Returns:
            Shapes (orders, operators) and (orders,); infinity for an order that is not possible.
        """
        from keras import ops

        rows, table = self._meant(peaks)
        earlier = np.tril(np.ones((table.shape[1],) * 2, bool), -1)
        is_sooner = (table[:, None] < table[:, :, None]) | (ops.equal(table[:, None], table[:, :, None]) & earlier)
        turn = ops.cast(ops.sum(ops.cast(is_sooner, "int32"), axis=2), "float32")
        counts = [len(set(column)) for column in self._all.T]
        weights = np.array([math.prod(counts[place + 1 :]) for place in range(len(counts))], "float32")
        turns, found = (
            ops.take(ops.reshape(values, (-1,)), self._all + table.shape[1] * np.arange(len(counts), dtype="int32"))
            for values in (turn, table)
        )
        return self._joined(rows, self._all), ops.sum(ops.where(found < np.inf, turns * weights, np.inf), axis=1)

    def _meant(self, peaks: Any) -> tuple[Any, Any]:
        """The row that is meant by each order of each stretch, and its peak; shape (stretches, most orders)."""
        from keras import ops

        first, last = (np.maximum(rows, 0) for rows in self._forms)
        rows = ops.where(ops.take(peaks, first) < np.inf, first, last)
        return rows, ops.where(self._forms[0] >= 0, ops.take(peaks, rows), np.inf)

    def _joined(self, rows: Any, picked: Any) -> Any:
        """The steps of networks, of each stretch in one of its orders.

        Args:
            rows: as of `_meant`.
            picked: the number of the order, shape (networks, stretches).
        """
        from keras import ops

        stretches, most = self._forms[0].shape
        rows = ops.take(ops.reshape(rows, (-1,)), picked + most * np.arange(stretches, dtype="int32"))
        of_operators = ops.where(self._stretch >= 0, ops.take(rows, np.maximum(self._stretch, 0), axis=1), 0)
        count = len(self._stretch)
        steps = ops.take(self.rows.reshape(-1), of_operators * count + np.arange(count, dtype="int32"))
        return ops.where(self._stretch >= 0, steps, self.listed)


def _late(program: Program, rows: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Operators that some rows run before what they may read, and whether each row does."""
    makers: dict[int, list[int]] = {}
    for place, op in enumerate(program.operators):
        for number in op.outputs:
            makers.setdefault(number, []).append(place)
    found = []
    for place, op in enumerate(program.operators):
        before = [maker for number in op.inputs for maker in makers.get(number, ())]
        late = np.any(rows[:, before] > rows[:, [place]], axis=1)
        if late.any():
            found.append((place, late))
    return found


def padded(row: Sequence[int], length: int, value: int) -> list[int]:
    """A row of some length, with a value for what is missing."""
    return [*row, *[value] * (length - len(row))]
