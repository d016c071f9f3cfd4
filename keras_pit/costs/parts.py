"""The parts of a file and their bytes: of numbers one by one, of soft sizes all at once.

A part is there so many times (a presence), and has a fixed size, or that of a vector: a word and its numbers, in whole
words. Parts with a single soft length may turn out to be equal; such a part counts once.

A search asks for the size of its file in each step. On tensors, each `+` and `*` is an operation of its own, and there
would be hundreds of a layer; so the sizes of all parts are gathered, and computed as vectors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .sizes import Scalar, either, is_number, round_up

_WORD = 4


@dataclass(frozen=True)
class Part:
    """A part of a file."""

    times: Scalar = 1
    fixed: int = 0
    """Bytes."""
    lengths: tuple[Scalar, ...] = ()
    """The sizes of what a vector holds."""
    width: int = 0
    """Bytes of each of its numbers; 0 for what is no vector."""
    if_single: Scalar = 1
    """The part is there if this is at most 1."""
    key: Scalar | None = None
    """Of parts of a list with the same key, the first one counts."""
    group: object = None
    """That list."""

    @property
    def scalars(self) -> tuple[Scalar, ...]:
        """All that may be soft."""
        return (self.times, self.if_single, *self.lengths)

    @property
    def bytes(self) -> Scalar:
        """Its bytes, if it is there."""
        vector = _WORD + round_up(math.prod(self.lengths) * self.width, _WORD) if self.width else 0
        return self.times * (self.fixed + vector) if self.if_single <= 1 else 0


Row = tuple[tuple[Any, ...], list[Part]]
"""What tells two things in a file apart, and their parts."""


def once(rows: Iterable[Row]) -> list[Part]:
    """The parts of distinct things.

    Soft keys of several sizes are taken to differ: to compare all soft shapes of a network would take longer than to
    train it.
    """
    group = object()
    found: dict[tuple[Any, ...], list[list[Part]]] = {}
    for place, (key, parts) in enumerate(rows):
        is_known = all(isinstance(value, str) or is_number(value) for value in key)
        if len(key) == 1 and not isinstance(key[0], str):
            parts = [replace(part, key=key[0], group=group) for part in parts]
        found.setdefault(key if is_known else ("soft", place), []).append(parts)
    return [
        replace(equal[0], times=either([part.times for part in equal]))
        for rows in found.values()
        for equal in zip(*rows, strict=True)
    ]


def total(parts: list[Part]) -> Scalar:
    """Bytes of all parts."""
    # A group with a soft key is compared on tensors as a whole.
    soft_groups = {id(part.group) for part in parts if part.key is not None and not is_number(part.key)}
    numbers: Scalar = 0
    soft = []
    for part in parts:
        if (part.key is not None and id(part.group) in soft_groups) or not all(map(is_number, part.scalars)):
            soft.append(part)
        else:
            numbers = numbers + part.bytes
    return numbers + _on_tensors(soft) if soft else numbers


def _on_tensors(parts: list[Part]) -> Any:
    """Bytes of parts, all at once."""
    from keras import ops

    longest = max(len(part.lengths) for part in parts)
    rows = [(*part.scalars, *[1] * (longest - len(part.lengths))) for part in parts]
    keyed = [place for place, part in enumerate(parts) if part.key is not None]
    (times, single, *lengths), keys = _gathered(rows, [parts[place].key for place in keyed])
    fixed, width = (np.array(values, "float32") for values in zip(*((p.fixed, p.width) for p in parts), strict=True))
    numbers: Any = width
    for sizes in lengths:
        numbers = numbers * sizes
    vectors = (width > 0).astype("float32") * (_WORD + round_up(numbers, _WORD))
    there = times * ops.cast(single <= 1, "float32")
    if keyed:
        groups = np.array([id(parts[place].group) for place in keyed])
        before = np.tril(groups[:, None] == groups, -1)
        again = ops.cast(ops.any(ops.equal(keys[:, None], keys) & before, axis=1), "float32")
        there = there * (1.0 - ops.scatter(np.array(keyed)[:, None], again, (len(parts),)))
    return ops.sum(there * (fixed + vectors))


def _gathered(rows: list[tuple[Scalar, ...]], others: list[Scalar]) -> tuple[list[Any], Any]:
    """The columns of a table of scalars, and other scalars, as vectors: each tensor is stacked once."""
    from keras import ops

    tensors: dict[int, Any] = {}
    numbers: dict[float, None] = {}
    for value in (*(value for row in rows for value in row), *others):
        if is_number(value):
            numbers[float(value)] = None
        else:
            tensors[id(value)] = value
    stacked = ops.stack([ops.cast(value, "float32") for value in tensors.values()])
    values = ops.concatenate([stacked, np.array(list(numbers), "float32")])
    places: dict[Any, int] = {("tensor", key): place for place, key in enumerate(tensors)}
    places |= {("number", key): place for place, key in enumerate(numbers, len(tensors))}

    def taken(column: Iterable[Scalar]) -> Any:
        keys = (("number", float(value)) if is_number(value) else ("tensor", id(value)) for value in column)
        return ops.take(values, np.array([places[key] for key in keys], "int32"))

    return [taken(column) for column in zip(*rows, strict=True)], taken(others) if others else None
