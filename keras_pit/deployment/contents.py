"""Whether the parts of a .tflite file agree with each other: what the layout of its bytes does not tell.

    operator -> its code, its tensors        numbers below the number of codes, of tensors; none is made twice
    tensor   -> its buffer, shape, scales    as many bytes as the shape says, sizes from 0 on, within the limits

What a file leaves out altogether is made an empty list, so that nobody else needs to ask.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..costs.operators import BYTES
from .limits import LIMITS, beyond, damaged
from .schema import type_name


def complete(tree: Any) -> None:
    """Give a tree the lists that its file leaves out.

    Args:
        tree: a `ModelT`, which is changed.
    """
    _fill(tree, list, "operatorCodes", "subgraphs", "buffers")
    for subgraph in tree.subgraphs:
        _fill(subgraph, list, "tensors", "operators")
        for one in (subgraph, *subgraph.operators):
            _fill(one, lambda: np.zeros(0, np.int32), "inputs", "outputs")


def _fill(part: Any, make: Any, *names: str) -> None:
    for name in names:
        if getattr(part, name) is None:
            setattr(part, name, make())


def check(tree: Any) -> None:
    """Refuse a file whose parts do not agree, or that declares too much.

    Args:
        tree: a complete `ModelT`.

    Raises:
        DeploymentError: names the part.
    """
    if not tree.subgraphs:
        raise damaged("it has no subgraph")
    if any(buffer.offset > 1 for buffer in tree.buffers):
        raise damaged("it keeps constants outside of the flatbuffer, as only files beyond 2 GB do")
    total = 0
    for number, subgraph in enumerate(tree.subgraphs):
        where = f"subgraph {number}"
        count = len(subgraph.tensors)
        _check_numbers(subgraph, f"{where}: its list", 0, count)
        for index, tensor in enumerate(subgraph.tensors):
            total += _check_tensor(tensor, tree.buffers, f"{where}, tensor {index}")
        for index, op in enumerate(subgraph.operators):
            place = f"{where}, operator {index}"
            if op.opcodeIndex >= len(tree.operatorCodes):
                raise damaged(f"{place} has the code {op.opcodeIndex} of {len(tree.operatorCodes)}")
            _check_numbers(op, place, -1, count)
        _check_order(subgraph, where)
    if total > LIMITS.total * LIMITS.elements:
        raise beyond(f"its tensors have {total:,} elements together", LIMITS.total * LIMITS.elements)


def _check_numbers(one: Any, where: str, least: int, count: int) -> None:
    """Inputs may be left out, which is written as -1, and so may what an operator computes on its way."""
    between = getattr(one, "intermediates", None)
    for kind, numbers, lowest in (("inputs", one.inputs, least), ("outputs", one.outputs, 0), ("others", between, -1)):
        if numbers is not None and len(numbers) and not (lowest <= numbers.min() and numbers.max() < count):
            raise damaged(f"{where} of {kind} names a tensor that is not there ({numbers.tolist()[:8]} of {count})")


def _check_order(subgraph: Any, where: str) -> None:
    """Each tensor is made once, and then read: whoever follows operators from one to the next comes to an end."""
    settled = set(subgraph.inputs.tolist())
    for index, op in enumerate(subgraph.operators):
        settled.update(op.inputs.tolist())
        made = op.outputs.tolist()
        if not settled.isdisjoint(made) or len(set(made)) < len(made):
            raise damaged(f"{where}, operator {index} makes tensors that are there before ({made[:8]})")
        settled.update(made)


def _check_tensor(tensor: Any, buffers: list[Any], where: str) -> int:
    """The number of elements that it takes at run time."""
    shape = [] if tensor.shape is None else tensor.shape.tolist()
    if len(shape) > LIMITS.rank:
        raise beyond(f"{where} has {len(shape)} dimensions", LIMITS.rank)
    if any(size < 0 for size in shape):
        raise damaged(f"{where} has the shape {tuple(shape)}")
    if tensor.buffer >= len(buffers):
        raise damaged(f"{where} has the buffer {tensor.buffer} of {len(buffers)}")
    elements, data, dtype = math.prod(shape), buffers[tensor.buffer].data, type_name(tensor.type)
    constant = data is not None and len(data) > 0 and dtype in BYTES and tensor.sparsity is None
    if constant and len(data) < elements * BYTES[dtype]:
        raise damaged(f"{where} of {elements:,} {dtype} has {len(data):,} bytes")
    if not constant and elements > LIMITS.elements:
        raise beyond(f"{where} has {elements:,} elements ({'x'.join(map(str, shape))})", LIMITS.elements)
    record = tensor.quantization
    if record is not None and record.scale is not None and not (np.isfinite(record.scale) & (record.scale >= 0)).all():
        raise damaged(f"{where} has a scale that is not a number from 0 on")
    return 0 if constant else elements
