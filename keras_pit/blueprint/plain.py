"""Writes down each convolution whose kernel is searched as a single operator, whatever the state of its masks.

    Writer         PAD and CONV_2D, or SLICE and CONV_2D, or CONV_2D with one tap: one of them is present
    PlainWriter    CONV_2D with so many taps, so far apart; how many zeros it sees, and how far it looks ahead

That is what the network of one time step is made of (`keras_pit.streaming`), where padding is no operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..costs.operators import Operator
from ..costs.sizes import Scalar, product
from ..layers.reader import Reader
from ..lowering import Node
from .parts import Parts
from .states import Now, State, replaced
from .writer import Writer


class PlainWriter(Writer):
    """Writes down the plain program of a blueprint.

    Args:
        blueprint: the network.
        reader: of its masks.
        windows: layers that compute whole windows, which are written down as `Writer` does.
    """

    def __init__(self, blueprint: Parts, reader: Reader, windows: frozenset[str] = frozenset()) -> None:
        super().__init__(blueprint, reader)
        self._windows = windows

    def searched(self, node: Node, source: int, shape: Sequence[Scalar]) -> int:
        if node.name in self._windows:
            return super().searched(node, source, shape)
        layer, states = self.blueprint.kernels[node]
        if states.axis != 1 or node.inputs[0].shape[1] != 1:
            raise ValueError(
                f"Streaming costs of layer '{layer.name}' are not known while its kernel over maps is searched: "
                "expected one over a sequence. Search its channels alone, with search=('channels',)."
            )
        window, taps = node.operator.window, self.reader.count_taps(layer)
        now = Now(states, layer, self.reader, _QUESTIONS)
        output = self.tensor(shape)
        for kernel in self.kernels(node, replaced(window.size, 1, taps), source, shape):
            operator = Operator(
                kernel.name,
                (source, *kernel.constants),
                (output,),
                stride=window.strides,
                dilation=(1, now.look_up(_spacing)),
                multiplier=kernel.multiplier,
                ahead=now.look_up(_ahead),
                behind=now.look_up(_behind),
                zeros=now.look_up(_zeros),
                presence=kernel.presence,
            )
            if source not in self.folds:
                self.add(operator, node)
                continue
            sees_none = now.look_up(_sees_none)
            for sees_zeros, presence in ((False, sees_none), (True, 1 - sees_none)):
                versioned = replace(operator, presence=product((operator.presence, presence)))
                self.add(versioned, node, sees_zeros=sees_zeros)
        return output


def _spacing(state: State) -> int:
    return state.spacing


def _ahead(state: State) -> int:
    return max(state.ahead, 0)


def _behind(state: State) -> int:
    return max(-state.ahead, 0)


def _zeros(state: State) -> int:
    return state.pads[1][0]


def _sees_none(state: State) -> bool:
    return not state.sees_zeros


_QUESTIONS = (_spacing, _ahead, _behind, _zeros, _sees_none)
