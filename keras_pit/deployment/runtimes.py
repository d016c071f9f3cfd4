"""Running a .tflite file: on TFLite-Micro, and on LiteRT's reference kernels.

The data model: both runtimes take the same inputs and return the same outputs, in the order of the file's `Graph` and
whatever its number type:

    inputs   one array of shape (samples, *input), or a list of them, one per input of the file. Floats are real values,
             quantised here with the input's scale and zero point; an array of the input's own integer type is passed
             on as it is.
    outputs  a tuple, one array of shape (samples, *output) per output of the file, in the file's number type, and once
             more as real values.

Both run in a process of their own (`worker.py`), as they can crash and explain themselves on C stderr only. One process
runs all samples.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import checks
from ..errors import DeploymentError
from . import worker
from .feeds import prepare
from .file_graph import Graph
from .flatbuffer import File
from .schema import INSTALL, unloadable

FIRST_ARENA = 16 * 2**20
LARGEST_ARENA = 256 * 2**20

_OK, _ABORTED = 0, 15
"""What a run returns: `kTfLiteOk`, or `kTfLiteAbort` where a CIRCULAR_BUFFER ended it early."""

_NO_KERNEL = re.compile(r"Didn't find op for builtin opcode '(\w+)'")
_FAILED = re.compile(r"Node (\w+) \(number (\d+)\) failed to (?:prepare|invoke)")
_BROKEN = re.compile(r"^(?:ImportError|ModuleNotFoundError): (.*)", re.MULTILINE)
_OUT_OF_ARENA = re.compile(r"Failed to (allocate|resize)|missing: \d+|Too many buffers")


@dataclass(frozen=True)
class Run:
    """Outputs in the file's number type, and as real values."""

    outputs: tuple[np.ndarray, ...]
    dequantized: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class MicroRun(Run):
    """A `Run` on TFLite-Micro; `arena_bytes` is what this machine's 64-bit build used."""

    arena_bytes: int


def run_tflite_micro(
    tflite: bytes,
    inputs: np.ndarray | Sequence[np.ndarray],
    *,
    timeout: float = worker.SECONDS,
    arena_bytes: int = FIRST_ARENA,
) -> MicroRun:
    """Run a .tflite file on TFLite-Micro, in a process of its own.

    Args:
        tflite: the file's content.
        inputs: array of shape (samples, *input), or a list with one array per input of the file; real values as floats,
            or integers of the input's own type.
        timeout: limit for all samples together, in seconds.
        arena_bytes: first guess for the tensor arena, in bytes; four times as much is tried, up to 256 MiB, as long as
            it does not suffice.

    Returns:
        A `MicroRun`: `outputs` in the file's number type and `dequantized`, each one array of shape (samples, *output)
        per output, and `arena_bytes`, the arena used. That is the figure of this machine's 64-bit build, not what a
        board needs.

    Raises:
        DeploymentError: if TFLite-Micro refuses the file (with its own words from C stderr), crashes, or takes too long
            or too much memory.
        ValueError: if inputs and file do not fit.
        ImportError: if tflite_micro or ai_edge_litert is not installed, or cannot be loaded.

    Example:

        run = run_tflite_micro(tflite, x[:100])
        run.dequantized[0].argmax(-1)
    """
    timeout = checks.number(timeout, "`timeout`", positive=True)
    return micro_run(File.of(tflite), inputs, timeout, checks.whole(arena_bytes, "`arena_bytes`", least=1))


def micro_run(
    file: File,
    inputs: np.ndarray | Sequence[np.ndarray],
    timeout: float = worker.SECONDS,
    arena_bytes: int = FIRST_ARENA,
) -> MicroRun:
    """What `run_tflite_micro` does."""
    results, log = micro_results(file, prepare(file.graph, inputs), timeout=timeout, arena_bytes=arena_bytes)
    run = _finish(file.graph, results)
    return MicroRun(run.outputs, run.dequantized, _arena_used(log))


def _arena_used(log: str) -> int:
    used = re.search(r"Arena allocation total (\d+) bytes", log)
    if used is None:
        raise DeploymentError(
            "TFLite-Micro ran but did not print 'Arena allocation total N bytes': this version of tflite_micro is not "
            f"understood. {INSTALL}\nIt printed:\n{log.strip()}"
        )
    return int(used[1])


