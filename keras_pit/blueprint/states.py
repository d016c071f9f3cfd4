"""What becomes of a convolution in each state of the masks of its kernel.

    Conv1D(K = 5, causal)    all taps: PAD 4 zeros, CONV_2D     last tap alone: CONV_2D, pointwise, no PAD

The states are few and known beforehand: what differs between them stands in tables, by the number of the state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from ..layers.layer import PITLayer
from ..layers.masks import THRESHOLD
from ..layers.reader import Reader
from ..lowering import Node
from ..lowering import operators as kinds
from ..lowering.shapes import Pair
from ..lowering.windows import NO_PADDING, Window


def searches_kernel(layer: PITLayer, node: Node) -> bool:
    """Whether a node is the convolution of a layer whose kernel is searched."""
    if layer.beta is None and layer.gamma is None:
        return False
    is_conv = isinstance(node.operator, (kinds.Conv, kinds.Depthwise))
    return is_conv and math.prod(node.operator.window.size) == math.prod(layer.kernel_size)


@dataclass(frozen=True)
class Form:
    """What kernels for microcontrollers tell apart."""

    is_pointwise: bool
    is_dilated: bool
    is_cropped: bool
    """Whether a SLICE comes before it."""
    is_padded: bool
    """Whether a PAD does, behind that."""
    padding: str
    """What the convolution adds by itself, "same" or "valid"."""
    is_cut_late: bool = False
    """Whether the SLICE comes behind the PAD, as in front of it nothing would be left."""

    @property
    def input(self) -> Input:
        """What it reads."""
        return Input(self.is_cropped, self.is_padded, self.padding == "same", self.is_cut_late)


@dataclass(frozen=True)
class Input:
    """What a convolution reads, of which some forms read the same."""

    is_cropped: bool
    is_padded: bool
    is_padded_inside: bool
    """Whether the convolution adds zeros to it."""
    is_cut_late: bool

    @property
    def sees_zeros(self) -> bool:
        return self.is_padded or self.is_padded_inside


@dataclass(frozen=True)
class State:
    """A kernel in one state of its masks: its form, and the length of its input once it is cropped, and padded."""

    form: Form
    pads: tuple[Pair, Pair]
    """The zeros that it sees along rows and columns, by whomever they are added."""
    cropped: int
    padded: int
    spacing: int
    """From one tap to the next."""
    ahead: int
    """Steps from the first position of the output to the last tap of its kernel there."""
    begin: int = 0
    """What is cropped at the front."""

    @property
    def sees_zeros(self) -> bool:
        return self.pads != NO_PADDING

    @classmethod
    def of(cls, taps: np.ndarray, node: Node, axis: int) -> State:
        """What is left of a convolution with explicit padding when only some taps along an axis stay."""
        window, shape = node.operator.window, node.inputs[0].shape
        stride, rate, length = window.strides[axis], window.dilation[axis], shape[1 + axis]
        spacing = int(taps[1] - taps[0]) * rate if len(taps) > 1 else 1
        span = (len(taps) - 1) * spacing + 1
        before = window.pads[axis][0] - int(taps[0]) * rate
        after = (node.shape[1 + axis] - 1) * stride + span - length - before
        after = 0 if -stride < after < 0 else after
        cut = min(before, 0) + min(after, 0)
        pads = (max(before, 0), max(after, 0))
        alone = Window(
            replaced(window.size, axis, len(taps)),
            window.strides,
            replaced(window.dilation, axis, spacing),
            replaced(window.pads, axis, pads),
        )
        is_cut_late = length + cut < 1
        word = None if is_cut_late else alone.padding((1, *replaced(shape[1:3], axis, length + cut), shape[3]))
        is_padded = word is None
        form = Form(
            is_pointwise=len(taps) == 1 and window.size[1 - axis] == 1,
            is_dilated=spacing > 1,
            is_cropped=cut < 0,
            is_padded=is_padded,
            padding="valid" if is_padded else str(word).lower(),
            is_cut_late=is_cut_late,
        )
        padded = length + (0 if is_cut_late else cut) + (sum(pads) if is_padded else 0)
        cropped = (padded if is_cut_late else length) + cut
        return cls(form, alone.pads, cropped, padded, spacing, span - 1 - before, -min(before, 0))


class States:
    """All states of a kernel."""

    def __init__(self, node: Node, layer: PITLayer) -> None:
        self.axis = layer.kernel_axis if len(layer.kernel_size) == 2 else 1
        mask = layer.kernel_mask
        lags = np.array(mask.lags)
        ways = [(lags <= reach) & (lags % step == 0) for reach in range(max(lags) + 1) for step in mask.steps]
        self.taps = np.array(list(dict.fromkeys(map(tuple, ways))))
        """Which taps stay in each of them, boolean, shape (states, taps)."""
        self.all = [State.of(np.flatnonzero(on), node, self.axis) for on in self.taps]


class Now:
    """The state that the masks are in, and all that is asked about it: looked up together, which is faster.

    Args:
        states: all states.
        layer: whose masks decide.
        reader: of the masks.
        questions: functions of a state that return a number.
    """

    def __init__(
        self, states: States, layer: PITLayer, reader: Reader, questions: Iterable[Callable[[State], float]]
    ) -> None:
        self._all = states.all
        tables = dict.fromkeys(map(self._table, questions))
        varying = [table for table in tables if len(set(table)) > 1]
        self._found: dict[tuple[float, ...], Any] = {table: table[0] for table in tables if table not in varying}
        if varying:
            # From the taps that stay, not from the variables: a reader may hold a row of masks without them.
            on = ops.greater(reader.taps(layer), THRESHOLD)
            here = ops.cast(ops.all(ops.equal(states.taps, on), axis=1), "float32")
            values = ops.sum(np.array(varying, "float32") * here, axis=1)
            self._found |= dict(zip(varying, ops.unstack(values, len(varying)), strict=True))

    def look_up(self, question: Callable[[State], float]) -> Any:
        """A number that belongs to the state."""
        return self._found[self._table(question)]

    def _table(self, question: Callable[[State], float]) -> tuple[float, ...]:
        return tuple(float(question(state)) for state in self._all)


def replaced(values: Any, axis: int, value: Any) -> Any:
    """A tuple with another value at one place."""
    return tuple(value if index == axis else old for index, old in enumerate(values))
