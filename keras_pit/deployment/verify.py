"""The proof that a .tflite file computes on TFLite-Micro what it means.

TFLite-Micro reports no error where it misreads a file, so its outputs are compared, element by element, with those of
LiteRT's reference kernels on the same samples. Integers may be one step apart, as the two round differently in places,
floats 1e-5 of the largest value.

Where they are further apart, each operator is judged alone (`dissect.py`).

Two faults are found without running anything: a dimension left open (TFLite-Micro takes it for 1 and, behind a dilated
convolution, computes garbage), and a float between the integers (slow, and often without a kernel).

That both agree on a file does not make it the network: `require_close` compares the integers with the floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import checks
from ..errors import DeploymentError, FarOff
from .dissect import distances, too_far, verify_operators
from .file_graph import BRIDGES, Graph
from .flatbuffer import File
from .runtimes import MicroRun, litert_run, micro_run

LIMIT = 32
SPREAD_TOLERANCE = 0.5
RANGE_TOLERANCE = 8 / 256
FIXED_SCALES = (1 / 256, 1 / 128, 1 / 32768)
"""Of softmax, sigmoid and tanh, whatever their values are."""


@dataclass(frozen=True)
class Verification:
    """What was compared: output elements in all, the unequal ones, how far apart they are.

    `largest` is in steps for integers and in units of the largest value for floats; it can be beyond the limit where
    each operator alone is within. `arena_bytes` is the arena used.
    """

    samples: int
    elements: int
    different: int
    largest: float
    arena_bytes: int


def verify(
    tflite: bytes,
    samples: np.ndarray | Sequence[np.ndarray],
    *,
    limit: int = LIMIT,
    timeout: float = 300.0,
) -> Verification:
    """Check that TFLite-Micro computes with a file what LiteRT's reference kernels compute.

    Args:
        tflite: the content of a .tflite file with batch size 1.
        samples: array of shape (samples, *input), or a list with one array per input; real values as floats, or
            integers of the input's own type.
        limit: the number of samples to run; of more, these are picked at even distances.
        timeout: limit for each runtime, in seconds.

    Returns:
        A `Verification`: how much was compared, and how far apart it is.

    Raises:
        DeploymentError: if any element differs by more than one step (integers) or 1e-5 of the largest value (floats),
            in the outputs and then also in those of an operator alone; if a dimension of the file is open; or if a
            runtime refuses the file.
        ValueError: if samples and file do not fit.
        ImportError: if tflite_micro or ai_edge_litert is not installed.

    Example:

        verify(tflite, x_test).different  # 0
    """
    parts = samples if isinstance(samples, (list, tuple)) else [samples]
    limit, timeout = checks.whole(limit, "`limit`", least=1), checks.number(timeout, "`timeout`", positive=True)
    return verified_run(File.of(tflite), [spread(np.asarray(part), limit) for part in parts], timeout)[0]


def verified_run(file: File, arrays: list[np.ndarray], timeout: float = 300.0) -> tuple[Verification, MicroRun]:
    """What `verify` returns for all of these samples, and what TFLite-Micro computed."""
    outputs = file.graph.outputs
    require_static(file.graph)
    micro = micro_run(file, arrays, timeout)
    reference = litert_run(file, arrays, timeout)
    for tensor, one, other in zip(outputs, micro.outputs, reference.outputs, strict=True):
        if one.shape != other.shape:
            raise DeploymentError(
                f"TFLite-Micro makes {tensor.label} of shape {one.shape[1:]}, LiteRT of {other.shape[1:]}: the shapes "
                "in the file are not those of its operators, and TFLite-Micro believes them. Make the file with "
                "keras_pit.to_tflite."
            )
    compared = list(map(distances, outputs, micro.outputs, reference.outputs))
    if any(map(too_far, outputs, compared)):
        verify_operators(file, arrays, micro.outputs, timeout)
    verification = Verification(
        samples=len(arrays[0]),
        elements=sum(distance.size for distance in compared),
        different=sum(int(np.count_nonzero(distance)) for distance in compared),
        largest=max(float(np.max(distance, initial=0.0)) for distance in compared),
        arena_bytes=micro.arena_bytes,
    )
    return verification, micro


def require_close(graph: Graph, results: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> None:
    """Refuse a quantised file whose outputs have little to do with those of the network in floats.

    Rounding costs some percent of the outputs' spread (their standard deviation over elements and samples). An output
    without information is as far away as the whole of it.

    Args:
        graph: what the file declares.
        results: its outputs as real values, one array of shape (samples, *output) per output.
        expected: those of the network in floats, of the same shapes.

    Raises:
        FarOff: if the error (root mean square) of an output is above half of the spread, and above 8 steps of
            256 over the range of the outputs from 0, as one that hardly varies loses its spread in any case.

    Example:

        require_close(read_graph(tflite), run_tflite_micro(tflite, x).dequantized, [model.predict(x)])
    """
    for number, (tensor, result, floats) in enumerate(zip(graph.outputs, results, expected, strict=True)):
        if not tensor.quantized:
            continue
        wanted = np.asarray(floats, np.float64)
        error = float(np.sqrt(np.mean(np.square(result.reshape(wanted.shape) - wanted))))
        deviation = float(np.std(wanted))
        # Not the file's own step where that comes from calibration: too wide a range is a fault to be found.
        width = (
            1.0 if tensor.scale in FIXED_SCALES else float(np.max(wanted, initial=0.0) - np.min(wanted, initial=0.0))
        )
        if not error <= max(SPREAD_TOLERANCE * deviation, RANGE_TOLERANCE * width):  # NaN is too far, too
            share = f", which is {error / deviation:.0%} of their spread" if deviation else ""
            raise FarOff(
                f"The quantised network is not the float one: on {len(wanted)} calibration samples, output {number} is "
                f"{error:.3g} off{share} (root mean square; the standard deviation of the float outputs is "
                f"{deviation:.3g}); expected at most {SPREAD_TOLERANCE:.0%} of it. Likely causes: calibration data "
                "that is not scaled as the model's inputs are, too few samples, or a few extreme weights. Pass typical "
                f"inputs as the model sees them in use, or train with keras_pit.quantize_aware; verify=False "
                "gives the file anyway."
            )


def require_static(graph: Graph) -> None:
    """Refuse a file with an open dimension.

    Args:
        graph: what the file declares.

    Raises:
        DeploymentError: if any tensor has one.

    Example:

        require_static(read_graph(tflite))
    """
    names = [tensor.label for tensor in graph.tensors if tensor.open]
    if names:
        raise DeploymentError(
            f"The file leaves a dimension open in {len(names)} tensors ({_listed(names)}); expected fixed shapes with "
            "batch size 1, as TFLite-Micro ignores shape signatures and would compute wrong results without an error. "
            "Make the file with keras_pit.to_tflite, or let keras_pit.deploy fix an open batch."
        )


def require_integer(graph: Graph) -> None:
    """Refuse a quantised file that still computes with floats.

    Args:
        graph: what the file declares.

    Raises:
        DeploymentError: if any operator reads or makes floats, named with what it computes.

    Example:

        require_integer(read_graph(tflite))
    """
    floating = [op for op in graph.ops if any(t.floating for t in (*op.inputs, *op.outputs))]
    culprits = [op for op in floating if op.name not in BRIDGES] or floating
    if culprits:
        found = [f"{op.name} ({graph.place(op)})" for op in culprits]
        raise DeploymentError(
            f"The quantised file computes with floats: {_listed(found)}; expected integers only. There is no integer "
            "kernel for these: replace the layer, make what it does to each element an activation (any is a table in 8 "
            "bits), or convert with quantization=None."
        )


def _listed(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def spread(array: np.ndarray, limit: int) -> np.ndarray:
    """Of more samples than `limit`, so many at even distances."""
    if array.ndim == 0 or len(array) <= limit:
        return array
    return np.asarray(array[np.linspace(0, len(array) - 1, limit).round().astype(int)])
