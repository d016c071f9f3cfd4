"""A way through a kernel library, and counts that several kernels share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..call import Call
from ..sizes import Scalar, choose, floor_div, is_number, larger, leftover, product

Loops = dict[str, Scalar]
"""How often each loop of a path runs, by name; "conv/block" is the loop "block" of the path "conv"."""


@dataclass(frozen=True)
class Path:
    """A way through a kernel: how often each of its loops runs. The first path whose condition holds is taken."""

    name: str
    loops: Loops
    condition: Any = True
    """A bool, or a boolean tensor where sizes are soft."""

    def named(self) -> Iterator[tuple[tuple[str, str], Scalar]]:
        """Each loop by the path that it belongs to and its name there, and how often it runs."""
        for name, count in self.loops.items():
            owner, _, loop = name.rpartition("/")
            yield (owner or self.name, loop), count


Count = Callable[[Call, str], list[Path]]
"""The paths of an operator on a measured core, the general one last."""


def outer(shape: tuple[Scalar, ...], axis: int) -> Scalar:
    """How many runs of elements there are from an axis on."""
    return product(shape[:axis])


def where(condition: Any, count: Scalar) -> Scalar:
    """A count where a condition holds, else 0."""
    return choose(condition, count, 0)


def groups(call: Call) -> Scalar:
    """Into how many parts a convolution takes its input channels apart."""
    read, inside = call.source.shape[-1], call.weights.shape[-1]
    if read is inside:
        return 1
    return read // inside if is_number(read) and is_number(inside) else read / inside


def taps_inside(call: Call, axis: int, size: Scalar, dilation: Scalar = 1) -> Scalar:
    """Along rows (0) or columns (1): taps of a window at all of its positions that do not lie on padding."""
    outputs, inputs = call.result.shape[axis + 1], call.source.shape[axis + 1]
    stride = call.op.stride[axis]
    if call.op.padding == "valid":
        return outputs * size
    missing = larger((outputs - 1) * stride + (size - 1) * dilation + 1 - inputs, 0)
    before = floor_div(missing, 2)
    return outputs * size - (_cut(before, stride) + _cut(missing - before, stride)) / dilation


def _cut(padding: Scalar, stride: Scalar) -> Scalar:
    """Taps on the padding at one end, of all windows: so many of the first one, a stride less of the next."""
    touching = floor_div(padding + stride - 1, stride)
    return touching * padding - stride * touching * (touching - 1) / 2


def of(path: str, loops: Loops) -> Loops:
    """Loops that take as long as those of another path, as they are the same code; but for the call, which is own."""
    return {name if name == "call" else f"{path}/{name}": count for name, count in loops.items()}


def copies(times: Scalar, size: Scalar, core: str, aligned: Any = True) -> Loops:
    """The loops of `memcpy`: by blocks of 64 and 16 bytes, words and bytes, as RESHAPE shows them.

    Args:
        times: how often it is called.
        size: bytes each time.
        core: a measured core.
        aligned: whether source and target start at words; without that, a Cortex-M0+ copies byte by byte.
    """
    inside = copied(times, size)
    if core != "cortex-m0+":
        return {"copy": times, "copy_skewed": times - where(aligned, times), **of("reshape", inside)}
    fast = where(aligned, 1) * where(size >= 16, 1)
    inside = {name: count * fast for name, count in inside.items()}
    inside["byte"] = inside["byte"] + times * size * (1 - fast)
    return {"copy": times, "copy_aligned": times * fast, **of("reshape", inside)}


def copied(times: Scalar, size: Scalar) -> Loops:
    """The loops within `memcpy`."""
    return {
        "large_block": times * floor_div(size, 64),
        "block": times * floor_div(leftover(size, 64), 16),
        "word": times * floor_div(leftover(size, 16), 4),
        "byte": times * leftover(size, 4),
    }


def together(*parts: Loops) -> Loops:
    """The sum of counts, loop by loop."""
    total: Loops = {}
    for part in parts:
        for name, count in part.items():
            total[name] = total.get(name, 0) + count
    return total
