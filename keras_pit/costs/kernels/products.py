"""Kernels that are matrix products: every output is a sum over the same taps.

CMSIS-NN computes them in blocks: with the DSP extension and in plain C, two outputs at two positions at a time, with
Helium one output at four positions. What is left over, an odd output or the last positions, has loops of its own.
"""

from __future__ import annotations

from dataclasses import replace

from ..call import Call
from ..operators import Operator
from ..sizes import Scalar, divided, floor_div, is_number, leftover, product
from .path import Loops, Path, groups, of, outer, together


def conv(call: Call, core: str) -> list[Path]:
    """Pointwise ones read their input as it is; all others copy the taps of some positions into columns first."""
    if call.source.dtype == "int16":
        return _conv_16(call, core)
    (height, width), (top, left) = call.kernel, call.pads
    positions, parts = product(call.result.shape[1:3]), groups(call)
    outputs, taps = call.result.shape[-1], product(call.kernel) * call.weights.shape[-1]
    grouped = not is_number(parts) or parts != 1
    pointwise = (height * width <= 1) & (top + left <= 0) & (parts <= 1)
    rows = call.result.shape[1]
    whole = Path("conv_1x1", _blocks(core, positions, outputs, taps, direct=True), pointwise)
    by_rows = _blocks(core, positions / rows, outputs, taps, direct=True, times=rows)
    fast = _fast(call.op, whole, Path("conv_1x1_strided", by_rows, pointwise))
    channels, copied = call.weights.shape[-1], parts * positions * height * width
    loops = _blocks(core, positions, outputs / parts, taps, times=parts) | _columns(core, copied, channels)
    general = Path("conv", loops)
    rows = call.source.shape[1]
    along_row = is_number(rows) is False or rows == 1
    if core != "cortex-m55" or grouped or not along_row or call.op.is_dilated:
        return [*fast, general]
    # Along a row, only windows that touch the padding are copied.
    edges = 2 * left / call.op.stride[1]
    vectors = floor_div(height * width * channels + 15, 16)
    row = loops | {"edge_output": edges * outputs, "edge_vector": edges * outputs * vectors}
    whole_words = leftover(call.op.stride[1] * channels, 4) <= 0
    return [*fast, Path("conv_row", row, whole_words & (height <= 1) & (rows <= 1)), general]


def _fast(op: Operator, whole: Path, by_rows: Path) -> list[Path]:
    """What a pointwise convolution takes: it is one product, or with a stride one for each row.

    Where a stride is soft, as that of a step that takes a whole buffer, either one is there at a time.
    """
    if op.is_dilated:
        return [replace(whole, condition=False)]
    if all(map(is_number, op.stride)):
        return [whole if op.stride == (1, 1) else by_rows]
    dense = (op.stride[0] <= 1) & (op.stride[1] <= 1)
    return [replace(whole, condition=whole.condition & dense), by_rows]


def _columns(core: str, copied: Scalar, channels: Scalar) -> Loops:
    """Copying taps into columns: so many pieces of so many channels."""
    if core == "cortex-m55":
        return {"copy": copied, "copy_vector": copied * floor_div(channels + 15, 16)}
    if core == "cortex-m4":
        fours, rest = divided(channels, 4)
        return {"copy": copied, "copied_4": copied * fours, "copied_rest": copied * rest}
    return {"copy": copied, "copied": copied * channels}


def _blocks(
    core: str, positions: Scalar, outputs: Scalar, taps: Scalar, *, direct: bool = False, times: Scalar = 1
) -> Loops:
    """The loops of a matrix product: every output at so many positions, so many times.

    `direct` is what reads its input as it is, and sums up the weights for its zero point.
    """
    if core == "cortex-m55":
        vectors = floor_div(taps + 15, 16)
        blocks, rest = times * floor_div(positions, 4), times * leftover(positions, 4)
        return {
            "call": 1,
            "weight_vector": times * outputs * vectors,
            "block": blocks,
            "block_output": blocks * outputs,
            "block_vector": blocks * outputs * vectors,
            "rest_output": rest * outputs,
            "rest_vector": rest * outputs * vectors,
        }
    pairs, odd = divided(positions, 2)
    couples, single = divided(outputs, 2)
    fours, rest = divided(taps, 4) if core == "cortex-m4" else (taps, 0)
    counts = {
        "block": times * pairs * couples,
        "odd_output": times * pairs * single,
        "odd_position": times * odd * outputs,
    }
    loops: Loops = {"call": 1, "position": times * positions}
    if direct:
        counts["sum"] = times * couples
        counts["odd_sum"] = times * single
    for name, count in counts.items():
        loops |= {name: count, f"{name}_macs": count * fours}
        if core == "cortex-m4":
            loops[f"{name}_rest"] = count * rest
    return loops


