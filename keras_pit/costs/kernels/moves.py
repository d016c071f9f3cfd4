"""Kernels that move elements: some by `memcpy`, some one by one."""

from __future__ import annotations

from ..call import Call
from ..sizes import Scalar, floor_div, leftover, product
from .path import Path, copied, copies, outer, together, where


def concatenation(call: Call, core: str) -> list[Path]:
    """Each input's run from the axis on, one after the other."""
    shape = call.result.shape
    axis = (call.op.axis if call.op.axis is not None else -1) % len(shape)
    times, before = outer(shape, axis), 0
    total, is_one_run = product(shape[axis:]), product(shape[1:axis]) <= 1
    parts = [{"call": 1, "input": len(call.inputs)}]
    for tensor in call.inputs:
        size: Scalar = product(tensor.shape[axis:]) if tensor is not None else 0
        whole = leftover(before, 4) <= 0
        if is_one_run is not True:
            whole = whole & (is_one_run | ((leftover(size, 4) <= 0) & (leftover(total, 4) <= 0)))
        parts.append(copies(times, size, core, whole))
        before = before + size
    return [Path("concatenation", together(*parts))]


def split(call: Call, core: str) -> list[Path]:
    """Each result's run from the axis on, byte by byte."""
    axis = (call.op.axis or 0) % len(call.result.shape)
    times = outer(call.result.shape, axis) * len(call.outputs)
    elements = call.result.elements * len(call.outputs)
    return [Path("split", {"call": 1, "run": times, "byte": elements})]


def slices(call: Call, core: str) -> list[Path]:
    """Row by row, byte by byte."""
    shape = call.result.shape
    planes = outer(shape, len(shape) - 2)
    return [Path("slice", {"call": 1, "plane": planes, "row": outer(shape, len(shape) - 1), "byte": call.result.bytes})]


def strided_slices(call: Call, core: str) -> list[Path]:
    """Row by row by `memcpy`; element by element where there are steps along the last axis."""
    shape, read = call.result.shape or (1,), call.source.shape
    rows = outer(shape, len(shape) - 1)
    planes = outer(shape, len(shape) - 2) if len(shape) > 1 else 1
    if call.op.strides and call.op.strides[-1] != 1:
        loops = {"call": 1, "plane": planes, "row": rows, "element": call.result.elements}
        return [Path("strided_slice_steps", loops)]
    aligned = (leftover(shape[-1], 4) <= 0) & (leftover(read[-1], 4) <= 0)
    return [Path("strided_slice", together({"call": 1, "plane": planes}, copies(rows, shape[-1], core, aligned)))]


def resize_nearest(call: Call, core: str) -> list[Path]:
    """At each position, a copy of all its channels; what comes before is most of what RESIZE_BILINEAR takes, too."""
    _, rows, columns, channels = call.result.shape
    positions = rows * columns
    part = copies(positions, channels, core, leftover(channels, 4) <= 0)
    # Without a floating-point unit, a place between integers takes longer.
    upwards = rows * columns > call.source.shape[1] * call.source.shape[2]
    between = where(upwards, positions) if call.op.half_pixel and core != "cortex-m55" else 0
    return [Path("resize_nearest", {"resize_bilinear/call": 0.84, "between": between} | part)]


def resize_bilinear(call: Call, core: str) -> list[Path]:
    """At each position, the mean of four others."""
    _, rows, columns, _ = call.result.shape
    return [Path("resize_bilinear", {"call": 1, "position": rows * columns, "element": call.result.elements})]


def transpose(call: Call, core: str) -> list[Path]:
    """Row by row of the input, element by element; Helium gathers columns where the first two axes stay."""
    shape = call.source.shape
    planes, rows = outer(shape, len(shape) - 2), outer(shape, len(shape) - 1)
    loops = {"call": 1, "plane": planes, "row": rows, "element": call.result.elements}
    general = Path("transpose", loops)
    if core != "cortex-m55" or len(shape) != 4 or call.op.permutation[:2] != (0, 1):
        return [general]
    columns = planes * shape[3]
    steps = columns + columns * floor_div(shape[2] + 7, 8)
    return [Path("transpose_columns", {"call": 1, "step": steps})]


def pad(call: Call, core: str) -> list[Path]:
    """Row by row: what is added before and behind it, and the row."""
    kept = call.source.elements
    loops = {"call": 1, "row": product(call.result.shape[:2]), "kept": kept, "added": call.result.elements - kept}
    return [Path("pad", loops)]


def reshape(call: Call, core: str) -> list[Path]:
    """A copy."""
    return [Path("reshape", {"call": 1} | copied(1, call.result.bytes))]


def circular_buffer(call: Call, core: str) -> list[Path]:
    """All slots but one move, by words where a slot is whole words, and a new one is appended."""
    shape = call.result.shape
    slot = product(shape[2:])
    loops = {"call": 1, "moved": (shape[1] - 1) * slot}
    words = leftover(slot, 4) <= 0
    return [
        Path("circular_buffer", together(loops, copies(1, slot, core)), words),
        Path("circular_buffer_bytes", together(loops, copies(1, slot, core, False))),
    ]
