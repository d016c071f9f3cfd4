"""Which masks a layer reads: those of the channels it reads and makes, wherever they are.

Three layers make the channels that `c` reads, 4 each; those of `a` and `b` are added, so `a` owns the masks of both:

    a -+-> add -+-> concatenate -> c        roles["read"].owners    (a, d)
    b -+        |                           roles["read"].index     1 2 3 4 5 6 7 8
    d ----------+
Position 0 stands for what is never switched off.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from keras import ops

from .reader import Masked, Reader


@dataclass(frozen=True, eq=False)
class ChannelMasks:
    """The masks of some channels: positions `index` in `[1, *owners[0].alpha, *owners[1].alpha, ...]`."""

    owners: tuple[Masked, ...]
    index: np.ndarray

    def soft(self, reader: Reader) -> Any:
        """The mask, shape (channels,), float32; for channels some of which can go."""
        parts = [reader.channels(owner) for owner in self.owners]
        if np.array_equal(self.index, np.arange(1, self._size + 1)):
            return parts[0] if len(parts) == 1 else ops.concatenate(parts)
        return ops.take(ops.concatenate([reader.on, *parts]), self.index)

    def count(self, reader: Reader) -> Any:
        """The number of channels that stay, with gradient; of the same channels, the same tensor."""
        times = np.bincount(self.index, minlength=1 + self._size).astype("float32")
        return reader.once((*map(id, self.owners), times.tobytes()), lambda: self._count(reader, times))

    def _count(self, reader: Reader, times: np.ndarray) -> Any:
        parts: list[Any] = [float(times[0])] if times[0] else []
        start = 1
        for owner in self.owners:
            end = start + len(owner.blocks.group_of)
            first = float(times[start])
            if (times[start:end] == first).all():
                count = reader.count_channels(owner)
                parts.append(count if first == 1 else first * count)
            else:
                parts.append(ops.sum(reader.channels(owner) * times[start:end]))
            start = end
        return reduce(lambda one, two: one + two, parts)

    @property
    def _size(self) -> int:
        return sum(len(owner.blocks.group_of) for owner in self.owners)

    def kept(self) -> np.ndarray:
        """Which channels stay, boolean."""
        states = [owner.kept_blocks() for owner in self.owners]
        return np.concatenate([[True], *states])[self.index]


@dataclass(frozen=True, eq=False)
class Wiring:
    """The masks a layer reads, by role (see `rules`), and where it is called."""

    roles: dict[str, ChannelMasks]
    sites: tuple[Any, ...]
