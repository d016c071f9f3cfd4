"""Whether a cost does what the search needs: a number for each stage or network, and a gradient.

Each stage is costed as it is, and with its channels and taps as tensors, scaled by a common share; so is the whole
network for costs of that. What the cost says about the tensors must be a scalar, agree with the number, and have a
gradient wherever the cost changes.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from ..errors import OpenLength
from .geometry import Geometry
from .operators import Tensor
from .program import Program
from .registry import Metric

_SHARES = (1.0, 0.75, 0.5)
_CURE = "Compute with + - * / and keras.ops, and choose by costs.where in place of `if`."
_WHOLE_CURE = "Compute with + - * /, keras.ops, and larger, choose and floor_div of keras_pit.costs.sizes."


def check(metric: Metric, stages: Iterable[Geometry]) -> None:
    """Try a cost on the stages of a seed.

    Raises:
        ValueError: if it fails; names the cost and the layer.
    """
    import tensorflow as tf

    # Stages of one kind and size are costed alike.
    different = {replace(stage, layer=""): stage for stage in stages}
    names = {stage: _called(metric, stage) for stage in different.values()}
    costed = [cost_of(metric, stage) for stage in names]

    @tf.function(autograph=False)
    def trial(share: Any) -> list[tuple[Any, Any]]:
        return [_soft(metric, stage, _scaled_stage, share, name, _CURE) for stage, name in names.items()]

    at = trial.get_concrete_function(tf.TensorSpec((), tf.float32))
    trials = [at(tf.constant(share)) for share in _SHARES]
    for name, number, *found in zip(names.values(), costed, *trials, strict=True):
        _compare(name, number, found, _CURE)


def check_whole(metric: Metric, program: Program) -> None:
    """Try a cost of whole networks on a seed.

    Raises:
        ValueError: if it fails; names the cost.
    """
    import tensorflow as tf

    name = _called(metric, program)
    number = cost_of(metric, program)
    trial = tf.function(
        lambda share: _soft(metric, program, _scaled_program, share, name, _WHOLE_CURE), autograph=False
    )
    at = trial.get_concrete_function(tf.TensorSpec((), tf.float32))
    values = _compare(name, number, [at(tf.constant(share)) for share in _SHARES], _WHOLE_CURE)
    if len(set(values)) == 1:
        raise ValueError(
            f"{name} is {number:g} whatever the number of channels and taps: expected a cost that depends on the "
            "shapes of the program's tensors, or there is nothing to search for."
        )


def cost_of(metric: Metric, subject: Geometry | Program) -> Any:
    """The cost of a stage or a program of numbers.

    Raises:
        OpenLength: if it depends on a length that is open.
        ValueError: if it cannot be computed, or is not a finite number of at least 0.
    """
    name = _called(metric, subject)
    try:
        number = metric.function(subject)
    except OpenLength:
        raise
    except Exception as error:
        takes = "a program and a board" if metric.whole else "one stage (register it with whole=True for the network)"
        raise ValueError(
            f"{name} cannot be computed: {type(error).__name__}: {error}. Expected a function of {takes} that returns "
            "a number."
        ) from error
    if isinstance(number, bool) or not isinstance(number, numbers.Real) or not 0 <= float(number) < math.inf:
        raise ValueError(f"{name} is {number!r}: expected a finite number of at least 0.")
    return number


def _called(metric: Metric, subject: Geometry | Program) -> str:
    if isinstance(subject, Program):
        return f"Cost '{metric.name}' of the whole network"
    return f"Cost '{metric.name}' of layer '{subject.layer}' ({subject.kind})"


def _soft(
    metric: Metric, subject: Any, scaled: Callable[[Any, Any], Any], share: Any, name: str, cure: str
) -> tuple[Any, Any]:
    """The cost of a stage or program of which a share is left, and its slope; both tensors."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(share)
        try:
            value = tf.cast(tf.convert_to_tensor(metric.function(scaled(subject, share))), tf.float32)
        except Exception as error:
            raise ValueError(f"{name} cannot be computed on tensors: {error}. {cure}") from error
    if value.shape != ():
        raise ValueError(f"{name} has shape {tuple(value.shape)}: expected a scalar.")
    slope = tape.gradient(value, share)
    return value, tf.zeros(()) if slope is None else slope


def _compare(name: str, number: Any, found: Iterable[tuple[Any, Any]], cure: str) -> list[float]:
    """The values at each share, if they agree with the number and have a gradient."""
    values, slopes = ([float(part) for part in parts] for parts in zip(*found, strict=True))
    if not math.isclose(values[0], number, rel_tol=1e-4, abs_tol=1e-6):
        raise ValueError(f"{name} is {number:g} for numbers, but {values[0]:g} for tensors of the same values.")
    if len(set(values)) > 1 and not any(slopes):
        raise ValueError(
            f"{name} changes with the number of channels or taps, but has no gradient: rounding and conversions "
            f"to int or numpy stop it. {cure}"
        )
    return values


def _scaled_stage(stage: Geometry, share: Any) -> Geometry:
    counts = {role: getattr(stage, role) for role in ("inputs", "outputs", "fan_in", "taps")}
    return replace(stage, **{role: count * share if count > 1 else count for role, count in counts.items()})


def _scaled_program(program: Program, share: Any) -> Program:
    def scaled(tensor: Tensor) -> Tensor:
        if not tensor.shape or (tensor.constant and not tensor.channels):  # paddings, axes
            return tensor
        *others, last = (size * share if size > 1 else size for size in tensor.shape)
        # Of activations, channels; of weights, taps as well.
        others = others if tensor.constant else list(tensor.shape[:-1])
        channels = tensor.channels * share if tensor.channels > 1 else tensor.channels
        return replace(tensor, shape=(*others, last), channels=channels)

    return replace(program, tensors=tuple(map(scaled, program.tensors)))