@dataclass(frozen=True)
class StepRun(MicroRun):
    """A `MicroRun` of sequences, whose outputs have the shape (sequences, steps, *output)."""

    decided: np.ndarray
    """Whether a step came to its end, of shape (sequences, steps); outputs of the others are none."""


def run_stream(
    tflite: bytes, recordings: np.ndarray | Sequence[np.ndarray], *, timeout: float = worker.SECONDS
) -> StepRun:
    """Run a streaming file on TFLite-Micro step by step, in a process of its own, with a reset before each recording.

    Args:
        tflite: the file's content, from `to_tflite(..., streaming=True)`.
        recordings: array of shape (recordings, steps, *element), or a list with one array per input of the file; real
            values as floats, or integers of the input's own type.
        timeout: limit for all of them together, in seconds.

    Returns:
        A `StepRun`: `outputs` in the file's number type and `dequantized`, each one array of shape (recordings, steps,
        *output) per output, and `decided`, whether a step came to its end: outputs of the others are none. Decisions
        before `profile(tflite).stream.timing.first` are not about a whole window.

    Raises:
        DeploymentError: as `run_tflite_micro`.
        ValueError: if recordings and file do not fit.
        ImportError: if tflite_micro or ai_edge_litert is not installed, or cannot be loaded.

    Example:

        run = run_stream(tflite, recording[None])
        run.dequantized[0][0, run.decided[0]].argmax(-1)
    """
    given = recordings if isinstance(recordings, (list, tuple)) else [recordings]
    parts = [np.asarray(part) for part in given]
    if any(part.ndim < 2 for part in parts) or len({part.shape[:2] for part in parts}) != 1:
        raise ValueError(
            f"`recordings` has arrays of shape {[part.shape for part in parts]}; expected (recordings, steps, "
            "*element) with equal numbers of both for all inputs."
        )
    return step_run(File.of(tflite), parts, checks.number(timeout, "`timeout`", positive=True))


def step_run(file: File, sequences: Sequence[np.ndarray], timeout: float = worker.SECONDS) -> StepRun:
    """What `run_stream` does."""
    count, steps = np.shape(sequences[0])[:2]
    flat = [np.asarray(part).reshape(count * steps, *np.shape(part)[2:]) for part in sequences]
    feeds = prepare(file.graph, flat)
    results, log = micro_results(file, feeds, timeout=timeout, steps=steps)
    run = _finish(file.graph, results[:-1])
    if not np.isin(results[-1], (_OK, _ABORTED)).all():
        raise DeploymentError(f"TFLite-Micro failed at a step of the file. It printed:\n{log.strip()}")
    outputs, reals = (tuple(y.reshape(count, steps, *y.shape[1:]) for y in ys) for ys in (run.outputs, run.dequantized))
    return StepRun(outputs, reals, _arena_used(log), results[-1].reshape(count, steps) == _OK)


def run_litert(tflite: bytes, inputs: np.ndarray | Sequence[np.ndarray], *, timeout: float = worker.SECONDS) -> Run:
    """Run a .tflite file on LiteRT's reference kernels, in a process of its own.

    The reference kernels are those that TFLite-Micro's arithmetic follows; the default ones (XNNPACK) round
    differently.

    Args:
        tflite: the file's content.
        inputs: array of shape (samples, *input), or a list with one array per input of the file; real values as floats,
            or integers of the input's own type.
        timeout: limit for all samples together, in seconds.

    Returns:
        A `Run`: `outputs` in the file's number type and `dequantized`, each one array of shape (samples, *output) per
        output.

    Raises:
        DeploymentError: if LiteRT refuses the file (with its own words), crashes, or takes too long or too much memory.
        ValueError: if inputs and file do not fit.
        ImportError: if ai_edge_litert is not installed, or cannot be loaded.

    Example:

        run_litert(tflite, x[:100]).dequantized[0].argmax(-1)
    """
    return litert_run(File.of(tflite), inputs, timeout)


