"""What a kernel's time and memory depend on, beside shapes: settings in a .tflite file's options and constants.

SPLIT, axis 3 in a constant        settings("SPLIT", options, [(3,), ()]) -> {"axis": 3}
BATCH_MATMUL with adj_y            settings("BATCH_MATMUL", options, ...) -> {"transposed": (False, True)}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_INT32 = 2
REDUCTIONS = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN")
_MOST = 64
"""Numbers of a constant that are read: more of them are no setting."""


def cycles_max(custom: Any) -> int:
    """The setting of a CIRCULAR_BUFFER, which ends the run in all but every so many steps; 1 if there is none.

    It is the first element of a flexbuffer vector: elements, in typed ones no more, and at the end where the vector
    begins (counted backwards), its type and the width of that number.

    Args:
        custom: the operator's custom options, or None.
    """
    content = b"" if custom is None else bytes(custom)
    width = content[-1] if len(content) > 2 else 0
    if width not in _WIDTHS or content[-2] >> 2 not in _VECTORS:
        return 1
    place = len(content) - 2 - width
    start, each = place - _number(content, place, width), 1 << (content[-2] & 3)
    if start - each < 0 or _number(content, start - each, each) < 1:
        return 1
    return max(_number(content, start, each), 1)


def _number(content: bytes, place: int, width: int) -> int:
    """An unsigned integer of a flexbuffer; 0 where there is none."""
    return int.from_bytes(content[place : place + width], "little") if 0 <= place <= len(content) - width else 0


_WIDTHS = (1, 2, 4, 8)
_VECTORS = (9, 10, 11, 12)
"""Types of flexbuffers with elements: maps, vectors of anything, of integers and of unsigned ones."""


def settings(name: str, options: Any, constants: Sequence[tuple[int, ...]]) -> dict[str, Any]:
    """The settings of an operator, by the fields of `costs.operators.Operator`.

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
        mask = int(getattr(options, "beginMask", 0))
        begin = tuple(0 if mask >> axis & 1 else at for axis, at in enumerate(constants[1]))
        return {"begin": begin, "strides": constants[3]}
    if name == "SLICE" and len(constants) > 1:
        return {"begin": constants[1]}
    if name == "PAD" and len(constants) > 1:
        return {"amounts": tuple(zip(constants[1][::2], constants[1][1::2], strict=False))}
    if name in REDUCTIONS and len(constants) > 1:
        return {"axes": constants[1]}
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


def zero_point(tensor: Any) -> int | None:
    """The zero point of a tensor of the schema, if it has one for all channels."""
    record = tensor.quantization
    if record is None or record.zeroPoint is None or len(record.zeroPoint) != 1:
        return None
    return int(record.zeroPoint[0])
