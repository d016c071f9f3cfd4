"""Masks: trainable variables in [0, 1] that switch channels and kernel taps on (above 0.5) and off.

The forward pass sees 0 or 1, the backward pass goes straight through to the variable (a straight-through estimator,
Bengio et al., arXiv 1308.3432), so what is switched off still feels what it would do and can come back.

`alpha`, one entry a channel (or block of channels): the strongest of a group stays on, whatever the values.

`beta` (receptive field) and `gamma` (dilation), as in PIT (arXiv 2203.14768, 2301.10281): with the entries binarised,
the tap at lag `i` is on if

    sum(beta[j] for j >= i) > 1/2    and    sum(gamma[p] for p with i % step[p] == 0) > 1/2

where `step` = 1, 2, 4, ...; the first beta and the last gamma count as always on. The lag is counted from the tap
that must stay: the last one of causal and valid convolutions, the centre one for "same". So every state is a kernel
with taps 0, d, 2d, ... up to some lag. Each lag's gradient goes to its own beta, and to the gamma of the coarsest grid
the lag is on: a beta then says what its own tap is worth, and the receptive field ends at the last tap worth having.

`delta`, one entry a branch of an addition: the branch is added where it is on.

Knows no graphs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops

THRESHOLD = 0.5
MARGIN = 0.1
"""Variables start this far above the threshold and are held within this distance of it.