def _conv_16(call: Call, core: str) -> list[Path]:
    """Columns for all."""
    positions, outputs = product(call.result.shape[1:3]), call.result.shape[-1]
    taps, copied = product(call.weights.shape[1:]), positions * product(call.kernel)
    if core == "cortex-m55":
        return [Path("conv_16", _plain_products(core, positions, outputs, taps) | {"copy": copied})]
    columns = _columns(core, copied, call.weights.shape[-1])
    return [Path("conv_16", _blocks(core, positions, outputs, taps) | columns)]


def _plain_products(core: str, positions: Scalar, outputs: Scalar, taps: Scalar, lanes: int = 8) -> Loops:
    """The loops of a product, whatever is left over."""
    made = positions * outputs
    inner = made * floor_div(taps + lanes - 1, lanes) if core == "cortex-m55" else made * taps
    return {"call": 1, "position": positions, "output": made, "mac": inner}


def fully_connected(call: Call, core: str) -> list[Path]:
    """A vector times a matrix, row by row of the input."""
    outputs, taps = call.weights.shape
    rows = call.result.elements / outputs
    if call.source.dtype == "int16":
        loops = {"call": 1} | _vector_matrix(core, rows, outputs, taps, lanes=8)
        return [Path("fully_connected_16", loops)]
    return [Path("fully_connected", {"call": 1} | _vector_matrix(core, rows, outputs, taps))]


def _vector_matrix(core: str, rows: Scalar, outputs: Scalar, taps: Scalar, lanes: int = 16) -> Loops:
    """So many vectors times a matrix: with Helium in blocks of four outputs, else of two or three."""
    made = rows * outputs
    rest = rows * leftover(outputs, {"cortex-m55": 4, "cortex-m4": 2, "cortex-m0+": 3}[core])
    if core == "cortex-m55":
        vectors = floor_div(taps + lanes - 1, lanes)
        return {"output": made, "vector": made * vectors, "rest_output": rest, "rest_vector": rest * vectors}
    loops = {"output": made, "mac": made * taps, "rest_output": rest, "rest_mac": rest * taps}
    return loops | {"mac_rest": made * leftover(taps, 4)} if core == "cortex-m4" else loops


def batch_matmul(call: Call, core: str) -> list[Path]:
    """Vectors times a matrix, after operands are turned so that both are read along the sums."""
    left, right = call.inputs[0], call.inputs[1]
    if left is None or right is None:
        raise ValueError("BATCH_MATMUL has no operand: expected the numbers of two tensors.")
    of_left, of_right = call.op.transposed
    outputs, taps = call.result.shape[-1], left.shape[-2] if of_left else left.shape[-1]
    rows = call.result.elements / outputs
    turned = (left.elements if of_left else 0) + (0 if of_right else right.elements)
    loops = {"call": 1, "turned": turned, "row": rows}
    if core != "cortex-m0+":
        matrices = outer(call.result.shape, len(call.result.shape) - 2)
        loops["summed"] = matrices * outputs
        return [Path("batch_matmul", loops | _vector_matrix(core, rows, outputs, taps))]
    # Plain C spares the addition of a zero point that is 0.
    made = rows * outputs
    macs = {"mac": 0, "centred_mac": 0} | {"centred_mac" if right.centred else "mac": made * taps}
    return [Path("batch_matmul", loops | {"output": made} | macs)]


def transpose_conv(call: Call, core: str) -> list[Path]:
    """A convolution of the spread input with the reversed kernel, or sums scattered over rows of 32-bit numbers."""
    (height, width), (down, across) = call.kernel, call.op.stride
    channels, outputs = call.source.shape[-1], call.result.shape[-1]
    positions, read = product(call.result.shape[1:3]), product(call.source.shape[1:3])
    taps = height * width
    spread = _columns(core, positions * taps, channels)
    convolved = of("conv", _blocks(core, positions, outputs, taps * channels) | spread)
    reverse = together(convolved, {"weight": taps * channels * outputs, "zero": (positions - read) * taps})
    sums = read * taps * outputs
    scattered = {
        "row": call.source.shape[1],
        "output": positions * outputs,
        "sum": sums,
        "mac": sums * (floor_div(channels + 15, 16) if core == "cortex-m55" else channels),
    }
    efficient = (channels > 16) & (down <= 2) & (across <= 2)
    return [Path("transpose_conv_reversed", reverse, efficient), Path("transpose_conv", scattered)]
