"""Masks: trainable variables in [0, 1] that switch channels and kernel taps on (above 0.5) and off.

The forward pass sees 0 or 1, the backward pass goes straight through to the variable (a straight-through estimator,
Bengio et al., arXiv 1308.3432), so what is switched off still feels what it would do and can come back.

`alpha`, one entry a channel: the strongest channel of a group stays on, whatever the values.

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


def channel_mask(alpha: Any, groups: Sequence[np.ndarray]) -> Any:
    """The channel mask, shape (channels,), float32.

    Args:
        alpha: variable of shape (channels,).
        groups: positions of each group in alpha; each keeps its strongest channel (of equals the first).
    """
    alpha = ops.convert_to_tensor(alpha)
    on = ops.greater(alpha, THRESHOLD)
    ranked = alpha - _ranks(alpha.shape[0])
    if len(groups) == 1:
        best = ops.max(ranked)
    else:
        members, group_of = _membership(groups)
        best = ops.take(ops.max(ops.where(members, ranked, -np.inf), axis=1), group_of)
    hard = ops.cast(ops.logical_or(on, ops.greater_equal(ranked, best)), "float32")
    return straight_through(hard, alpha)


def kept_channels(alpha: np.ndarray, groups: Sequence[np.ndarray]) -> np.ndarray:
    """As `channel_mask`, boolean, in numpy."""
    kept = alpha > THRESHOLD
    ranked = alpha - _ranks(len(alpha))
    for group in groups:
        kept[group] |= ranked[group] >= ranked[group].max()
    return kept


def _ranks(size: int) -> np.ndarray:
    """Breaks ties between channels: too little to change the order of values that training tells apart."""
    return (1e-6 * np.arange(size)).astype("float32")


def _membership(groups: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Which positions each group has, and which group each position is in."""
    group_of = np.zeros(sum(map(len, groups)), np.int64)
    for index, group in enumerate(groups):
        group_of[group] = index
    return group_of == np.arange(len(groups))[:, None], group_of


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
