"""The proof that a streaming file computes, step by step, what the network of a window computes of a whole sequence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import DeploymentError
from ..streaming import Streamed
from .flatbuffer import File
from .runtimes import StepRun, step_run
from .stream_file import stream, write
from .trim import arranged_file
from .whole_sequence import decisions, sequence_length

SEQUENCES = 2
"""So many are run."""


def streaming_file(window: File, every: int, samples: Sequence[np.ndarray] | None, layers: Sequence[str] = ()) -> File:
    """The file of one time step of the file of a window, verified.

    Args:
        window: the file of a whole window, int8, with the names of its tensors.
        every: how often the head runs.
        samples: windows to verify it with, an array of shape (samples, *input) for each input; None: it is not run.
        layers: the names that layers have in messages.

    Raises:
        DeploymentError: if it cannot stream, which names the layer; or if a single number differs.
    """
    window = arranged_file(window)
    steps = stream(window, every, layers)
    file = write(window, steps)
    if samples is not None:
        verify_stream(window, file, steps, samples)
    return file


def verify_stream(window: File, file: File, steps: Streamed, samples: Sequence[np.ndarray]) -> StepRun:
    """Run a streaming file over sequences made of samples, and compare each of its steps.

    Args:
        window: the file of a window.
        file: that of a step.
        steps: its program.
        samples: windows, an array of shape (samples, *input) for each input.

    Returns:
        What TFLite-Micro computed.

    Raises:
        DeploymentError: if a single number differs, or a step decides that should not, or the other way round.
    """
    sequences = joined(window, steps, samples)
    run = step_run(file, sequences)
    for number in range(len(sequences[0])):
        expected = decisions(window, steps, [part[number] for part in sequences])
        decided = {step for step in np.flatnonzero(run.decided[number]) if step >= steps.timing.first}
        if decided != set(expected):
            wrong = min(decided.symmetric_difference(expected))
            raise _different(f"it decides at step {wrong}: {wrong in decided}, expected {wrong in expected}")
        for step, outputs in expected.items():
            for place, output in enumerate(outputs):
                computed = run.outputs[place][number, step]
                if not np.array_equal(computed.reshape(-1), output.reshape(-1)):
                    count = int(np.count_nonzero(computed.reshape(-1) != output.reshape(-1)))
                    raise _different(f"at step {step}, {count} of {output.size} numbers of output {place} differ")
    return run


def joined(window: File, steps: Streamed, samples: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Sequences of windows one after the other, as integers of the file: (sequences, steps, *element)."""
    length = sequence_length(steps)
    each = -(-length // steps.timing.window)
    result = []
    for tensor, part in zip(window.graph.inputs, samples, strict=True):
        integers = tensor.quantize(part) if tensor.quantized and part.dtype.kind == "f" else part
        integers = integers.reshape(len(integers), *tensor.shape[1:])
        axis = steps.body[tensor.index][0]
        wanted = np.resize(np.arange(len(integers)), SEQUENCES * each).reshape(SEQUENCES, each)
        rows = [np.concatenate(list(integers[row]), axis=axis - 1) for row in wanted]
        cut = [np.take(row, range(length), axis=axis - 1) for row in rows]
        result.append(np.stack([np.moveaxis(row, axis - 1, 0) for row in cut]))
    return result


def _different(what: str) -> DeploymentError:
    return DeploymentError(
        f"The streaming file computes something else than the network of a window on the whole sequence: {what}. "
        "This is a fault of keras_pit: report it."
    )
