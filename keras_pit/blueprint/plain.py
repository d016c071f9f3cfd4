"""Writes down each convolution whose kernel is searched as a single operator, whatever the state of its masks.

    Writer         PAD and CONV_2D, or SLICE and CONV_2D, or CONV_2D with one tap: one of them is present
    PlainWriter    CONV_2D with so many taps, so far apart; how many zeros it sees, and how far it looks ahead

That is what the network of one time step is made of (`keras_pit.streaming`), where padding is no operator.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..costs.operators import Operator
from ..costs.sizes import Scalar
from ..lowering import Node
from .names import multiplier, operator_name
from .states import Now, State, replaced
from .writer import Writer


class PlainWriter(Writer):
    """Writes down the plain program of a blueprint."""

    def searched(self, node: Node, source: int, shape: Sequence[Scalar]) -> int:
        layer, states = self.blueprint.kernels[node]
        if states.axis != 1 or node.inputs[0].shape[1] != 1:
            raise ValueError(
                f"Streaming costs of layer '{layer.name}' are not known while its kernel over maps is searched: "
                "expected one over a sequence. Search its channels alone, with search=('channels',)."
            )
        window, taps = node.operator.window, self.reader.count_taps(layer)
        now = Now(states, layer, self.reader, _QUESTIONS)
        output = self.tensor(shape)
        operator = Operator(
            operator_name(node),
            (source, *self.kernel(node, replaced(window.size, 1, taps), source, shape)),
            (output,),
            stride=window.strides,
            dilation=(1, now.look_up(_spacing)),
            multiplier=multiplier(node),
            ahead=now.look_up(_ahead),
            zeros=now.look_up(_zeros),
        )
        self.add(operator, node)
        return output


def _spacing(state: State) -> int:
    return state.spacing


def _ahead(state: State) -> int:
    return state.ahead


def _zeros(state: State) -> int:
    return state.pads[1][0]


_QUESTIONS = (_spacing, _ahead, _zeros)
