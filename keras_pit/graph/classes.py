"""Channel classes: which elements of which tensors live and die together.

An *id* is an integer that stands for one channel. Two channels that can only be removed together (because their
tensors are added, say) are *tied*: their ids fall into one class. `Classes` hands out ids and ties them
(a union-find, vectorised); `Ids` says which id each element of one tensor has.

Every tensor must stay rectangular when channels are removed, so its ids may differ along one axis only, and a tensor
is fully described by its shape, that axis and one id per position along it:

    Conv1D output (128, 16)    Ids((1, 128, 16), axis=-1, ids=[1 .. 16])
    after Flatten (2048,)      Ids((1, 2048), axis=-1, ids=[1 .. 16, 1 .. 16, ...])

An id may be *kept*: it is never removed, and neither is what is tied to it. The reason is remembered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

FILLER = 0
"""Stands in moved arrays for elements that no channel made, as padding: takes the id of its neighbours."""


@dataclass(frozen=True, eq=False)
class Ids:
    """The channel ids of one tensor: `ids[i]` belongs to all elements at position `i` of `axis` (negative)."""

    shape: tuple[int, ...]
    axis: int
    ids: np.ndarray

    def __post_init__(self) -> None:
        if self.shape[self.axis] != len(self.ids):
            raise ValueError(f"{len(self.ids)} ids for axis {self.axis} of shape {self.shape}.")

    @property
    def uniform(self) -> bool:
        """Whether all elements have the same id."""
        return bool((self.ids == self.ids[0]).all())

    def reshaped(self, shape: tuple[int, ...], axis: int | None = None) -> Ids:
        """The same ids on a tensor of another shape, whose channel axis has the same length."""
        return replace(self, shape=tuple(shape), axis=self.axis if axis is None else axis)

    def full(self) -> np.ndarray:
        """One id for each element."""
        shape = [1] * len(self.shape)
        shape[self.axis] = len(self.ids)
        return np.broadcast_to(self.ids.reshape(shape), self.shape)


class Classes:
    """Hands out channel ids and ties them."""

    def __init__(self) -> None:
        self._parent = np.zeros(1, np.int64)
        self._reasons: dict[int, str] = {}

    def fresh(self, count: int) -> np.ndarray:
        """New ids, each a class of its own."""
        start = len(self._parent)
        ids = np.arange(start, start + count)
        self._parent = np.concatenate([self._parent, ids])
        return ids

    def kept(self, reason: str) -> np.ndarray:
        """One new id that is never removed, as an array of length 1."""
        one = self.fresh(1)
        self._reasons[int(one[0])] = reason
        return one

    def kept_like(self, shape: tuple[int, ...], reason: str) -> Ids:
        """Ids of a tensor none of whose elements can be removed."""
        return Ids(tuple(shape), -1, np.repeat(self.kept(reason), shape[-1]))

    def keep(self, ids: np.ndarray, reason: str) -> None:
        """Never remove these."""
        self.tie(ids, np.repeat(self.kept(reason), len(ids)))

    def tie(self, a: np.ndarray, b: np.ndarray) -> None:
        """Put `a[i]` and `b[i]` into one class, for every `i`."""
        while True:
            roots = np.stack([self.roots(a), self.roots(b)])
            low, high = roots.min(axis=0), roots.max(axis=0)
            apart = low != high
            if not apart.any():
                return
            np.minimum.at(self._parent, high[apart], low[apart])

    def roots(self, ids: np.ndarray) -> np.ndarray:
        """The representative of each id's class."""
        roots = self._parent[ids]
        while True:
            above = self._parent[roots]
            if (above == roots).all():
                break
            roots = above
        self._parent[ids] = roots
        return roots

    def reasons(self) -> dict[int, str]:
        """Why a class is kept, by its representative."""
        result: dict[int, str] = {}
        for one, reason in self._reasons.items():
            result.setdefault(int(self.roots(np.array([one]))[0]), reason)
        return result

    def along(self, x: Ids, axis: int) -> Ids:
        """The tensor with ids that differ along `axis` only; ties what stands in the way."""
        axis = axis if axis < 0 else axis - len(x.shape)
        if axis == x.axis:
            return x
        self.tie(x.ids, np.repeat(x.ids[:1], len(x.ids)))
        return Ids(x.shape, axis, np.repeat(x.ids[:1], x.shape[axis]))

    def rectangular(self, full: np.ndarray) -> Ids:
        """Describe a moved array of ids, with as few ties as possible; fillers join their neighbours."""
        if full.ndim == 1:
            return Ids(full.shape, -1, full)
        axis = max(range(-1, -full.ndim, -1), key=lambda a: (self._classes_along(full, a), a))
        slices, ids = _slices(full, axis)
        if (ids == FILLER).any():
            ids[ids == FILLER] = self.kept("is made of constants")
        self.tie(*_pairs(slices, ids))
        return Ids(full.shape, axis, ids)

    def _classes_along(self, full: np.ndarray, axis: int) -> int:
        """How many classes remain if ids may differ along `axis` only."""
        slices, ids = _slices(full, axis)
        trial = Classes()
        trial._parent = self._parent.copy()
        trial.tie(*_pairs(slices, ids))
        return len(np.unique(trial.roots(ids)))


def _slices(full: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """The elements at each position of an axis, as rows, and one id for each row."""
    slices = np.moveaxis(full, axis, 0).reshape(full.shape[axis], -1)
    return slices, slices.max(axis=1, initial=FILLER)


def _pairs(slices: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What must be tied for all elements of a row to have the row's id."""
    differs = (slices != ids[:, None]) & (slices != FILLER)
    return slices[differs], np.broadcast_to(ids[:, None], slices.shape)[differs]
