"""The sequence that a bundle of a streaming file replays, and what TFLite-Micro makes of it, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DeploymentError
from ..streaming import Timing
from .cpp.sources import Tests
from .file_graph import TensorInfo
from .flatbuffer import File
from .runtimes import StepRun, step_run

DECISIONS = 16
"""So many decisions of whole windows are tested, fewer where the sequence is short or large."""
_BYTES = 64 * 1024


def step_tests(file: File, timing: Timing, data: Any) -> tuple[Tests, StepRun]:
    """The steps of a self-test.

    Args:
        file: of one time step.
        timing: when it decides.
        data: for each input, windows one after the other or a recording of steps; None: random numbers.

    Returns:
        The steps and the outputs of those that decide, and the run that they are of.

    Raises:
        ValueError: if the data does not fit the file.
        DeploymentError: if TFLite-Micro decides at other steps than it should.
    """
    tensors = file.graph.inputs
    wanted = timing.first + 1 + (DECISIONS - 1) * timing.period
    most = _BYTES // sum(int(np.prod(tensor.shape)) for tensor in tensors)
    count = max(min(wanted, most), timing.period) // timing.period * timing.period
    if data is None:
        parts, origin = [_random(tensor, count) for tensor in tensors], "random numbers"
    else:
        parts, origin = _parts(tensors, data), "the beginning of the data, step by step"
        count = min(count, min(map(len, parts)) // timing.period * timing.period)
        if count == 0:
            raise ValueError(
                f"The data for the self-test has {min(map(len, parts))} steps; expected at least {timing.period}, as "
                "there is a decision every so many. Pass more of it."
            )
        parts = [part[:count] for part in parts]
    run = step_run(file, [part[None] for part in parts])
    (decided,) = run.decided
    if not np.array_equal(decided, (np.arange(count) + 1) % timing.period == 0):
        raise DeploymentError(
            f"TFLite-Micro decides at other steps of the file than every {timing.period} of them, which its "
            "description says. Make the file with keras_pit.to_tflite(..., streaming=True)."
        )
    return Tests(tuple(parts), tuple(output[0][decided] for output in run.outputs), origin), run


def _random(tensor: TensorInfo, count: int) -> np.ndarray:
    if not tensor.quantized:
        return np.zeros((count, *tensor.shape[1:]), tensor.dtype)
    return np.random.default_rng(0).integers(-128, 128, (count, *tensor.shape[1:]), tensor.dtype)


def _parts(tensors: Sequence[TensorInfo], data: Any) -> list[np.ndarray]:
    """The steps of each input, in the numbers of the file."""
    if hasattr(data, "element_spec"):
        raise ValueError(
            "The data for a streaming self-test is a dataset; expected an array of windows (windows, time, channels), "
            "or of steps (time, channels)."
        )
    if isinstance(data, dict):
        data = list(data.values())
    arrays = list(data) if isinstance(data, (list, tuple)) else [data]
    if len(arrays) != len(tensors):
        raise ValueError(
            f"The data for the self-test has {len(arrays)} parts; expected an array for each of the file's "
            f"{len(tensors)} inputs."
        )
    return [_steps(tensor, np.asarray(array)) for tensor, array in zip(tensors, arrays, strict=True)]


def _steps(tensor: TensorInfo, array: np.ndarray) -> np.ndarray:
    sizes = [size for size in tensor.shape if size != 1]
    if array.ndim == 0 or [size for size in array.shape[1:] if size != 1][-len(sizes) :] != sizes:
        raise ValueError(
            f"The data for the self-test has the shape {array.shape}; expected steps of shape {tensor.shape[1:]}, one "
            "after the other, or windows of them."
        )
    steps = array.reshape(-1, *tensor.shape[1:])
    if steps.dtype == tensor.dtype:
        return steps
    if not tensor.quantized:
        return steps.astype(tensor.dtype)
    return tensor.quantize(steps)
