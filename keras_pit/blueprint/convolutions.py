"""Writes down convolutions: as they are, or in all the forms that the masks of their kernel may leave of them.

Conv1D(K = 5, causal), searched     PAD, CONV_2D             where taps are left that see zeros
                                    CONV_2D, dilated         where each second one is
                                    CONV_2D, pointwise       where the last one is alone
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..costs.operators import Operator
from ..costs.sizes import Scalar, choose, is_number, is_zero, product
from ..layers.reader import Reader
from ..lowering import Node
from ..lowering import operators as kinds
from ..lowering.shapes import Pair
from .parts import Parts
from .sheet import Fold, Padded, Sheet
from .states import Form, Input, Now, State, replaced


class Kernel(NamedTuple):
    """An operator that a convolution may be: its name, its weights and bias, outputs a channel; 1 if it is there."""

    name: str
    constants: list[int]
    multiplier: int
    presence: Scalar


class Convolutions(Sheet):
    """Writes down the convolutions of a blueprint."""

    def __init__(self, blueprint: Parts, reader: Reader) -> None:
        super().__init__(is_searched=blueprint.is_searched)
        self.blueprint = blueprint
        self.reader = reader
        self.padded: dict[Any, int] = {}
        self.states: dict[Node, Now] = {}

    def convolution(self, node: Node, source: int, shape: Sequence[Scalar]) -> int:
        window = node.operator.window
        word = window.padding(node.inputs[0].shape)
        takers = self.blueprint.folds.get(node, ())
        is_folded = product(tuple(self.takes_affine(taker) for taker in takers)) if takers else 0
        read = self.pad(window.pads, source) if word is None else source
        number = self.tensor(shape)
        for kernel in self.kernels(node, window.size, read, shape):
            self.add(
                Operator(
                    kernel.name,
                    (read, *self.once((node.operator, kernel.name, kernel.multiplier), kernel.constants)),
                    (number,),
                    stride=window.strides,
                    dilation=window.dilation,
                    multiplier=kernel.multiplier,
                    padding=(word or "VALID").lower(),
                    presence=product((kernel.presence, 1 - is_folded)),
                )
            )
        if takers:
            self.folds[number] = Fold(source, takers, is_folded)
        return number

    def takes_affine(self, node: Node) -> Any:
        """Whether a convolution whose kernel is searched is in a state without padding."""
        return self.now(node).look_up(_sees_none)

    def pads_of(self, state: State) -> int:
        """A number for the zeros that a state adds."""
        return self.code(state.pads)

    def now(self, node: Node) -> Now:
        """The state of a kernel that is searched."""
        if node not in self.states:
            layer, states = self.blueprint.kernels[node]
            forms = [partial(_is_in, form) for form in dict.fromkeys(state.form for state in states.all)]
            inputs = [partial(_reads, one) for one in dict.fromkeys(state.form.input for state in states.all)]
            self.states[node] = Now(states, layer, self.reader, [*_QUESTIONS, self.pads_of, *forms, *inputs])
        return self.states[node]

    def kernels(self, node: Node, size: Sequence[Scalar], source: int, shape: Sequence[Scalar]) -> list[Kernel]:
        """The operators that a convolution may be, of which one is there.

        In groups of one channel it is a depthwise one; with a single group left, that is an ordinary one again.
        """
        operator, read, made = node.operator, self.tensors[source].shape[-1], shape[-1]

        def ordinary(inside: Scalar, presence: Scalar = 1) -> Kernel:
            return Kernel("CONV_2D", self.weights((made, *size, inside), operator.bias), 1, presence)

        def depthwise(multiplier: int, presence: Scalar = 1) -> Kernel:
            constants = self.weights((1, *size, made), operator.bias, made)
            return Kernel("DEPTHWISE_CONV_2D", constants, multiplier, presence)

        if isinstance(operator, kinds.Depthwise):
            times = operator.kernel.shape[3]
            if is_number(read) or not operator.is_grouped:
                return [depthwise(times)]
            several = choose(read > 1, 1, 0)
            return [depthwise(times, several), ordinary(1, 1 - several)]
        groups, times = node.inputs[0].shape[-1] // operator.kernel.shape[2], operator.kernel.shape[3]
        if groups == 1 or is_number(read):
            return [ordinary(read // groups if is_number(read) else read)]
        inside, times = read / groups, times // groups
        several = choose(inside > 1, 1, 0)
        once: Scalar = 1 if times == 1 else 0 if is_number(made) else choose(made <= groups, 1, 0)
        alone = [(1, once), (times, 1 - once)]
        found = [(times, product((1 - several, is_so))) for times, is_so in alone if not is_zero(is_so)]
        return [ordinary(inside, several), *(depthwise(*one) for one in found)]

    def pad(self, pads: tuple[Pair, Pair], source: int) -> int:
        """A PAD of rows and columns; convolutions that pad alike share it."""
        key = source, pads, self.need
        if key not in self.padded:
            _, rows, columns, channels = self.tensors[source].shape
            shape = (1, rows + sum(pads[0]), columns + sum(pads[1]), channels)
            paddings = self.setting(np.array([(0, 0), *pads, (0, 0)]))
            number = self.tensor(shape)
            code = self.code(pads)
            presence = self.share(Padded(number, code, frozenset({code}), self.there), source)
            amounts = ((0, 0), *pads, (0, 0))
            operator = Operator("PAD", (source, paddings), (number,), amounts=amounts, presence=presence)
            self.add(operator, sees_zeros=True)
            self.padded[key] = number
        return self.padded[key]

    def searched(self, node: Node, source: int, shape: Sequence[Scalar]) -> int:
        """A convolution whose kernel is searched, in each of its forms; one of them is present at a time."""
        layer, states = self.blueprint.kernels[node]
        window, axis = node.operator.window, states.axis
        now, taps = self.now(node), self.reader.count_taps(layer)
        forms = dict.fromkeys(state.form for state in states.all)
        sources = {one: self.resized(node, source, one) for one in dict.fromkeys(form.input for form in forms)}
        output = self.tensor(shape)
        for form in forms:
            read = sources[form.input]
            for kernel in self.kernels(node, replaced(window.size, axis, taps), read, shape):
                self.add(
                    Operator(
                        kernel.name,
                        (read, *kernel.constants),
                        (output,),
                        stride=window.strides,
                        dilation=replaced(window.dilation, axis, now.look_up(_spacing) if form.is_dilated else 1),
                        multiplier=kernel.multiplier,
                        padding=form.padding,
                        presence=product((now.look_up(partial(_is_in, form)), kernel.presence)),
                    ),
                    node,
                    sees_zeros=form.padding == "same",
                )
        return output

    def resized(self, node: Node, source: int, wanted: Input) -> int:
        """The input of a convolution in states that crop it, pad it, both or neither."""
        steps = [self._cut_input] * wanted.is_cropped + [self._padded_input] * wanted.is_padded
        for step in reversed(steps) if wanted.is_cut_late else steps:
            source = step(node, source, wanted)
        return source

    def _cut_input(self, node: Node, source: int, wanted: Input) -> int:
        now, (_, states) = self.now(node), self.blueprint.kernels[node]
        size = replaced(self.tensors[source].shape[1:3], states.axis, now.look_up(_cropped))
        output, begin = self.resize(source, size), replaced((0, 0, 0, 0), 1 + states.axis, now.look_up(_begin))
        bounds = [self.setting(np.zeros(4), content) for content in (begin, self.tensors[output].shape)]
        cut = Operator("SLICE", (source, *bounds), (output,), presence=now.look_up(partial(_reads, wanted)))
        self.add(cut, node, sees_zeros=wanted.sees_zeros)
        return output

    def _padded_input(self, node: Node, source: int, wanted: Input) -> int:
        now, (_, states) = self.now(node), self.blueprint.kernels[node]
        presence, other = now.look_up(partial(_reads, wanted)), 1 - states.axis
        size = replaced(self.tensors[source].shape[1:3], states.axis, now.look_up(_padded))
        size = replaced(size, other, size[other] + sum(node.operator.window.pads[other]))
        code = now.look_up(self.pads_of)
        output, paddings = self.resize(source, size), self.setting(np.zeros((4, 2)), (code,))
        left: Scalar = 1
        if not wanted.is_cropped or wanted.is_cut_late:
            possible = frozenset(self.code(state.pads) for state in states.all if state.form.input == wanted)
            left = self.share(Padded(output, code, possible, product((presence, self.there))), source)
        pad = Operator("PAD", (source, paddings), (output,), presence=product((presence, left)))
        self.add(pad, node, sees_zeros=True)
        return output

    def resize(self, source: int, size: tuple[Scalar, ...]) -> int:
        """A tensor with so many rows and columns, and the channels of another one; its number."""
        return self.tensor((1, *size, self.tensors[source].shape[3]))


def _is_in(form: Form, state: State) -> bool:
    return state.form == form


def _reads(wanted: Input, state: State) -> bool:
    return state.form.input == wanted


def _padded(state: State) -> int:
    return state.padded


def _cropped(state: State) -> int:
    return state.cropped


def _begin(state: State) -> int:
    return state.begin


def _spacing(state: State) -> int:
    return state.spacing


def _sees_none(state: State) -> bool:
    return not state.sees_zeros


_QUESTIONS = (_padded, _cropped, _begin, _spacing, _sees_none)
