"""Kernels that compute each element by itself, and what they take for an operand that is smaller than the result."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from ..call import Call
from ..sizes import Scalar, floor_div, is_number, leftover
from .path import Count, Loops, Path


def elementwise(name: str) -> Count:
    """So many instructions an element, whatever the shape."""

    def count(call: Call, core: str) -> list[Path]:
        return [Path(name, {"call": 1, "element": call.result.elements})]

    return count


def vectorised(name: str) -> Count:
    """Of two operands: in vectors or fours where they have one shape, else row by row."""

    def count(call: Call, core: str) -> list[Path]:
        elements = call.result.elements
        if call.source.dtype == "int16":
            return [Path(f"{name}_16", {"call": 1, "element": elements})]
        is_broadcast = name != "add" and _is_broadcast(call)
        rest = leftover(elements, 16 if core == "cortex-m55" else 4)
        alike = {"call": 1, "element": elements, "rest": rest, "broadcast": 0, "row": 0}
        if is_broadcast is False:
            return [Path(name, alike)]
        return [Path(name, _by_rows(name, call, core), is_broadcast), Path(name, alike)]

    return count


def _by_rows(name: str, call: Call, core: str) -> Loops:
    elements = call.result.elements
    inner = call.result.shape[-1] if call.result.shape else 1
    rows = elements / inner
    if name == "maximum" and core == "cortex-m55":
        return _broadcast(rows * floor_div(inner + 15, 16), rows)
    if name == "sub":  # few of these were measured; of products, a row takes as long as so much of an element
        return _broadcast(elements + rows * (0.5 if core == "cortex-m0+" else 1), 0)
    return _broadcast(elements, rows)


def _broadcast(elements: Scalar, rows: Scalar) -> Loops:
    return {"call": 1, "element": 0, "rest": 0, "broadcast": elements, "row": rows}


def has_smaller_operand(call: Call) -> Any:
    """Whether an operand has less elements than the result: True or False, of soft sizes a tensor."""
    sizes = [tensor.elements for tensor in call.inputs if tensor is not None]
    return reduce(lambda one, two: one | two, (size < call.result.elements for size in sizes))


def _is_broadcast(call: Call) -> Any:
    """The same, without sizes where the shapes tell: what is searched in both operands has as many."""
    tensors = [tensor for tensor in (*call.inputs, call.result) if tensor is not None]
    if all(is_number(tensor.elements) for tensor in tensors):
        return len({tensor.elements for tensor in tensors}) > 1
    rank = max(len(tensor.shape) for tensor in tensors)
    aligned = [(1,) * (rank - len(tensor.shape)) + tuple(tensor.shape) for tensor in tensors]
    known = [_differ(along) for along in zip(*aligned, strict=True)]
    if any(differ is True for differ in known):
        return True
    return has_smaller_operand(call) if None in known else False


def _differ(sizes: Sequence[Scalar]) -> bool | None:
    """Whether sizes along an axis are not the same; None where a search decides, whether more than one is left."""
    known = {float(size) for size in sizes if is_number(size)}
    if known == {1.0} and not all(map(is_number, sizes)):
        return None
    return len(known) > 1


def prelu(call: Call, core: str) -> list[Path]:
    """One run after the other of as many elements as there are slopes."""
    slopes = call.inputs[1]
    elements = call.result.elements
    runs = elements / slopes.elements if slopes is not None else 1
    return [Path("prelu", {"call": 1, "element": elements, "run": runs})]


def softmax(call: Call, core: str) -> list[Path]:
    """Row by row: the sum of exponentials, then each over it."""
    elements = call.result.elements
    name = "softmax_16" if call.source.dtype == "int16" else "softmax"
    return [Path(name, {"call": 1, "row": elements / call.result.shape[-1], "element": elements})]