With Adam at its usual rate of 1e-3, a mask that costs more than it is worth then switches in about 100 steps, five
times sooner than if it had to cross half of [0, 1]."""


@keras.saving.register_keras_serializable(package="keras_pit")
class NearThreshold(keras.constraints.Constraint):
    """Holds mask variables within `MARGIN` of the threshold, inside [0, 1]."""

    def __call__(self, w: Any) -> Any:
        return ops.clip(w, THRESHOLD - MARGIN, THRESHOLD + MARGIN)


def straight_through(hard: Any, soft: Any) -> Any:
    """The value of `hard` (exactly), with the gradient of `soft`."""
    return ops.stop_gradient(hard) + (soft - ops.stop_gradient(soft))


def check_finite(values: np.ndarray, layer: str, name: str) -> np.ndarray:
    """Return the values of a mask variable.

    Raises:
        ValueError: if one is NaN or infinite.
    """
    if not np.isfinite(values).all():
        where = np.flatnonzero(~np.isfinite(values)).tolist()
        raise ValueError(
            f"Layer '{layer}': mask variable {name} is not finite at {where[:5]}. The search diverged: lower the "
            "learning rate or clip gradients (clipnorm=1.0), and start again from a checkpoint."
        )
    return values


@dataclass(frozen=True, eq=False)
class Blocks:
    """What the entries of an alpha stand for: blocks of channels that live and die together.

    Channels come in groups, each of which must keep something alive (see `channels`). With blocks of 4, and groups of
    8 and 6 channels:

        channels   0 1 2 3  4 5 6 7    8 9 10 11  12 13
        entry         0        1           2        3      groups (0, 1) and (2, 3); 3 is a rest

    A rest is too small for a block of its own. It stays only where its whole group does, so that every group keeps a
    multiple of the block's size, or all of its channels.
    """

    groups: tuple[np.ndarray, ...]
    """The entries of each group."""
    entry_of: np.ndarray
    """For each channel, its entry."""
    rests: tuple[tuple[int, int], ...]
    """Group and entry of each rest."""

    @classmethod
    def of(cls, sizes: Sequence[int], block: int = 1) -> Blocks:
        """Divide groups of so many channels into blocks of so many."""
        groups: list[np.ndarray] = []
        entries: list[np.ndarray] = []
        rests = []
        start = 0
        for size in sizes:
            count = -(-size // block)
            groups.append(np.arange(start, start + count))
            entries.append(start + np.arange(size) // block)
            start += count
            if size % block and count > 1:
                rests.append((len(groups) - 1, start - 1))
        return cls(tuple(groups), np.concatenate(entries), tuple(rests))

    @cached_property
    def members(self) -> np.ndarray:
        """Which entries each group has, without rests; shape (groups, entries)."""
        members = self.group_of == np.arange(len(self.groups))[:, None]
        members[:, [entry for _, entry in self.rests]] = False
        return members

    @cached_property
    def group_of(self) -> np.ndarray:
        """Which group each entry is in."""
        return np.repeat(np.arange(len(self.groups)), list(map(len, self.groups)))

    @cached_property
    def is_rest(self) -> np.ndarray:
        """Which entries are rests."""
        return np.isin(np.arange(len(self.group_of)), [entry for _, entry in self.rests])


def kept_blocks(alpha: np.ndarray, blocks: Blocks) -> np.ndarray:
    """Which entries of an alpha stay, boolean: those that are on, and of each group the strongest.

    Args:
        alpha: values of shape (entries,).
        blocks: what they stand for; of equally strong ones the first counts.
    """
    kept = alpha > THRESHOLD
    ranked = alpha - _ranks(len(alpha))
    for members in blocks.members:
        kept[members] |= ranked[members] >= ranked[members].max()
    for group, entry in blocks.rests:
        kept[entry] &= kept[blocks.members[group]].all()
    return kept


def _ranks(size: int) -> np.ndarray:
    """Breaks ties between channels: too little to change the order of values that training tells apart."""
    return (1e-6 * np.arange(size)).astype("float32")


@dataclass(frozen=True)
class KernelMask:
    """The masks of one kernel axis.

    Attributes:
        lags: for each tap its distance from the tap that must stay.
        steps: the dilations that can be reached, in units of the layer's own; 1 and multiples of it, rising.
    """

    lags: tuple[int, ...]
    steps: tuple[int, ...]

    @classmethod
    def of(cls, size: int, anchor: str, stride: int = 1, dilate: bool = True) -> KernelMask:
        """The masks of a kernel.

        Args:
            size: number of taps.
            anchor: "last" (causal, valid) or "centre" (same).
            stride: a strided kernel can be dilated by multiples of its stride only (see `kernels`).
            dilate: whether dilations other than 1 are searched.
        """
        stays = size - 1 if anchor == "last" else (size - 1) // 2
        lags = tuple(abs(tap - stays) for tap in range(size))
        steps = [1]
        while dilate and 2 * steps[-1] <= max(lags):
            steps.append(2 * steps[-1])
        return cls(lags, tuple(step for step in steps if step == 1 or step % stride == 0))

    @cached_property
    def levels(self) -> np.ndarray:
        """For each tap the number of the coarsest step whose grid it is on."""
        return np.array([max(p for p, step in enumerate(self.steps) if lag % step == 0) for lag in self.lags])

    def state(self, beta: np.ndarray | None, gamma: np.ndarray | None) -> tuple[int, int]:
        """The longest lag that is on and the dilation, both in units of the layer's own taps."""
        reach = max(self.lags)
        if beta is not None:
            reach = max([0, *np.flatnonzero(beta > THRESHOLD)])
        step = 1
        if gamma is not None:
            on = [step for step, value in zip(self.steps, gamma, strict=True) if value > THRESHOLD]
            step = min([*on, self.steps[-1]])
        return int(reach), int(step)

    def taps(self, beta: np.ndarray | None, gamma: np.ndarray | None) -> np.ndarray:
        """The indices of the taps that are on."""
        reach, step = self.state(beta, gamma)
        lags = np.array(self.lags)
        return np.flatnonzero((lags <= reach) & (lags % step == 0))


