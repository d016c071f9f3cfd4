"""What the runtimes are fed with: samples in the number types and shapes of a file's inputs (see `runtimes`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import DeploymentError
from .file_graph import Graph, TensorInfo

NUMBERS = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32")
"""Types of inputs that both runtimes take."""


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
