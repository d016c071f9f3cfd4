"""How a kernel moves over rows and columns.

Padding is explicit here, so that it can be merged. TFLite knows "same" and "valid" alone; `passes.padding_apart` leaves
only windows that are one or the other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .shapes import Pair, Shape, pair

NO_PADDING = ((0, 0), (0, 0))


@dataclass(frozen=True)
class Window:
    """How a kernel moves over rows and columns; `pads` are zeros (before, after) each."""

    size: Pair
    strides: Pair = (1, 1)
    dilation: Pair = (1, 1)
    pads: tuple[Pair, Pair] = NO_PADDING

    @classmethod
    def same(cls, shape: Shape, size: Pair, strides: Pair = (1, 1), dilation: Pair = (1, 1)) -> Window:
        """The window that padding "same" means for an input of this shape."""
        return replace(cls(size, strides, dilation), pads=cls(size, strides, dilation).same_pads(shape))

    @property
    def spans(self) -> Pair:
        """Rows and columns from the first tap to the last, both included."""
        (rows, columns), (down, right) = self.size, self.dilation
        return (rows - 1) * down + 1, (columns - 1) * right + 1

    def positions(self, shape: Shape) -> Pair:
        """How many places the kernel takes along rows and columns."""
        return pair(
            (size + sum(pads) - span) // stride + 1
            for size, pads, span, stride in zip(shape[1:3], self.pads, self.spans, self.strides, strict=True)
        )

    def same_pads(self, shape: Shape) -> tuple[Pair, Pair]:
        """The zeros that padding "same" adds: for -(-size // stride) positions, the odd one after."""
        missing = [
            max((-(-size // stride) - 1) * stride + span - size, 0)
            for size, span, stride in zip(shape[1:3], self.spans, self.strides, strict=True)
        ]
        rows, columns = ((total // 2, total - total // 2) for total in missing)
        return rows, columns

    def padding(self, shape: Shape) -> str | None:
        """TensorFlow's word for it, "VALID" or "SAME", if there is one; else None."""
        if self.pads == NO_PADDING:
            return "VALID"
        return "SAME" if self.pads == self.same_pads(shape) else None
