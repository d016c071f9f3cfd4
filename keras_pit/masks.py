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

Knows no graphs.
"""

from __future__ import annotations

from collections.abc import Sequence
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


def channel_mask(alpha: Any, blocks: Blocks) -> Any:
    """The mask of each entry of an alpha, shape (entries,), float32.

    Args:
        alpha: variable of shape (entries,).
        blocks: what they stand for; each group keeps its strongest block (of equals the first).
    """
    alpha = ops.convert_to_tensor(alpha)
    on = ops.greater(alpha, THRESHOLD)
    ranked = alpha - _ranks(alpha.shape[0])
    if len(blocks.groups) == 1 and not blocks.rests:
        best = ops.max(ranked)
    else:
        best = ops.take(ops.max(ops.where(blocks.members, ranked, -np.inf), axis=1), blocks.group_of)
    kept = ops.logical_or(on, ops.greater_equal(ranked, best))
    if blocks.rests:
        whole = ops.all(ops.logical_or(kept, ~blocks.members), axis=1)
        kept = ops.where(blocks.is_rest, ops.logical_and(on, ops.take(whole, blocks.group_of)), kept)
    return straight_through(ops.cast(kept, "float32"), alpha)


def kept_blocks(alpha: np.ndarray, blocks: Blocks) -> np.ndarray:
    """As `channel_mask`, boolean, in numpy."""
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
    def _of_taps(self) -> _Tables:
        """Constant matrices from beta and gamma to taps."""
        lags = np.array(self.lags)[:, None]
        levels = [max(p for p, step in enumerate(self.steps) if lag % step == 0) for lag in self.lags]
        level = np.array(levels)[:, None]
        lag, step = np.arange(max(self.lags) + 1), np.arange(len(self.steps))
        tables = (lags == lag, lags <= lag, lags == 0, level == step, step <= level, level == len(self.steps) - 1)
        return _Tables(*(table.astype("float32") for table in tables))

    def soft(self, beta: Any, gamma: Any) -> Any:
        """The tap mask, shape (taps,), float32.

        Args:
            beta: variable of shape (longest lag + 1,), or None where the receptive field is not searched.
            gamma: variable of shape (steps,), or None where the dilation is not searched.
        """
        tables = self._of_taps
        parts = []
        if beta is not None:
            parts.append(_kept(beta, tables.own_beta, tables.betas, tables.first))
        if gamma is not None:
            parts.append(_kept(gamma, tables.own_gamma, tables.gammas, tables.coarsest))
        hards, softs = zip(*parts, strict=True)
        hard = hards[0] if len(parts) == 1 else ops.logical_and(*hards)
        soft = softs[0] if len(parts) == 1 else ops.add(*softs)
        return straight_through(ops.cast(hard, "float32"), soft)[:, 0]

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


@dataclass(frozen=True)
class _Tables:
    """Rows are taps. Which entry is a tap's own, which ones keep it, whether it is kept anyway."""

    own_beta: np.ndarray
    betas: np.ndarray
    first: np.ndarray
    own_gamma: np.ndarray
    gammas: np.ndarray
    coarsest: np.ndarray


def _kept(variable: Any, own: np.ndarray, keepers: np.ndarray, anyway: np.ndarray) -> tuple[Any, Any]:
    """Whether each tap is kept, and what carries the gradient to the variable; shapes (taps, 1)."""
    column = ops.reshape(ops.convert_to_tensor(variable), (-1, 1))
    on = ops.cast(ops.greater(column, THRESHOLD), "float32")
    return ops.greater(ops.matmul(keepers, on), THRESHOLD - anyway), ops.matmul(own, column)