class MaskRow:
    """All masks of a model in one row: a few operations compute it, however many there are.

    The row starts with a mask that is always on. In two steps: first each entry of the variables stays or not,

        in a group of channels      if it is on, or the strongest
        in a beta                   up to the last one that is on; the first always
        in a gamma                  from the first one that is on; the last always
        in a delta                  if it is on

    then each place in the row stays if its own entries do: a channel or branch has one, a tap one of beta and of gamma.

    Args:
        channels: what the entries of each alpha stand for.
        kernels: the kernel masks, and whether each has a beta and a gamma.
        branches: how many each delta has.
    """

    def __init__(
        self,
        channels: Sequence[Blocks],
        kernels: Sequence[tuple[KernelMask, bool, bool]],
        branches: Sequence[int] = (),
    ) -> None:
        sizes = [len(blocks.group_of) for blocks in channels]
        self._ties = _joined(map(_ranks, sizes), "float32")
        self._groups = _joined(_numbered([blocks.group_of for blocks in channels]))
        self._is_rest = _joined([blocks.is_rest for blocks in channels], bool)
        count = 1 + sum(sizes)
        places = [np.stack([np.arange(count), np.zeros(count, int)])]
        reaches = []
        for mask, has_beta, has_gamma in kernels:
            own = np.zeros((2, len(mask.lags)), int)
            if has_beta:
                own[0] = count + np.array(mask.lags)
                reaches.append(np.arange(1 + max(mask.lags)))
                count += len(reaches[-1])
            if has_gamma:
                own[1] = count + mask.levels
                reaches.append(np.arange(len(mask.steps))[::-1])
                count += len(reaches[-1])
            places.append(own)
        self._reaches = _joined(reaches, "float32")
        self._sets = _joined(_numbered([np.zeros(len(reach), int) for reach in reaches]))
        free = sum(branches)
        places.append(np.stack([count + np.arange(free), np.zeros(free, int)]))
        self._own = np.concatenate(places, axis=1).astype("int32")
        self.sizes = [1, *sizes, *(len(mask.lags) for mask, *_ in kernels), *branches]
        """The length of each mask in the row: of the one that is always on, of channels, kernels, branches."""

    def soft(self, variables: Sequence[Any]) -> Any:
        """The row, float32.

        Args:
            variables: the alphas, then of each kernel its beta and its gamma, those that there are, then the deltas.
        """
        values = ops.concatenate([np.zeros(1, "float32"), *variables])
        channels = 1 + len(self._groups)
        taps = channels + len(self._sets)
        stay = ops.concatenate(
            [
                np.ones(1, bool),
                self._channels_stay(values[1:channels]),
                self._taps_stay(values[channels:taps]),
                ops.greater(values[taps:], THRESHOLD),
            ]
        )
        hard = ops.all(ops.take(stay, self._own), axis=0)
        return straight_through(ops.cast(hard, "float32"), ops.sum(ops.take(values, self._own), axis=0))

    def _channels_stay(self, alphas: Any) -> Any:
        on, groups = ops.greater(alphas, THRESHOLD), self._groups
        if not len(groups):
            return on
        ranked = alphas - self._ties
        if self._is_rest.any():
            ranked = ops.where(self._is_rest, -np.inf, ranked)
        strongest = ops.take(ops.segment_max(ranked, groups, 1 + groups[-1]), groups)
        stay = ops.logical_or(on, ops.greater_equal(ranked, strongest))
        if self._is_rest.any():
            off = ops.cast(ops.logical_not(ops.logical_or(stay, self._is_rest)), "int32")
            some_off = ops.take(ops.segment_max(off, groups, 1 + groups[-1]), groups)
            stay = ops.where(self._is_rest, ops.logical_and(on, ops.equal(some_off, 0)), stay)
        return stay

    def _taps_stay(self, values: Any) -> Any:
        on, sets = ops.greater(values, THRESHOLD), self._sets
        if not len(sets):
            return on
        furthest = ops.segment_max(ops.where(on, self._reaches, 0.0), sets, 1 + sets[-1])
        return ops.less_equal(self._reaches, ops.take(furthest, sets))


def _joined(parts: Iterable[np.ndarray], dtype: Any = "int32") -> np.ndarray:
    return np.concatenate([np.zeros(0), *parts]).astype(dtype)


def _numbered(parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Parts that each number something from 0 on, numbered on from one to the next."""
    starts = np.cumsum([0, *(1 + part[-1] for part in parts)])
    return [start + part for start, part in zip(starts, parts, strict=False)]
