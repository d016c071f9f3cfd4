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

from dataclasses import dataclass
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


def channel_mask(alpha: Any, groups: list[np.ndarray]) -> Any:
    """The channel mask, shape (channels,), float32.

    Args:
        alpha: variable of shape (channels,).
        groups: positions of each group in alpha; each keeps its strongest channel.
    """
    alpha = ops.convert_to_tensor(alpha)
    hard = ops.cast(ops.greater(alpha, THRESHOLD), "float32")
    return straight_through(ops.maximum(hard, _strongest(alpha, groups)), alpha)


def _strongest(alpha: Any, groups: list[np.ndarray]) -> Any:
    """1 at the strongest channel of each group, else 0."""
    size = alpha.shape[0]
    if len(groups) == 1:
        return ops.one_hot(ops.argmax(alpha), size)
    best = [ops.take(group, ops.argmax(ops.take(alpha, group))) for group in groups]
    return ops.max(ops.one_hot(ops.stack(best), size), axis=0)


def kept_channels(alpha: np.ndarray, groups: list[np.ndarray]) -> np.ndarray:
    """As `channel_mask`, boolean, in numpy."""
    kept = alpha > THRESHOLD
    for group in groups:
        kept[group[np.argmax(alpha[group])]] = True
    return kept


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

    @property
    def levels(self) -> tuple[int, ...]:
        """For each lag, the index of the coarsest step whose grid it is on."""
        return tuple(
            max(p for p, step in enumerate(self.steps) if lag % step == 0) for lag in range(max(self.lags) + 1)
        )

    def soft(self, beta: Any, gamma: Any) -> Any:
        """The tap mask, shape (taps,), float32.

        Args:
            beta: variable of shape (longest lag + 1,), or None where the receptive field is not searched.
            gamma: variable of shape (steps,), or None where the dilation is not searched.
        """
        hard, soft = np.ones(len(self.lags), "float32"), 0.0
        if beta is not None:
            beta = ops.convert_to_tensor(beta)
            on = ops.cast(ops.greater(beta, THRESHOLD), "float32")
            later = ops.matmul(np.triu(np.ones((beta.shape[0],) * 2, "float32")), on)
            later = ops.take(later, np.array(self.lags))
            hard = hard * ops.cast(ops.greater(later + _first(self.lags), THRESHOLD), "float32")
            soft = soft + ops.take(beta, np.array(self.lags))
        if gamma is not None:
            gamma = ops.convert_to_tensor(gamma)
            level = np.array(self.levels)[list(self.lags)]
            on = ops.cast(ops.greater(gamma, THRESHOLD), "float32")
            finer = ops.take(ops.matmul(np.tril(np.ones((gamma.shape[0],) * 2, "float32")), on), level)
            last = (level == len(self.steps) - 1).astype("float32")
            hard = hard * ops.cast(ops.greater(finer + last, THRESHOLD), "float32")
            soft = soft + ops.take(gamma, level)
        return straight_through(hard, soft)

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


def _first(lags: tuple[int, ...]) -> np.ndarray:
    """1 for the tap that must stay."""
    return (np.array(lags) == 0).astype("float32")
