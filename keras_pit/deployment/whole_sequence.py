"""What a streaming file has to compute, by files that know nothing of streaming.

The network of a window runs over a whole sequence at once: its body as it is, with longer tensors; its head on each
window of what the body has made.

    body    Conv1D, Conv1D of 3 windows together     one inference for a whole sequence
    head    pooling, Dense                           one for each decision

A sequence is longer than a window by a multiple of all strides, so padding "same" adds the same zeros in front.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..streaming import Streamed
from ..streaming.values import Stream
from .flatbuffer import File
from .packing import repack
from .runtimes import micro_run
from .schema import keep


def sequence_length(steps: Streamed, windows: int = 3) -> int:
    """Steps of a sequence of so many windows, or a little more."""
    timing = steps.timing
    slowest = _slowest(steps)
    return timing.window + -(-((windows - 1) * timing.window + max(timing.delay, 0)) // slowest) * slowest


def _slowest(steps: Streamed) -> int:
    return max(period for _, period in steps.body.values())


def decisions(file: File, steps: Streamed, sequence: Sequence[np.ndarray]) -> dict[int, list[np.ndarray]]:
    """The outputs at each step of a sequence that has some, by the files of the whole sequence.

    Args:
        file: of a window.
        steps: its program of a step.
        sequence: integers of the file, an array of shape (steps, *element) for each input.

    Returns:
        For each step from `timing.first` on that decides: an array for each output, an element of a sequence or all.
    """
    length = len(sequence[0])
    longer = length - steps.timing.window
    wanted = list(steps.streams)
    made = dict(zip(wanted, _body(file, steps, longer, wanted, sequence), strict=True))
    times = [step for step in range(length) if steps.timing.decides(step)]
    results: dict[int, list[np.ndarray]] = {step: [] for step in times}
    if steps.head:
        heads = _heads(file, steps, made, times)
    for output, number in zip(steps.outputs, file.program.outputs, strict=True):
        for place, step in enumerate(times):
            if isinstance(output, Stream):
                axis, period = steps.body[number]
                element = (step - output.ready) // period
                results[step].append(np.take(made[number], [element], axis=axis))
            else:
                results[step].append(heads[number][place])
    return results


def _body(
    file: File, steps: Streamed, longer: int, wanted: Sequence[int], sequence: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Tensors of the body for a sequence that is so many steps longer than a window, without the batch."""
    model = copy.deepcopy(file.tree)
    subgraph = model.subgraphs[0]
    subgraph.operators = [op for number, op in enumerate(subgraph.operators) if number not in steps.head]
    for number, (axis, period) in steps.body.items():
        subgraph.tensors[number].shape = np.array(subgraph.tensors[number].shape)
        subgraph.tensors[number].shape[axis] += longer // period
    for op, known in zip(list(subgraph.operators), _kept(file, steps), strict=True):
        (result,) = known.outputs
        if result in steps.body:
            _lengthen(model, op, known, steps.body[result], steps.body.get(known.inputs[0], (0, 1))[1], longer)
    _end(model, subgraph.inputs, [number for number in wanted if number not in subgraph.inputs])
    run: Iterator[np.ndarray] = iter(())
    if len(subgraph.outputs):
        whole = repack(model)
        feeds = [part.reshape(1, *tensor.shape[1:]) for part, tensor in zip(sequence, whole.graph.inputs, strict=True)]
        run = iter(micro_run(whole, feeds).outputs)
    given = dict(zip(map(int, subgraph.inputs), sequence, strict=True))
    results = []
    for number in wanted:
        shape = subgraph.tensors[number].shape
        array = given[number] if number in given else next(run)
        results.append(array.reshape(shape))
    return results


def _kept(file: File, steps: Streamed) -> list[Any]:
    return [op for number, op in enumerate(file.program.operators) if number not in steps.head]


def _lengthen(model: Any, op: Any, known: Any, time: tuple[int, int], before: int, longer: int) -> None:
    """Constants that tell how long a result is: shapes and ends of slices."""
    axis, period = time
    place = {"RESHAPE": 1, "SLICE": 2, "STRIDED_SLICE": 2}.get(known.name)
    if place is None or len(op.inputs) <= place:
        return
    subgraph = model.subgraphs[0]
    tensor = copy.copy(subgraph.tensors[op.inputs[place]])
    values = np.frombuffer(bytes(model.buffers[tensor.buffer].data), "<i4").copy()
    if values[axis] > 0:
        values[axis] += longer // (before if known.name == "STRIDED_SLICE" else period)
    tensor.buffer = keep(model, values)
    op.inputs = np.array(op.inputs)
    op.inputs[place] = len(subgraph.tensors)
    subgraph.tensors.append(tensor)
    if known.name == "RESHAPE" and op.builtinOptions is not None:
        op.builtinOptions.newShape = values


def _heads(file: File, steps: Streamed, made: dict[int, np.ndarray], times: Sequence[int]) -> dict[int, np.ndarray]:
    """The head's outputs by their numbers, of the windows that are complete at some steps."""
    model = copy.deepcopy(file.tree)
    subgraph = model.subgraphs[0]
    subgraph.operators = [op for number, op in enumerate(subgraph.operators) if number in steps.head]
    read = {int(number) for op in subgraph.operators for number in op.inputs}
    inputs = [number for number in made if number in read]
    outputs = [number for number in file.program.outputs if number not in steps.streams]
    _end(model, inputs, outputs)
    feeds = []
    for number in inputs:
        axis, period = steps.body[number]
        count = file.program.tensors[number].shape[axis]
        starts = [(step - steps.timing.first) // period for step in times]
        feeds.append(np.concatenate([np.take(made[number], range(at, at + count), axis=axis) for at in starts]))
    run = micro_run(repack(model), feeds)
    return {number: output[:, None] for number, output in zip(outputs, run.outputs, strict=True)}


def _end(model: Any, inputs: Sequence[int], outputs: Sequence[int]) -> None:
    subgraph = model.subgraphs[0]
    subgraph.inputs, subgraph.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
    needed = set(outputs)
    kept = []
    for op in reversed(subgraph.operators):
        if needed & {int(number) for number in op.outputs}:
            kept.append(op)
            needed |= {int(number) for number in op.inputs}
    subgraph.operators = kept[::-1]
    model.signatureDefs = None
