"""Running a .tflite file: on TFLite-Micro, and on LiteRT's reference kernels.

The data model: both runtimes take the same inputs and return the same outputs, in the order of the file's `Graph` and
whatever its number type:

    inputs   one array of shape (samples, *input), or a list of them, one per input of the file. Floats are real values,
             quantised here with the input's scale and zero point; an array of the input's own integer type is passed
             on as it is.
    outputs  a tuple, one array of shape (samples, *output) per output of the file, in the file's number type, and once
             more as real values.

TFLite-Micro runs in a process of its own (`_micro.py`), as it can crash and explains itself on C stderr only. One
process runs all samples.
"""

from __future__ import annotations

import importlib.util
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DeploymentError
from .file_graph import Graph, TensorInfo
from .flatbuffer import File
from .schema import INSTALL, optional

FIRST_ARENA = 16 * 2**20
LARGEST_ARENA = 256 * 2**20
NUMBERS = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32")
"""Types of inputs that both runtimes take."""

_WORKER = Path(__file__).with_name("_micro.py")
_NO_KERNEL = re.compile(r"Didn't find op for builtin opcode '(\w+)'")
_FAILED = re.compile(r"Node (\w+) \(number (\d+)\) failed to (?:prepare|invoke)")
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
    timeout: float = 300.0,
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
        DeploymentError: if TFLite-Micro refuses the file (with its own words from C stderr), crashes or takes too long.
        ValueError: if inputs and file do not fit.
        ImportError: if tflite_micro or ai_edge_litert is not installed.

    Example:

        run = run_tflite_micro(tflite, x[:100])
        run.dequantized[0].argmax(-1)
    """
    return micro_run(File(tflite), inputs, timeout, arena_bytes)


def micro_run(
    file: File, inputs: np.ndarray | Sequence[np.ndarray], timeout: float = 300.0, arena_bytes: int = FIRST_ARENA
) -> MicroRun:
    """What `run_tflite_micro` does."""
    results, log = micro_results(file, prepare(file.graph, inputs), timeout=timeout, arena_bytes=arena_bytes)
    used = re.search(r"Arena allocation total (\d+) bytes", log)
    if used is None:
        raise DeploymentError(
            "TFLite-Micro ran but did not print 'Arena allocation total N bytes': this version of tflite_micro is not "
            f"understood. {INSTALL}\nIt printed:\n{log.strip()}"
        )
    run = _finish(file.graph, results)
    return MicroRun(run.outputs, run.dequantized, int(used[1]))


def run_litert(tflite: bytes, inputs: np.ndarray | Sequence[np.ndarray]) -> Run:
    """Run a .tflite file on LiteRT's reference kernels, in this process.

    The reference kernels are those that TFLite-Micro's arithmetic follows; the default ones (XNNPACK) round
    differently.

    Args:
        tflite: the file's content.
        inputs: array of shape (samples, *input), or a list with one array per input of the file; real values as floats,
            or integers of the input's own type.

    Returns:
        A `Run`: `outputs` in the file's number type and `dequantized`, each one array of shape (samples, *output) per
        output.

    Raises:
        DeploymentError: if LiteRT refuses the file.
        ValueError: if inputs and file do not fit.
        ImportError: if ai_edge_litert is not installed.

    Example:

        run_litert(tflite, x[:100]).dequantized[0].argmax(-1)
    """
    return litert_run(File(tflite), inputs)


def litert_run(file: File, inputs: np.ndarray | Sequence[np.ndarray]) -> Run:
    """What `run_litert` does."""
    return _finish(file.graph, litert_results(file, prepare(file.graph, inputs)))


def micro_results(
    file: File,
    feeds: Sequence[np.ndarray],
    *,
    tensors: Sequence[int] = (),
    timeout: float,
    arena_bytes: int = FIRST_ARENA,
) -> tuple[list[np.ndarray], str]:
    """Arrays of shape (samples, *tensor) from TFLite-Micro, and what it printed.

    The outputs are returned, or the tensors of the given numbers, whichever operator makes them.
    """
    if importlib.util.find_spec("tflite_micro") is None:
        raise ImportError(
            f"This needs tflite_micro, which is not installed. {INSTALL} (Linux on x86-64 only; elsewhere, "
            "to_tflite(..., verify=False) makes an unverified file.)"
        )
    deadline = time.monotonic() + timeout
    with tempfile.TemporaryDirectory(prefix="keras_pit_") as name:
        folder = Path(name)
        (folder / "model.tflite").write_bytes(file.content)
        np.savez(folder / "inputs.npz", *feeds)
        while True:
            arguments = [name, arena_bytes, len(file.graph.outputs), *tensors]
            try:
                worker = subprocess.run(
                    [sys.executable, str(_WORKER), *map(str, arguments)],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    timeout=max(deadline - time.monotonic(), 0.0),
                )
            except subprocess.TimeoutExpired as error:
                raise DeploymentError(
                    f"TFLite-Micro did not finish {len(feeds[0])} samples within {timeout:g} s. Pass fewer samples, or "
                    "a longer timeout."
                ) from error
            if worker.returncode == 0:
                break
            # A crash tells nothing about its cause: a larger arena is worth a try.
            starved = worker.returncode < 0 or _OUT_OF_ARENA.search(worker.stderr)
            if not starved or _NO_KERNEL.search(worker.stderr) or arena_bytes >= LARGEST_ARENA:
                raise DeploymentError(_refusal(file.graph, worker, arena_bytes))
            arena_bytes = min(4 * arena_bytes, LARGEST_ARENA)
        with np.load(folder / "results.npz") as arrays:
            return [arrays[key] for key in arrays.files], worker.stderr


def litert_results(file: File, feeds: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs from LiteRT's reference kernels, as arrays of shape (samples, *tensor)."""
    litert = optional("ai_edge_litert.interpreter")
    content, kernels = bytes(file.content), litert.OpResolverType
    try:
        try:
            interpreter = litert.Interpreter(model_content=content, experimental_op_resolver_type=kernels.BUILTIN_REF)
        except ValueError as error:
            if not _NO_KERNEL.search(str(error)):
                raise
            # Some operators (ELU) are only in the set of optimised kernels.
            interpreter = litert.Interpreter(
                model_content=content, experimental_op_resolver_type=kernels.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            )
        interpreter.allocate_tensors()
        sources = [detail["index"] for detail in interpreter.get_input_details()]
        sinks = [detail["index"] for detail in interpreter.get_output_details()]
        results: list[list[np.ndarray]] = [[] for _ in file.graph.outputs]
        for sample in range(len(feeds[0])):
            interpreter.reset_all_variables()
            for index, feed in zip(sources, feeds, strict=True):
                interpreter.set_tensor(index, feed[sample])
            interpreter.invoke()
            for index, result in zip(sinks, results, strict=True):
                result.append(interpreter.get_tensor(index))
    except (RuntimeError, ValueError) as error:
        raise DeploymentError(f"LiteRT refused the file: {error}") from error
    return [np.stack(result) for result in results]


