"""Shapes of a lowered network: with the batch, which is 1, and sequences (T, C) as maps of one row, (1, 1, T, C)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Shape = tuple[int, ...]

Pair = tuple[int, int]
"""For rows and columns."""


def form(shape: Sequence[int | None]) -> Shape:
    """The shape here of a Keras tensor of the given shape: batch 1, and sequences as maps of one row."""
    _, *sample = shape
    sizes: list[int] = [int(size) for size in sample if size is not None]
    return (1, 1, *sizes) if len(sizes) == 2 else (1, *sizes)


def pair(values: Iterable[int]) -> Pair:
    """Two values, for rows and columns."""
    rows, columns = values
    return rows, columns
