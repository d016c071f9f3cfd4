"""How masks move for a target: by gradient descent with momentum, in steps that are as unequal as the gradients are.

An optimizer such as Adam moves each mask by about the same amount, whatever it is worth. Here all masks share one
scale, the root mean square of all their gradients:

    velocity   0.9 velocity + 0.1 gradient
    mask       mask - RATE * learning rate * velocity / scale

So those that matter move most, and those that the task does not tell apart keep their order until pressure and shifts
(see `targets`) decide. The gradient is that of the whole loss. It is taken where the masks are read, in the backward
pass of the training step: `tapped` hands the masks on and remembers the gradient that comes back. What the optimizer
made of the masks is dropped; its learning rate counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from .variables import state

RATE = 3.0
"""How far a mask of the usual gradient moves in a step, in learning rates of the optimizer."""
MOMENTUM, MEMORY = 0.9, 0.99
"""Of the velocity, and of the scale."""


class Descent:
    """Moves the masks of a search.

    Args:
        masks: the mask variables.
    """

    def __init__(self, masks: Sequence[keras.Variable]) -> None:
        self._masks = list(masks)
        size = sum(mask.shape[0] for mask in masks)
        self._gradient = state("gradient", np.zeros(size))
        self._velocity = state("velocity", np.zeros(size))
        self._scale = state("scale", 0.0)
        """The mean squared gradient; 0 before the first one."""
        self._watching = False

    @property
    def variables(self) -> list[keras.Variable]:
        """All state; the gradient is of one step alone."""
        return [self._velocity, self._scale]

    @property
    def watching(self) -> bool:
        """Whether a training step is under way, whose gradient is to be remembered."""
        return self._watching

    @contextmanager
    def watched(self) -> Iterator[None]:
        """A context for the forward and the backward pass of a training step."""
        self._watching = True
        try:
            yield
        finally:
            self._watching = False

    def tapped(self, values: Any) -> Any:
        """The values of all masks, as they are; the gradient that comes back is remembered."""

        @tf.custom_gradient
        def tap(values: Any) -> Any:
            def remember(gradient: Any) -> Any:
                self._gradient.assign(_of_all_devices(gradient))
                return gradient

            return tf.identity(values), remember

        return tap(values)

    def moved(self, before: Any, after: Any, rate: Any, unit: Any) -> Any:
        """Where the masks go in a training step.

        Args:
            before: their values before it.
            after: what the optimizer made of them; what is not a number stays none.
            rate: the learning rate of the optimizer.
            unit: by how much the loss was scaled for the gradient (mixed precision).
        """
        gradient = self._gradient / unit
        # Scaled losses overflow now and then, and optimizers leave such a step out.
        finite = ops.all(ops.isfinite(gradient))
        gradient = ops.where(finite, gradient, 0.0)
        square = ops.mean(ops.square(gradient))
        scale = ops.where(self._scale > 0, self._scale + (1 - MEMORY) * (square - self._scale), square)
        scale = ops.where(finite, scale, self._scale)
        velocity = MOMENTUM * self._velocity + (1 - MOMENTUM) * gradient
        self._scale.assign(scale)
        self._velocity.assign(velocity)
        step = RATE * ops.cast(rate, "float32") * velocity / ops.sqrt(scale + keras.backend.epsilon() ** 2)
        return before - self._free() * step + 0.0 * after

    def _free(self) -> np.ndarray:
        """1 for each mask that is trained."""
        return np.concatenate([np.full(mask.shape[0], mask.trainable, "float32") for mask in self._masks])


def _of_all_devices(gradient: Any) -> Any:
    """The sum over the devices of a distribution strategy, as optimizers take it."""
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return gradient
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, gradient)
