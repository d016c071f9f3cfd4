"""What a kernel's time and memory depend on, beside shapes: settings in a .tflite file's options and constants.

SPLIT, axis 3 in a constant        settings("SPLIT", options, [(3,), ()]) -> {"axis": 3}
BATCH_MATMUL with adj_y            settings("BATCH_MATMUL", options, ...) -> {"transposed": (False, True)}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_INT32 = 2
_MOST = 64
"""Numbers of a constant that are read: more of them are no setting."""


def settings(name: str, options: Any, constants: Sequence[tuple[int, ...]]) -> dict[str, Any]:
    """The settings of an operator, by the fields of `costs.program.Operator`.

    Args:
        name: the operator's, in the TFLite schema.
        options: its options, or None; in a damaged file those of another operator.
        constants: the integers of each of its inputs; empty for others.
    """
    if name == "CONCATENATION" and options is not None:
        return {"axis": int(getattr(options, "axis", 0))}
    if name == "SPLIT" and constants and constants[0]:
        return {"axis": constants[0][0]}
    if name == "TRANSPOSE" and len(constants) > 1:
        return {"permutation": constants[1]}
    if name == "STRIDED_SLICE" and len(constants) > 3:
        return {"strides": constants[3]}
    if name == "BATCH_MATMUL" and options is not None:
        return {"transposed": (bool(getattr(options, "adjX", False)), bool(getattr(options, "adjY", False)))}
    if name in ("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR") and options is not None:
        return {"half_pixel": bool(getattr(options, "halfPixelCenters", False))}
    if name == "SVDF" and options is not None:
        return {"rank": int(getattr(options, "rank", 1))}
    return {}


def integers(model: Any, subgraph: Any, number: int) -> tuple[int, ...]:
    """The numbers of a small constant of int32; empty for other tensors, and where there is none (-1)."""
    if number < 0:
        return ()
    tensor = subgraph.tensors[number]
    data = model.buffers[tensor.buffer].data
    if tensor.type != _INT32 or data is None or not 0 < len(data) <= 4 * _MOST or len(data) % 4:
        return ()
    return tuple(np.frombuffer(bytes(data), "<i4").tolist())


def is_centred(tensor: Any) -> bool:
    """Whether a tensor of the schema has one zero point, and that is 0."""
    record = tensor.quantization
    return record is not None and record.zeroPoint is not None and list(record.zeroPoint) == [0]
