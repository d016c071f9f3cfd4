"""Depthwise convolutions, pooling and reductions: each channel by itself."""

from __future__ import annotations

from ..call import Call
from ..sizes import divided, floor_div, leftover, product
from .path import Count, Path, taps_inside, where


def depthwise(call: Call, core: str) -> list[Path]:
    """A fast path without dilation and with one output a channel, special ones for 3x3; all else is plain C."""
    (height, width), (top, left) = call.kernel, call.pads
    channels, outputs = call.source.shape[-1], call.result.shape[-1]
    positions, taps = product(call.result.shape[1:3]), height * width
    rows = taps_inside(call, 0, height, call.op.dilation[0])
    inside = rows * taps_inside(call, 1, width, call.op.dilation[1])
    rows = rows * call.result.shape[2]
    if call.source.dtype == "int16":
        return _depthwise_16(call, core)
    special = (height >= 3) & (height <= 3) & (width >= 3) & (width <= 3) & (top <= 1) & (left <= 1)
    fast = not call.op.is_dilated and call.op.multiplier == 1
    plain = {
        "call": 1,
        "position": positions,
        "output": positions * outputs,
        "row": rows * outputs,
        "mac": inside * outputs,
    }
    if not fast:
        return [Path("depthwise_one_channel", plain, channels <= 1), Path("depthwise_plain", plain)]
    if core == "cortex-m55":
        vectors, rest = floor_div(channels + 3, 4), leftover(positions, 4)
        loops = {
            "call": 1,
            "position": positions,
            "copy": positions * taps,
            "copy_vector": positions * taps * floor_div(channels + 15, 16),
            "output_vector": positions * vectors,
            "mac_vector": positions * vectors * taps,
            "rest_output_vector": rest * vectors,
            "rest_mac_vector": rest * vectors * taps,
        }
        return [Path("depthwise", loops)]
    fours, rest = divided(channels, 4)
    loops = {
        "call": 1,
        "position": positions,
        "row": rows,
        "output_4": positions * fours,
        "row_4": rows * fours,
        "macs_4": inside * fours,
        "output_rest": positions * rest,
        "row_rest": rows * rest,
        "macs_rest": inside * rest,
    }
    if core == "cortex-m0+":
        by_four = Path("depthwise", plain, leftover(channels, 4) <= 0)
        return [Path("depthwise_3x3", loops, special), by_four, Path("depthwise_odd", plain)]
    columns = {
        "call": 1,
        "position": positions,
        "row": positions * height,
        "copy": positions * taps,
        "output_4": positions * fours,
        "macs_4": positions * fours * taps,
        "odd_tap_4": positions * fours * leftover(taps, 2),
        "output_rest": positions * rest,
        "macs_rest": positions * rest * taps,
    }
    return [Path("depthwise_3x3", loops, special), Path("depthwise", columns)]


def _depthwise_16(call: Call, core: str) -> list[Path]:
    (height, width), positions = call.kernel, product(call.result.shape[1:3])
    outputs, taps = call.result.shape[-1], height * width
    fast = not call.op.is_dilated and call.op.multiplier == 1 and core != "cortex-m0+"
    made = positions * outputs
    loops = {"call": 1, "position": positions, "output": made, "mac": made * taps}
    return [Path("depthwise_16" if fast else "depthwise_16_plain", loops)]


def average_pool(call: Call, core: str) -> list[Path]:
    """Sums over windows, by channels."""
    return _pool("average_pool", call, core)


def max_pool(call: Call, core: str) -> list[Path]:
    """The largest in windows, by channels; on cores without Helium four channels at a time."""
    return _pool("max_pool", call, core)


def _pool(name: str, call: Call, core: str) -> list[Path]:
    (height, width), channels = call.op.window, call.result.shape[-1]
    positions = product(call.result.shape[1:3])
    tall = taps_inside(call, 0, height)
    taps, rows = tall * taps_inside(call, 1, width), tall * call.result.shape[2]
    loops = {"call": 1, "position": positions, "output": positions * channels}
    wide = call.source.dtype == "int16"
    name = f"{name}_16" * wide or name
    if core == "cortex-m55":
        lanes = 8 if wide else 16
        vectors = floor_div(channels + lanes - 1, lanes)
        partial = where(leftover(channels, lanes) > 0, taps)
        loops |= {
            "vector": positions * vectors,
            "tap": taps,
            "row": rows,
            "row_vector": rows * vectors,
            "tap_vector": taps * vectors,
            "tap_partial": partial,
        }
    elif name.startswith("average"):
        loops |= {"row": rows, "tap": taps, "element": taps * channels, "row_output": rows * channels}
    else:
        fours, rest = divided(channels, 4)
        loops |= {"row": rows, "tap": taps, "element_4": taps * fours, "element_rest": taps * rest}
    return [Path(name, loops)]


def reduction(name: str) -> Count:
    """One element after the other."""

    def count(call: Call, core: str) -> list[Path]:
        return [Path(name, {"call": 1, "element": call.source.elements, "output": call.result.elements})]

    return count
