"""Ranges that hold nothing: the real cause of files that fail.

Some tensors are (almost) always 0, so that the range of their integers is (almost) empty: behind an all-zero layer, a
batch normalization with gamma 0, in an untrained network, with inputs of 1e-12. The converter gives 8 bits no range
below 2e-6. Mostly such a file still runs, and computes the zeros that it should; a new network often has such layers.
But kernels that divide by the range end the process, and what is lost in a range of 2e-6 is missed elsewhere.
`require_ranges` refuses the first without running anything; `blame` names the tensor where the second is found.

And an input has one scale for all of its channels: beside one of 100,000, one of 0.01 is lost. `unequal` names those.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..errors import DeploymentError
from .file_graph import Graph, OpInfo, TensorInfo

NARROWEST = 2.1e-6
_MOST = 5
_STEPS = {"int8": 255, "int16": 65535}
_CURE = (
    "The weights of the layer that makes it (or a batch normalization's gamma) are almost 0, or the network is not "
    "trained, or its inputs are almost 0. Train it, take the layer out, or calibrate with inputs as they are in use; "
    "quantization=None gives a float file."
)


def require_ranges(graph: Graph) -> None:
    """Refuse a file with a range that ends the process of its kernel.

    Args:
        graph: what the file declares, with the names of its tensors.

    Raises:
        DeploymentError: names the tensor and its operator.
    """
    for op in graph.ops:
        for tensor in _KERNELS.get(op.name, _none)(op):
            raise DeploymentError(
                f"{_described(_first_empty(graph) or tensor)}: too narrow for the kernel of {op.name} "
                f"({graph.place(op)}), which would end the program; expected a range that numbers differ in. {_CURE}"
            )


def blame(graph: Graph) -> str | None:
    """What to say of the first tensor of a failing file whose range is (almost) empty; None if there is none."""
    found = _first_empty(graph)
    return f"{_described(found)}; expected one that numbers differ in. {_CURE}" if found else None


def unequal(graph: Graph, feeds: Sequence[np.ndarray]) -> str | None:
    """What to say of the first input of a failing file with channels that its one step swallows; None without any.

    Args:
        graph: what the file declares.
        feeds: the calibration data, an array of shape (samples, *input) for each input.
    """
    for tensor, feed in zip(graph.inputs, feeds, strict=True):
        if not tensor.quantized or feed.ndim < 2 or feed.shape[-1] < 2:
            continue
        spreads = np.std(feed.reshape(-1, feed.shape[-1]).astype(np.float64), axis=0)
        lost = np.flatnonzero((spreads > 0) & (spreads < tensor.scale))
        if not lost.size:
            continue
        shown = ", ".join(f"{channel} ({spreads[channel]:.2g})" for channel in lost[:_MOST])
        return (
            f"Input {tensor.label} has one scale for all of its channels, with steps of {tensor.scale:.2g}; channels "
            f"{shown}{' and others' * (lost.size > _MOST)} vary by less than one (their standard deviations are in "
            "brackets), so nothing is left of them. Bring all channels to one range in front of the model, as a "
            "Normalization layer does, which is then not part of it."
        )
    return None


def _first_empty(graph: Graph) -> TensorInfo | None:
    made = (tensor for op in graph.ops for tensor in op.outputs)
    return next((tensor for tensor in (*graph.inputs, *made) if 0 < _range(tensor) <= NARROWEST), None)


def _described(tensor: TensorInfo) -> str:
    return (
        f"Tensor {tensor.label} is (almost) 0 on all calibration samples, the range of its integers only "
        f"{_range(tensor):.2g} wide"
    )


def _range(tensor: TensorInfo) -> float:
    return tensor.scale * _STEPS.get(tensor.dtype, 0)


def _sum(op: OpInfo) -> list[TensorInfo]:
    """Operands are added with 20 bits below their step, or 15; the result's step must not be finer."""
    (result,) = op.outputs
    bits = {"int8": 20, "int16": 15}.get(result.dtype)
    if bits is None or not all(tensor.quantized for tensor in (*op.inputs, result)):
        return []
    return [result] if 2 * max(tensor.scale for tensor in op.inputs) >= result.scale * 2**bits else []


def _softmax(op: OpInfo) -> list[TensorInfo]:
    """Differences are counted in 2 ** -26."""
    source = op.inputs[0]
    return [source] if source.dtype == "int8" and source.quantized and source.scale * 2**26 <= 1 else []


def _none(op: OpInfo) -> list[TensorInfo]:
    return []


_KERNELS: dict[str, Callable[[OpInfo], list[TensorInfo]]] = {
    **dict.fromkeys(("ADD", "SUB", "SQUARED_DIFFERENCE"), _sum),
    "SOFTMAX": _softmax,
}
"""For each operator, the tensors whose range its kernel does not take."""
