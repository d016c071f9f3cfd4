"""Whether a cost does what the search needs: a number for each stage, and a gradient.

Each stage is costed as it is, and with its channels and taps as tensors, scaled by a common share. What the cost
says about the tensors must be a scalar, agree with the number, and have a gradient wherever the cost changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import tensorflow as tf

from .geometry import Geometry
from .registry import Metric

_SHARES = (1.0, 0.75, 0.5)
_CURE = "Compute with + - * / and keras.ops, and choose by costs.where in place of `if`."


def check(metric: Metric, stages: Iterable[Geometry]) -> None:
    """Try a cost on the stages of a seed.

    Raises:
        ValueError: if it fails; names the cost and the layer.
    """
    # Stages of one kind and size are costed alike.
    different = {replace(stage, layer=""): stage for stage in stages}
    names = {stage: f"Cost '{metric.name}' of layer '{stage.layer}' ({stage.kind})" for stage in different.values()}
    numbers = []
    for stage, name in names.items():
        number = metric.function(stage)
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number < math.inf:
            raise ValueError(f"{name} is {number!r}: expected a finite number of at least 0.")
        numbers.append(number)

    @tf.function(autograph=False)
    def trial(share: Any) -> list[tuple[Any, Any]]:
        return [_soft(metric, stage, share, name) for stage, name in names.items()]

    at = trial.get_concrete_function(tf.TensorSpec((), tf.float32))
    trials = [at(tf.constant(share)) for share in _SHARES]
    for name, number, *found in zip(names.values(), numbers, *trials, strict=True):
        values, slopes = ([float(part) for part in parts] for parts in zip(*found, strict=True))
        if not math.isclose(values[0], number, rel_tol=1e-4, abs_tol=1e-6):
            raise ValueError(f"{name} is {number:g} for numbers, but {values[0]:g} for tensors of the same values.")
        if len(set(values)) > 1 and not any(slopes):
            raise ValueError(
                f"{name} changes with the number of channels or taps, but has no gradient: rounding and conversions "
                f"to int or numpy stop it. {_CURE}"
            )


def _soft(metric: Metric, stage: Geometry, share: Any, name: str) -> tuple[Any, Any]:
    """The cost of a stage of which a share is left, and its slope; both tensors."""
    with tf.GradientTape() as tape:
        tape.watch(share)
        counts = {role: getattr(stage, role) for role in ("inputs", "outputs", "fan_in", "taps")}
        soft = {role: count * share if count > 1 else count for role, count in counts.items()}
        try:
            value = tf.cast(tf.convert_to_tensor(metric.function(replace(stage, **soft))), tf.float32)
        except Exception as error:
            raise ValueError(f"{name} cannot be computed on tensors: {error}. {_CURE}") from error
    if value.shape != ():
        raise ValueError(f"{name} has shape {tuple(value.shape)}: expected a scalar.")
    slope = tape.gradient(value, share)
    return value, tf.zeros(()) if slope is None else slope