def litert_run(file: File, inputs: np.ndarray | Sequence[np.ndarray], timeout: float = worker.SECONDS) -> Run:
    """What `run_litert` does."""
    return _finish(file.graph, litert_results(file, prepare(file.graph, inputs), timeout=timeout))


def micro_results(
    file: File,
    feeds: Sequence[np.ndarray],
    *,
    tensors: Sequence[int] = (),
    timeout: float,
    arena_bytes: int = FIRST_ARENA,
    steps: int | None = None,
) -> tuple[list[np.ndarray], str]:
    """Arrays of shape (samples, *tensor) from TFLite-Micro, and what it printed.

    The outputs are returned, or the tensors of the given numbers, whichever operator makes them. With `steps`, there is
    a reset before every so many samples instead of each, and behind the outputs comes the status of each run.
    """
    _require(
        "tflite_micro", " (Linux on x86-64 only; elsewhere, to_tflite(..., verify=False) makes an unverified file.)"
    )
    limits, outputs = worker.Limits(timeout), len(file.graph.outputs)
    while True:
        runtime, more = ("TFLite-Micro", tensors) if steps is None else ("TFLite-Micro, steps", (steps,))
        ended = worker.run(runtime, file.content, feeds, limits, arena_bytes, outputs, *more)
        if ended.results is not None:
            return ended.results, ended.log
        _require_loaded("tflite_micro", ended)
        # A crash tells nothing about its cause: a larger arena is worth a try.
        starved = ended.signal or _OUT_OF_ARENA.search(ended.log)
        if not starved or _NO_KERNEL.search(ended.log) or arena_bytes >= LARGEST_ARENA:
            raise DeploymentError(_refusal(file.graph, ended, arena_bytes))
        arena_bytes = min(4 * arena_bytes, LARGEST_ARENA)


def litert_results(file: File, feeds: Sequence[np.ndarray], *, timeout: float) -> list[np.ndarray]:
    """The outputs from LiteRT's reference kernels, as arrays of shape (samples, *tensor)."""
    _require("ai_edge_litert")
    ended = worker.run("LiteRT", file.content, feeds, worker.Limits(timeout))
    if ended.results is None:
        _require_loaded("ai_edge_litert", ended)
        reason = f"LiteRT crashed with {ended.signal}. It printed" if ended.signal else "LiteRT refused the file"
        raise DeploymentError(f"{reason}: {ended.log.strip() or '(nothing)'}")
    return ended.results


def _require(package: str, note: str = "") -> None:
    """Refuse to start a worker without the package that it needs."""
    if importlib.util.find_spec(package) is None:
        raise ImportError(f"This needs {package}, which is not installed. {INSTALL}{note}")


def _require_loaded(package: str, ended: worker.Ended) -> None:
    """Tell of a runtime that its worker could not load."""
    broken = _BROKEN.search(ended.log)
    if broken:
        raise unloadable(package, broken[1])


def _finish(graph: Graph, raw: list[np.ndarray]) -> Run:
    """Outputs of shape (samples, *tensor) without the tensor's batch axis."""
    outputs = tuple(array[:, 0] if array.ndim > 1 and array.shape[1] == 1 else array for array in raw)
    return Run(outputs, tuple(t.dequantize(a) for t, a in zip(graph.outputs, outputs, strict=True)))


def _refusal(graph: Graph, ended: worker.Ended, arena_bytes: int) -> str:
    said = ended.log.strip() or "(nothing)"
    missing, failed = _NO_KERNEL.search(said), _FAILED.search(said)
    if missing:
        places = [graph.place(op) for op in graph.ops if op.name == missing[1]]
        reason = f"TFLite-Micro has no kernel for {missing[1]} ({'; '.join(places)}). Replace the layer that makes it."
    elif failed and int(failed[2]) < len(graph.ops):
        op = graph.ops[int(failed[2])]
        reason = (
            f"TFLite-Micro has no kernel for {op.name} with these types and shapes ({graph.place(op)}). Replace the "
            "layer that makes it."
        )
    elif ended.signal:
        reason = f"TFLite-Micro crashed with {ended.signal} (arena {arena_bytes} bytes)."
    else:
        reason = f"TFLite-Micro refused the file (arena {arena_bytes} bytes)."
    return f"{reason} It printed:\n{said}"