def require_feedable(graph: Graph) -> None:
    """Refuse a file that nothing can be fed to, sample by sample.

    Args:
        graph: what the file declares.

    Raises:
        DeploymentError: if it has no inputs or outputs, or an input of another type than numbers or another batch size
            than 1.
    """
    if not graph.inputs or not graph.outputs:
        raise DeploymentError(
            f"The file has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs; expected at least one of each. "
            "Make the file with keras_pit.to_tflite."
        )
    for index, tensor in enumerate(graph.inputs):
        where = f"Input {index} ({tensor.label}) of the file"
        if tensor.dtype not in NUMBERS:
            raise DeploymentError(f"{where} holds {tensor.dtype}; expected numbers. Convert the model without it.")
        if tensor.shape[:1] != (1,) or 0 in tensor.shape:
            raise DeploymentError(
                f"{where} has shape {tensor.shape}; expected batch size 1 in front, and no empty axes. Make the file "
                "with keras_pit.to_tflite."
            )


def prepare(graph: Graph, inputs: np.ndarray | Sequence[np.ndarray]) -> list[np.ndarray]:
    """The inputs in the number types of the file, checked, of shape (samples, *tensor)."""
    require_feedable(graph)
    arrays = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    if len(arrays) != len(graph.inputs):
        raise ValueError(
            f"The file has {len(graph.inputs)} inputs ({', '.join(tensor.label for tensor in graph.inputs)}); received "
            f"{len(arrays)} arrays. Pass a list with one array per input, in this order."
        )
    prepared = [
        _as_input(tensor, np.asarray(array), f"Input {index} ({tensor.label})")
        for index, (tensor, array) in enumerate(zip(graph.inputs, arrays, strict=True))
    ]
    counts = [len(array) for array in prepared]
    if min(counts) == 0 or min(counts) != max(counts):
        raise ValueError(
            f"Expected the same number of samples, at least one, for every input; received {counts}. Cut the arrays to "
            "equal length."
        )
    return [array[:, None] for array in prepared]


def _as_input(tensor: TensorInfo, array: np.ndarray, where: str) -> np.ndarray:
    sample = tensor.shape[1:]
    # A sequence (T, C) is a map (1, T, C) in the file.
    if array.ndim == 0 or _without_ones(array.shape[1:]) != _without_ones(sample):
        single = _without_ones(array.shape) == _without_ones(sample)
        cure = "Add the batch axis: x[None]." if single else "Pass the data that the model was made for."
        raise ValueError(f"{where} expects an array of shape {('samples', *sample)}; received {array.shape}. {cure}")
    array = array.reshape(-1, *sample)
    if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
        raise ValueError(f"{where} expects finite values; received NaN or infinite ones. Clean the data.")
    if array.dtype == tensor.dtype:
        return array
    # Unsigned integers, as of pixels, are real values, too: those of files are signed.
    if tensor.quantized and array.dtype.kind in "fu":
        return tensor.quantize(array)
    if not tensor.quantized and np.can_cast(array.dtype, tensor.dtype, "same_kind"):
        return array.astype(tensor.dtype)
    real = "real values as floats or " if tensor.quantized else ""
    raise ValueError(
        f"{where} expects {real}values of type {tensor.dtype}; received type {array.dtype}. Convert them with "
        f"x.astype({'float32' if tensor.quantized else tensor.dtype!r})."
    )


def _without_ones(shape: tuple[int, ...]) -> list[int]:
    return [size for size in shape if size != 1]


def _finish(graph: Graph, raw: list[np.ndarray]) -> Run:
    """Outputs of shape (samples, *tensor) without the tensor's batch axis."""
    outputs = tuple(array[:, 0] if array.ndim > 1 and array.shape[1] == 1 else array for array in raw)
    return Run(outputs, tuple(t.dequantize(a) for t, a in zip(graph.outputs, outputs, strict=True)))


def _refusal(graph: Graph, worker: subprocess.CompletedProcess[str], arena_bytes: int) -> str:
    said = worker.stderr.strip() or "(nothing)"
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
    elif worker.returncode < 0:
        reason = f"TFLite-Micro crashed with {signal.Signals(-worker.returncode).name} (arena {arena_bytes} bytes)."
    else:
        reason = f"TFLite-Micro refused the file (arena {arena_bytes} bytes)."
    return f"{reason} It printed:\n{said}"
