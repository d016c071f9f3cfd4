"""How long a network takes: instructions of each operator, and milliseconds.

CMSIS-NN runs an operator on one of several paths: a 1x1 convolution copies no input, a dilated depthwise one is plain
C. On a path, the number of instructions is a sum over its loops: so many for a call, for an output, for four MACs.

    CONV_2D, kernel (1, 3), 16 -> 8 channels, 64 positions, on the path "conv":
        620 x call (1) + 46 x output (64 * 8) + 6.5 x macs_4 (64 * 8 * 12) + 37 x copy (64 * 3) + ...

`paths` counts the loops. The factors, in cortex_m.json, are fitted by `benchmarks/cost_models.py --fit` on measured
networks (TFLite-Micro 90b983c with CMSIS-NN 4ab83cc, gcc 12.2). `costs.cores` tells how instructions become time.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, reduce
from typing import Any

from . import cores
from .program import SOURCE, Call, Program, Scalar, choose, floor_div, is_number, larger, leftover, product

COEFFICIENTS = pathlib.Path(__file__).with_name("cortex_m.json")
INVOKE = "invoke"
"""The path of what the interpreter itself takes, once an inference."""

Loops = dict[str, Scalar]


@dataclass(frozen=True)
class Path:
    """A way through CMSIS-NN: how often each of its loops runs. The first path whose condition holds is taken."""

    name: str
    loops: Loops
    condition: Any = True
    """A bool, or a boolean tensor where sizes are soft."""


def instructions(program: Program, core: str = "cortex-m4") -> Scalar:
    """Instructions of one inference.

    Args:
        program: the network; sizes may be soft.
        core: a name of `costs.cores`; one that was not measured counts as the one that stands for it.

    Raises:
        ValueError: if the core is unknown.

    Example:
        >>> instructions(program, "cortex-m4")
        401830.0
    """
    present = sum(op.presence for op in program.operators)
    overhead = _weigh(Path(INVOKE, {"call": 1, "operator": present}), core)
    return overhead + sum(call.op.presence * operator_instructions(call, core) for call in program.calls())


def milliseconds(program: Program, core: str, clock_mhz: float) -> Scalar:
    """Time of one inference.

    Args:
        program: the network; sizes may be soft.
        core: a name of `costs.cores`.
        clock_mhz: the core's clock in MHz.

    Example:
        >>> milliseconds(program, "cortex-m4", clock_mhz=64)
        8.5
    """
    return instructions(program, core) * (cores.get(core).cycles / (1000 * clock_mhz))


def operator_instructions(call: Call, core: str) -> Scalar:
    """Instructions of one operator."""
    *special, general = paths(call, cores.get(core).measured)
    total = _weigh(general, core)
    for path in reversed(special):
        total = choose(path.condition, _weigh(path, core), total)
    return total


def paths(call: Call, measured: str) -> list[Path]:
    """The paths of an operator on a measured core, the general one last."""
    count = _PATHS.get(call.op.name)
    return count(call, measured) if count else [_unmeasured(call)]


def measured(call: Call) -> bool:
    """Whether the time of such operators was measured; of others it is guessed from their elements."""
    return call.op.name in _PATHS or call.op.name in UNMEASURED


def unknown(call: Call) -> bool:
    """Whether an operator takes a time that cannot even be guessed, as it does more than move its elements."""
    return call.macs is None or (not measured(call) and call.macs > 0)


@cache
def coefficients() -> dict[str, dict[str, dict[str, float]]]:
    """Instructions for each run of a loop: by measured core, path and loop."""
    content: dict[str, dict[str, dict[str, float]]] = json.loads(COEFFICIENTS.read_text())["instructions"]
    return content


def _weigh(path: Path, core: str) -> Scalar:
    factors = coefficients()[cores.get(core).measured][path.name]
    return sum(factors[name] * value for name, value in path.loops.items())


def _conv(call: Call, measured: str) -> list[Path]:
    (height, width), (top, left) = call.kernel, call.pads
    positions = product(call.result.shape[1:3])
    loops = _products(call, measured, positions, 1)
    if call.op.dilation == (1, 1):
        pointwise = (height * width <= 1) & (top + left <= 0)
        if call.op.stride == (1, 1):
            fast = Path("conv_1x1", loops, pointwise)
        else:  # row by row
            rows = call.result.shape[1]
            fast = Path("conv_1x1_strided", _products(call, measured, positions / rows, rows), pointwise)
    else:
        fast = Path("conv_1x1", loops, False)
    channels, copies = call.source.shape[-1], positions * height * width
    if measured == "cortex-m4":
        fours, rest = floor_div(channels, 4), leftover(channels, 4)
        loops = loops | {"copy": copies, "copied_4": copies * fours, "copied_rest": copies * rest}
        return [fast, Path("conv", loops)]
    loops = loops | {"copy": copies, "copy_vector": copies * floor_div(channels + 15, 16)}
    rows = call.source.shape[1]
    if (is_number(rows) and rows != 1) or call.op.dilation[1] != 1:
        return [fast, Path("conv", loops)]
    # Along a row, only windows that touch the padding are copied.
    edges = 2 * left / call.op.stride[1]
    outputs, vectors = call.result.shape[-1], floor_div(height * width * channels + 15, 16)
    row = loops | {"edge_output": edges * outputs, "edge_vector": edges * outputs * vectors}
    whole_words = leftover(call.op.stride[1] * channels, 4) <= 0
    return [fast, Path("conv_row", row, whole_words & (height <= 1) & (rows <= 1)), Path("conv", loops)]


def _products(call: Call, measured: str, positions: Scalar, rows: int) -> Loops:
    """The loops of a matrix product: every output channel at so many positions in each row."""
    outputs = call.result.shape[-1]
    taps = product(call.kernel) * call.source.shape[-1]
    if measured == "cortex-m55":
        vectors = floor_div(taps + 15, 16)
        blocks, rest = rows * floor_div(positions, 4), rows * leftover(positions, 4)
        return {
            "call": 1,
            "weight_vector": rows * outputs * vectors,
            "block": blocks,
            "block_output": blocks * outputs,
            "block_vector": blocks * outputs * vectors,
            "rest_output": rest * outputs,
            "rest_vector": rest * outputs * vectors,
        }
    fours, rest = floor_div(taps, 4), leftover(taps, 4)
    odd_channel, odd_position = leftover(outputs, 2) * rows * positions, rows * leftover(positions, 2) * outputs
    return {
        "call": 1,
        "channel": rows * outputs,
        "weight": rows * outputs * taps,
        "position": rows * positions,
        "output": rows * positions * outputs,
        "macs_4": rows * positions * outputs * fours,
        "macs_rest": rows * positions * outputs * rest,
        "odd_channel": odd_channel,
        "odd_channel_4": odd_channel * fours,
        "odd_position": odd_position,
        "odd_position_4": odd_position * fours,
    }


def _depthwise(call: Call, measured: str) -> list[Path]:
    (height, width), (top, left) = call.kernel, call.pads
    channels, outputs = call.source.shape[-1], call.result.shape[-1]
    positions, taps = product(call.result.shape[1:3]), height * width
    if call.op.dilation != (1, 1) or call.op.multiplier != 1:
        made = positions * outputs
        loops = {"call": 1, "position": positions, "output": made, "row": made * height, "mac": made * taps}
        return [Path("depthwise_one_channel", loops, channels <= 1), Path("depthwise_plain", loops)]
    if measured == "cortex-m55":
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
    fours, rest = positions * floor_div(channels, 4), positions * leftover(channels, 4)
    loops = {
        "call": 1,
        "position": positions,
        "output_4": fours,
        "macs_4": fours * taps,
        "output_rest": rest,
        "macs_rest": rest * taps,
        "row": positions * height,
        "copy": positions * taps,
    }
    special = (height >= 3) & (height <= 3) & (width >= 3) & (width <= 3) & (top <= 1) & (left <= 1)
    odd = {"odd_tap_4": fours * leftover(taps, 2)}
    return [Path("depthwise_3x3", loops, special), Path("depthwise", loops | odd)]


def _fully_connected(call: Call, measured: str) -> list[Path]:
    outputs, taps = call.weights.shape
    rows = call.result.elements / outputs
    made, rest = rows * outputs, rows * leftover(outputs, 4)
    if measured == "cortex-m55":
        vectors = floor_div(taps + 15, 16)
        loops = {"output": made, "vector": made * vectors, "rest_output": rest, "rest_vector": rest * vectors}
    else:
        loops = {
            "output": made,
            "mac": made * taps,
            "mac_rest": made * leftover(taps, 4),
            "rest_output": rest,
            "rest_mac": rest * taps,
        }
    return [Path("fully_connected", {"call": 1, **loops})]


def _pool(name: str) -> Callable[[Call, str], list[Path]]:
    def count(call: Call, measured: str) -> list[Path]:
        channels, positions = call.result.shape[-1], product(call.result.shape[1:3])
        taps = positions * product(call.op.window)
        loops = {
            "call": 1,
            "position": positions,
            "output": positions * channels,
            "tap": taps,
            "row": positions * call.op.window[0],
        }
        if measured == "cortex-m55":
            vectors = floor_div(channels + 15, 16)
            partial = vectors - floor_div(channels, 16)
            loops |= {"output_vector": positions * vectors, "tap_vector": taps * vectors, "tap_rest": taps * partial}
        else:
            loops |= {"element": taps * channels, "element_rest": taps * leftover(channels, 4)}
        return [Path(name, loops)]

    return count


def _elementwise(name: str) -> Callable[[Call, str], list[Path]]:
    def count(call: Call, measured: str) -> list[Path]:
        elements = call.result.elements
        return [Path(name, {"call": 1, "element": elements, "rest": leftover(elements, 4)})]

    return count


def _softmax(call: Call, measured: str) -> list[Path]:
    elements = call.result.elements
    return [Path("softmax", {"call": 1, "row": elements / call.result.shape[-1], "element": elements})]


def _concatenation(call: Call, measured: str) -> list[Path]:
    # Along the last axis: a copy for each input and row.
    elements = call.result.elements
    copies = elements / call.result.shape[-1] * len(call.inputs)
    return [Path("concatenation", {"call": 1, "copy": copies, "byte": elements})]


def _pad(call: Call, measured: str) -> list[Path]:
    copied = call.source.elements
    rows = product(call.result.shape[:2])
    return [Path("pad", {"call": 1, "row": rows, "copied": copied, "added": call.result.elements - copied})]


def _reshape(call: Call, measured: str) -> list[Path]:
    return [Path("reshape", {"call": 1, "byte": call.result.bytes})]


def _reduction(name: str) -> Callable[[Call, str], list[Path]]:
    def count(call: Call, measured: str) -> list[Path]:
        return [Path(name, {"call": 1, "element": call.source.elements, "output": call.result.elements})]

    return count


def _unmeasured(call: Call) -> Path:
    """Operators that the measured networks lack: so many instructions an element, or a multiplication."""
    place = SOURCE.get(call.op.name, 0)
    tensors = (*call.inputs[place : place + 1], *call.outputs[:1])
    sizes = [tensor.elements for tensor in tensors if tensor is not None]
    name = call.op.name.lower() if call.op.name in UNMEASURED else "other"
    return Path(name, {"call": 1, "element": reduce(larger, sizes, 0), "mac": call.macs or 0})


UNMEASURED = ("TANH", "HARD_SWISH", "RELU", "RELU6", "LEAKY_RELU", "MUL", "TRANSPOSE_CONV")
_PATHS: dict[str, Callable[[Call, str], list[Path]]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "AVERAGE_POOL_2D": _pool("average_pool"),
    "MAX_POOL_2D": _pool("max_pool"),
    "ADD": _elementwise("add"),
    "LOGISTIC": _elementwise("logistic"),
    "SOFTMAX": _softmax,
    "CONCATENATION": _concatenation,
    "PAD": _pad,
    "RESHAPE": _reshape,
    "MEAN": _reduction("mean"),
    "REDUCE_MAX": _reduction("reduce_max"),
}
