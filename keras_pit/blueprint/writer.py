"""Writes down the operators and tensors of a blueprint, as the converter would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from keras import ops

from ..costs.program import Operator, Program, Scalar, Tensor, is_number, product
from ..layers.reader import Reader
from ..lowering import Node
from ..lowering import operators as kinds
from ..lowering.shapes import Pair
from .names import activation, arguments, is_fused, multiplier, operator_name, settings
from .parts import Parts
from .states import Form, Now, State, replaced


class Writer:
    """Writes down the program of a blueprint."""

    def __init__(self, blueprint: Parts, reader: Reader) -> None:
        self.blueprint = blueprint
        self.reader = reader
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []
        self.numbers: dict[Node, int] = {}
        self.nodes: list[Node] = []
        """The node that each operator is for."""
        self.shared: dict[Any, int] = {}
        self.padded: dict[Any, int] = {}
        self.settings: dict[Any, int] = {}
        self.folds: dict[int, Fold] = {}
        self.codes: dict[Any, int] = {}
        self.pads: dict[int, list[Padded]] = {}
        self.choices: dict[int, list[Choice]] = {}
        self.states: dict[Node, Now] = {}

    def build(self, nodes: Sequence[Node]) -> Program:
        """The program, with its nodes written down in the given order."""
        network = self.blueprint.network
        readers = network.uses()
        for node in nodes:
            source = node.inputs[0] if node.inputs else None
            first = len(self.operators)
            if isinstance(node.operator, (kinds.Input, kinds.Constant)):
                self.numbers[node] = self.given(node)
            elif source is not None and is_fused(node) and readers[source] == 1:
                self.numbers[node] = self.numbers[source]
                self.fuse(activation(node.operator), self.numbers[source])
            else:
                self.numbers[node] = self.node(node)
                self.operators[first:] = [replace(operator, layer=node.name) for operator in self.operators[first:]]
                self.nodes += [node] * (len(self.operators) - first)
        inputs, outputs = (tuple(self.numbers[node] for node in nodes) for nodes in (network.inputs, network.outputs))
        return Program(tuple(self.operators), tuple(self._at_the_end()), inputs, outputs)

    def _at_the_end(self) -> list[Tensor]:
        """The tensors, those marked whose smallest number is 0."""
        lowest: set[int] = set()
        for operator in self.operators:
            is_made = operator.activation in _LOW or operator.name.lower() in _LOW
            is_kept = operator.name in _KEEPS_LOW and lowest.issuperset(operator.inputs[:1])
            if is_made or is_kept:
                lowest.update(operator.outputs)
        return [replace(one, lowest=number in lowest) for number, one in enumerate(self.tensors)]

    def fuse(self, activation: str, made: int) -> None:
        for place, operator in enumerate(self.operators):
            if made in operator.outputs:
                self.operators[place] = replace(operator, activation=activation)

    def tensor(
        self,
        shape: Sequence[Scalar],
        dtype: str = "int8",
        *,
        constant: bool = False,
        channels: Scalar = 1,
        centred: bool = False,
    ) -> int:
        """A new tensor; its number."""
        scales = channels if dtype == "int8" else 0
        self.tensors.append(Tensor(tuple(shape), dtype, constant, scales, centred=centred))
        return len(self.tensors) - 1

    def given(self, node: Node) -> int:
        """An input, or a constant that is computed with."""
        if isinstance(node.operator, kinds.Constant):
            return self.tensor(node.shape, constant=True)
        is_float = node.operator.dtype == "float32"
        return self.tensor(node.shape, "int8" if is_float else node.operator.dtype)

    def setting(self, value: np.ndarray, node: Node | None = None) -> int:
        """A constant that is no weight; equal ones are one, unless they depend on what is left of a node."""
        key = value.shape, tuple(value.flat), node
        if key not in self.settings:
            self.settings[key] = self.tensor(value.shape, "int32", constant=True)
        return self.settings[key]

    def put(
        self, name: str, inputs: Sequence[int], shape: Sequence[Scalar], dtype: str = "int8", **options: Any
    ) -> int:
        """A new operator; the number of the tensor that it makes."""
        centred = name == "TANH" or (name == "RESHAPE" and self.tensors[inputs[0]].centred)
        number = self.tensor(shape, dtype, centred=centred)
        self.add(Operator(name, tuple(inputs), (number,), **options))
        return number

    def add(self, operator: Operator, taker: Node | None = None, *, sees_zeros: bool = False) -> None:
        """An operator, in several versions if what it reads is there in some states only.

        Args:
            operator: what to add.
            taker: the searched convolution that it is a form of.
            sees_zeros: whether that form adds zeros, so that it takes no affine.
        """
        for version, (number, presence) in enumerate(self.read(operator.inputs, taker, sees_zeros)):
            constants = map(self.copy, operator.inputs[1:]) if version else operator.inputs[1:]
            there = product((operator.presence, presence))
            self.operators.append(replace(operator, inputs=(number, *constants), presence=there))

    def read(self, inputs: tuple[int, ...], taker: Node | None, sees_zeros: bool) -> list[Choice]:
        """What an operator reads first."""
        source = inputs[0]
        fold = self.folds.get(source)
        if fold is None:
            return self.choices.get(source, [(source, 1)])
        folded, unfolded = (fold.source, fold.is_folded), (source, 1 - fold.is_folded)
        if sees_zeros:
            return [unfolded]
        return [folded] if fold.takers == (taker,) else [folded, unfolded]

    def copy(self, number: int) -> int:
        """Another tensor like this one; its number."""
        self.tensors.append(self.tensors[number])
        return len(self.tensors) - 1

    def shape(self, node: Node) -> tuple[Scalar, ...]:
        """The shape of a node's output, as the masks leave it."""
        if node not in self.blueprint.masks:
            return node.shape
        axis, masks = self.blueprint.masks[node]
        if node.shape[axis] == 1:  # a tensor keeps a channel
            return node.shape
        return replaced(node.shape, axis + len(node.shape), masks.count(self.reader))

    def node(self, node: Node) -> int:
        """One operator, and what has to come before it."""
        operator, shape = node.operator, self.shape(node)
        inputs = [self.numbers[source] for source in node.inputs]
        if node in self.blueprint.kernels:
            return self.searched(node, inputs[0], shape)
        if isinstance(operator, (kinds.Conv, kinds.Depthwise)):
            return self.convolution(node, inputs[0], shape)
        if isinstance(operator, kinds.Pad) and len(shape) == 4 and not operator.value:
            batch, rows, columns, channels = operator.amounts
            if batch == channels == (0, 0):
                return self.pad((rows, columns), inputs[0])
        options: dict[str, Any] = {}
        constants: list[int] = []
        if isinstance(operator, kinds.Dense):
            constants = self.weights((shape[-1], product(self.tensors[inputs[0]].shape)), operator.bias, must=False)
            constants = self.once(operator, constants)
        elif isinstance(operator, kinds.TransposeConv):
            options = {"stride": operator.strides, "padding": operator.padding.lower()}
            read = self.tensors[inputs[0]].shape[-1]
            constants = self.weights((shape[-1], *operator.kernel.shape[:2], read), operator.bias, must=False)
            inputs = [self.tensor((4,), "int32", constant=True), constants[0], inputs[0]]
            constants = constants[1:]
        elif isinstance(operator, kinds.Pool):
            window = operator.window
            options = {"stride": window.strides, "window": window.size, "padding": operator.padding.lower()}
        elif isinstance(operator, kinds.Gather):
            inputs = [self.tensor(operator.table.shape, constant=True), *inputs]
        elif isinstance(operator, kinds.PReLU):
            constants = [self.tensor((1, 1, shape[-1]), constant=True)]
        elif isinstance(operator, kinds.Function):
            return self.looked_up(inputs[0], shape)
        elif activation(operator) in ("clip", "minimum"):
            return self.limited(operator.arguments, inputs[0], shape)
        else:
            depends = isinstance(operator, (kinds.Reshape, kinds.Slice)) and self.blueprint.is_searched
            constants = [self.setting(value, node if depends else None) for value in arguments(node)]
            if operator_name(node) == "PADV2":
                constants.append(self.tensor((), constant=True))
            options = settings(operator)
        return self.put(operator_name(node), [*inputs, *constants], shape, **options)

    def looked_up(self, source: int, shape: Sequence[Scalar]) -> int:
        """The entries of a table, which integers from 0 on number (see `deployment.tables`)."""
        signed = self.put("CAST", [source], shape, "int32")
        positive = self.put("ADD", [signed, self.setting(np.array([128]))], shape, "int32")
        return self.put("GATHER", [self.tensor((256,), constant=True), positive], shape)

    def limited(self, limits: tuple[float, ...], source: int, shape: Sequence[Scalar]) -> int:
        """No more than the last limit, and no less than the one before it, if there is one."""
        number = self.put("MINIMUM", [source, self.tensor((), constant=True)], shape)
        if len(limits) == 1:
            return number
        if limits[0] == 0:
            return self.put("RELU", [number], shape)
        return self.put("MAXIMUM", [number, self.tensor((), constant=True)], shape)

    def once(self, key: Any, constants: list[int]) -> list[int]:
        """Weights and bias of an operator that several nodes may have: the same weights, but each its bias."""
        return [self.shared.setdefault(key, constants[0]), *constants[1:]]

    def weights(
        self, shape: Sequence[Scalar], bias: np.ndarray, made: Scalar | None = None, *, must: bool = True
    ) -> list[int]:
        """Weights and bias; some operators do without one (`must`) if it is zeros, but a search may train one."""
        made = shape[0] if made is None else made
        kernel = self.tensor(shape, constant=True, channels=made)
        if not must and not bias.any() and not self.blueprint.is_searched:
            return [kernel]
        return [kernel, self.tensor((made,), "int32", constant=True, channels=made)]

    # -- convolutions -------------------------------------------------------------------------------------------------

    def convolution(self, node: Node, source: int, shape: Sequence[Scalar]) -> int:
        window = node.operator.window
        word = window.padding(node.inputs[0].shape)
        takers = self.blueprint.folds.get(node, ())
        is_folded = product(tuple(self.takes_affine(taker) for taker in takers)) if takers else 0
        read = self.pad(window.pads, source) if word is None else source
        number = self.put(
            operator_name(node),
            [read, *self.once(node.operator, self.kernel(node, window.size, read, shape))],
            shape,
            stride=window.strides,
            dilation=window.dilation,
            multiplier=multiplier(node),
            padding=(word or "VALID").lower(),
            presence=1 - is_folded,
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
            resized = [partial(_is_resized, padded, cropped) for padded in (False, True) for cropped in (False, True)]
            self.states[node] = Now(states, layer, self.reader, [*_QUESTIONS, self.pads_of, *forms, *resized])
        return self.states[node]

    def kernel(self, node: Node, size: Sequence[Scalar], source: int, shape: Sequence[Scalar]) -> list[int]:
        """Weights and bias of a convolution."""
        operator, read = node.operator, self.tensors[source].shape[-1]
        if isinstance(operator, kinds.Depthwise):
            return self.weights((1, *size, shape[-1]), operator.bias, shape[-1])
        groups = node.inputs[0].shape[-1] // operator.kernel.shape[2]
        inside = read if groups == 1 else read // groups if is_number(read) else read / groups
        return self.weights((shape[-1], *size, inside), operator.bias)

    def pad(self, pads: tuple[Pair, Pair], source: int) -> int:
        """A PAD of rows and columns; convolutions that pad alike share it."""
        if (source, pads) not in self.padded:
            _, rows, columns, channels = self.tensors[source].shape
            shape = (1, rows + sum(pads[0]), columns + sum(pads[1]), channels)
            paddings = self.setting(np.array([(0, 0), *pads, (0, 0)]))
            number = self.tensor(shape)
            code = self.code(pads)
            presence = self.share(Padded(number, code, frozenset({code}), 1), source)
            amounts = ((0, 0), *pads, (0, 0))
            operator = Operator("PAD", (source, paddings), (number,), amounts=amounts, presence=presence)
            self.add(operator, sees_zeros=True)
            self.padded[source, pads] = number
        return self.padded[source, pads]

    def share(self, new: Padded, source: int) -> Scalar:
        """Where an earlier PAD of the same source adds the same zeros, that one is read; how present the new one is."""
        earlier = self.pads.setdefault(source, [])
        choices: list[Choice] = []
        left: Scalar = 1
        for other in earlier:
            if new.possible & other.possible:
                same = left * other.presence * _equal(new.code, other.code)
                choices.append((other.number, same))
                left = left - same
        earlier.append(new)
        if choices:
            self.choices[new.number] = [*choices, (new.number, left)]
        return left

    def code(self, pads: Any) -> int:
        """A number for these zeros."""
        return self.codes.setdefault(pads, len(self.codes))

    def searched(self, node: Node, source: int, shape: Sequence[Scalar]) -> int:
        """A convolution whose kernel is searched, in each of its forms; one of them is present at a time."""
        layer, states = self.blueprint.kernels[node]
        window, axis = node.operator.window, states.axis
        now, taps = self.now(node), self.reader.count_taps(layer)
        sources: dict[tuple[bool, bool], int] = {}
        for padded, cropped in dict.fromkeys((state.is_padded, state.is_cropped) for state in states.all):
            sources[padded, cropped] = self.resized(node, source, padded=padded, cropped=cropped)
        output = self.tensor(shape)
        for form in dict.fromkeys(state.form for state in states.all):
            read = sources[form.is_padded, form.is_cropped]
            self.add(
                Operator(
                    operator_name(node),
                    (read, *self.kernel(node, replaced(window.size, axis, taps), read, shape)),
                    (output,),
                    stride=window.strides,
                    # Which dilation it is makes no difference, but that it may be another one than elsewhere does.
                    dilation=replaced(window.dilation, axis, 2 + len(self.operators) if form.is_dilated else 1),
                    multiplier=multiplier(node),
                    padding=form.padding,
                    presence=now.look_up(partial(_is_in, form)),
                ),
                node,
                sees_zeros=form.padding == "same",
            )
        return output

    def resized(self, node: Node, source: int, *, padded: bool, cropped: bool) -> int:
        """The input of a convolution in states that pad it, crop it, both or neither."""
        now, (_, states) = self.now(node), self.blueprint.kernels[node]
        wanted = [state for state in states.all if (state.is_padded, state.is_cropped) == (padded, cropped)]
        presence = now.look_up(partial(_is_resized, padded, cropped))
        if padded:
            other = 1 - states.axis
            size = replaced(self.tensors[source].shape[1:3], states.axis, now.look_up(_padded))
            size = replaced(size, other, size[other] + sum(node.operator.window.pads[other]))
            output, paddings = self.resize(source, size), self.tensor((4, 2), "int32", constant=True)
            left: Scalar = 1
            if not cropped:
                code = now.look_up(self.pads_of)
                possible = frozenset(self.code(state.pads) for state in wanted)
                left = self.share(Padded(output, code, possible, presence), source)
            pad = Operator("PAD", (source, paddings), (output,), presence=product((presence, left)))
            self.add(pad, node, sees_zeros=True)
            source = output
        if cropped:
            size = replaced(self.tensors[source].shape[1:3], states.axis, now.look_up(_cropped))
            output, settings = self.resize(source, size), [self.tensor((4,), "int32", constant=True) for _ in range(2)]
            self.add(Operator("SLICE", (source, *settings), (output,), presence=presence), node, sees_zeros=padded)
            source = output
        return source

    def resize(self, source: int, size: tuple[Scalar, ...]) -> int:
        """A tensor with so many rows and columns, and the channels of another one; its number."""
        return self.tensor((1, *size, self.tensors[source].shape[3]))


_LOW = ("relu", "relu6", "logistic", "softmax")
_KEEPS_LOW = ("AVERAGE_POOL_2D", "MAX_POOL_2D", "PAD", "RESHAPE", "SLICE", "STRIDED_SLICE", "TRANSPOSE")
"""Operators whose results have no number below 0, and those that keep it so."""

Choice = tuple[int, Scalar]
"""A tensor that an operator may read, and its presence."""


@dataclass(frozen=True, eq=False)
class Padded:
    """What a PAD in front of a convolution makes."""

    number: int
    code: Scalar
    """Which zeros it adds."""
    possible: frozenset[int]
    presence: Scalar


@dataclass(frozen=True, eq=False)
class Fold:
    """An affine that some states fold."""

    source: int
    """What it reads, and its readers do where it is folded."""
    takers: tuple[Node, ...]
    is_folded: Scalar


def _is_in(form: Form, state: State) -> bool:
    return state.form == form


def _is_resized(padded: bool, cropped: bool, state: State) -> bool:
    return (state.is_padded, state.is_cropped) == (padded, cropped)


def _padded(state: State) -> int:
    return state.padded


def _cropped(state: State) -> int:
    return state.cropped


def _sees_none(state: State) -> bool:
    return not state.sees_zeros


_QUESTIONS = (_padded, _cropped, _sees_none)


def _equal(one: Scalar, two: Scalar) -> Scalar:
    return int(one == two) if is_number(one) and is_number(two) else ops.cast(ops.equal(one, two), "float32")
