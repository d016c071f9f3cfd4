"""A file taken apart, and each of its operators judged alone.

Two runtimes round differently in places, and behind several of these one step grows to more (five Dense layers, 16-bit
activations), with no fault anywhere. So the file is cut apart into operators with inputs and outputs of their own, and
LiteRT's reference kernels are given what TFLite-Micro's operators were given:

    x -> CONV_2D -> y -> MEAN -> z     becomes     x -> CONV_2D -> y,  y' -> MEAN -> z

What has to be equal, and how far apart it may be, is the same for operators and for whole files.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import DeploymentError
from .feeds import prepare
from .file_graph import TensorInfo
from .flatbuffer import File
from .packing import repack
from .runtimes import litert_results, micro_results

FLOAT_TOLERANCE = 1e-5


def distances(tensor: TensorInfo, micro: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Element by element: steps for integers, parts of the largest value for floats."""
    if tensor.floating:
        scale = float(np.max(np.abs(reference), initial=0.0)) or 1.0
        return np.asarray(np.abs(micro.astype(np.float64) - reference) / scale)
    return np.asarray(np.abs(micro.astype(np.int64) - reference.astype(np.int64)))


def tolerance(tensor: TensorInfo) -> float:
    """How far apart two results may be."""
    if tensor.floating:
        return FLOAT_TOLERANCE
    return 1.0 if tensor.quantized else 0.0


def too_far(tensor: TensorInfo, distance: np.ndarray) -> bool:
    """Whether any element is further away than that."""
    return not bool((distance <= tolerance(tensor)).all())  # NaN is too far, too


def verify_operators(file: File, arrays: Sequence[np.ndarray], outputs: Sequence[np.ndarray], timeout: float) -> None:
    """Compare each operator on the inputs that TFLite-Micro gave it.

    Args:
        file: a file that both runtimes take.
        arrays: its inputs, one array of shape (samples, *input) each.
        outputs: what TFLite-Micro made of them, in the file's number type.
        timeout: limit for each of the two, in seconds.

    Raises:
        DeploymentError: if an operator is too far from LiteRT's reference kernel, named with what it computes; or if
            TFLite-Micro computes something else when its tensors do not share memory.
    """
    graph, parts = file.graph, _cut_apart(file)
    numbers = sorted({*parts.sources, *parts.sinks, *parts.outputs})
    results, _ = micro_results(file, prepare(graph, arrays), tensors=numbers, timeout=timeout)
    micro = dict(zip(numbers, results, strict=True))
    # Keeping all tensors must not change a result, or reading them would prove nothing.
    for tensor, number, output in zip(graph.outputs, parts.outputs, outputs, strict=True):
        if not np.array_equal(micro[number].reshape(output.shape), output):
            raise DeploymentError(
                f"TFLite-Micro computes {tensor.label} differently when its tensors share memory; expected the same "
                "values. Do not ship this file, and report it."
            )
    cut = parts.file.graph
    reference = litert_results(parts.file, [micro[number] for number in parts.sources], timeout=timeout)
    made = [(op, tensor) for op in cut.ops for tensor in op.outputs]
    for (op, tensor), sink, expected in zip(made, parts.sinks, reference, strict=True):
        where = f"TFLite-Micro misreads the file at {op.name} ({cut.place(op)})"
        advice = "Do not ship this file; replace the layer that makes this operator, and report it."
        if micro[sink].shape != expected.shape:
            raise DeploymentError(
                f"{where}: its output has the shape {micro[sink].shape[1:]}, expected {expected.shape[1:]} as from "
                f"LiteRT's reference kernels. {advice}"
            )
        distance = distances(tensor, micro[sink], expected)
        if too_far(tensor, distance):
            within = (distance <= tolerance(tensor)).reshape(len(distance), -1)
            wrong = np.flatnonzero(~np.asarray(within.all(axis=1)))
            unit = "of the largest value" if tensor.floating else "steps"
            raise DeploymentError(
                f"{where}: on {len(wrong)} of {len(distance)} samples, first on sample {wrong[0]}, it is up to "
                f"{distance.max():g} {unit} from LiteRT's reference kernel; expected at most {tolerance(tensor):g}. "
                f"{advice}"
            )


@dataclass(frozen=True)
class _Parts:
    """A file cut apart, and tensors of the whole, by number.

    Its inputs stand for `sources`, its outputs for `sinks`; `outputs` are those of the whole.
    """

    file: File
    sources: tuple[int, ...]
    sinks: tuple[int, ...]
    outputs: tuple[int, ...]


def _cut_apart(file: File) -> _Parts:
    """The file with every operator on its own, fed by inputs and read by outputs."""
    model = copy.deepcopy(file.tree)
    subgraph = model.subgraphs[0]
    outputs = tuple(int(number) for number in subgraph.outputs)
    computed = {int(number) for number in subgraph.inputs}
    computed |= {int(number) for op in subgraph.operators for number in op.outputs}
    sources: list[int] = []
    feeds: list[int] = []
    for op in subgraph.operators:
        op.inputs = np.array(op.inputs)
        for position, number in enumerate(op.inputs):
            if int(number) in computed:
                sources.append(int(number))
                feeds.append(len(subgraph.tensors))
                subgraph.tensors.append(copy.copy(subgraph.tensors[number]))
                op.inputs[position] = feeds[-1]
    sinks = [int(number) for op in subgraph.operators for number in op.outputs]
    subgraph.inputs = np.array(feeds, np.int32)
    subgraph.outputs = np.array(sinks, np.int32)
    model.signatureDefs = None
    return _Parts(repack(model), tuple(sources), tuple(sinks), outputs)
