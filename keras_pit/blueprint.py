"""What a microcontroller would run of a model, operator by operator, before any file is made.

The lowered network of a model (see `lowering`) becomes a `Program`, which the costs of a device read. For a search
model the sizes are soft: the network is that of the seed, each channel axis in it has the labels of its channels (see
`channels`), and the masks say how many of them stay:

    conv "a" makes the labels 1 2 3 4              CONV_2D (1, 1, T, 3) -> (1, 1, T, sum of the mask of 1 2 3 4)
    conv "b" reads them, its kernel is searched    PAD and CONV_2D, zeros and taps by the state of its masks

A kernel that gets shorter needs other padding, too: a causal one less of it, a "same" one that lost taps on one side a
PAD of its own. The states of a kernel are few and known beforehand, so this is looked up by the number of the state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from . import lowering
from .channels import Channels
from .costs.program import Operator, Program, Scalar, Tensor, is_number, product
from .layers.search import ChannelMasks, PITLayer, Reader
from .lowering import Network, Node
from .lowering import operators as kinds
from .lowering.operators import Window
from .masks import THRESHOLD
from .ownership import masks_of

NAMES: dict[type, str] = {
    kinds.Conv: "CONV_2D",
    kinds.Depthwise: "DEPTHWISE_CONV_2D",
    kinds.TransposeConv: "TRANSPOSE_CONV",
    kinds.Dense: "FULLY_CONNECTED",
    kinds.PReLU: "PRELU",
    kinds.Reshape: "RESHAPE",
    kinds.Transpose: "TRANSPOSE",
    kinds.Concat: "CONCATENATION",
    kinds.MatMul: "BATCH_MATMUL",
}
KINDS: dict[str, str] = {
    "add": "ADD", "subtract": "SUB", "multiply": "MUL", "divide": "DIV", "maximum": "MAXIMUM", "minimum": "MINIMUM",
    "average": "AVERAGE_POOL_2D", "max": "MAX_POOL_2D",
    "nearest": "RESIZE_NEAREST_NEIGHBOR", "bilinear": "RESIZE_BILINEAR",
    "relu": "RELU", "relu6": "RELU6", "leaky_relu": "LEAKY_RELU", "sigmoid": "LOGISTIC", "tanh": "TANH",
    "hard_silu": "HARD_SWISH", "softmax": "SOFTMAX",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Axis:
    """Which axis of a tensor (negative) carries channels, and the label of each position along it."""

    axis: int
    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class Blueprint:
    """A lowered network, and what is searched in it."""

    network: Network
    masks: Mapping[Node, tuple[int, ChannelMasks]]
    """For nodes whose channels are searched: their axis (negative), and their masks."""
    kernels: Mapping[Node, tuple[PITLayer, _States]]
    """For convolutions whose kernel is searched: the search layer, and its states."""

    @classmethod
    def of(cls, model: keras.Model) -> Blueprint:
        """The blueprint of a plain model: all sizes are numbers."""
        return cls(lowering.lower_with_padding(model), {}, {})

    @classmethod
    def searched(cls, whole: keras.Model, layers: Mapping[str, Any], channels: Channels) -> Blueprint:
        """The blueprint of a search model.

        Args:
            whole: what it exports with all masks open, its layers renamed so that no two have the same name.
            layers: the layers of the search model by these names.
            channels: of the search model.
        """
        network = lowering.lower_with_padding(whole)
        axes: dict[Node, Axis] = {}
        kernels: dict[Node, tuple[PITLayer, _States]] = {}
        for node in network.nodes():
            layer = layers.get(node.name)
            roles = channels.layers[layer].roles if layer in channels.layers else {}
            axes[node] = _axis(node, [axes[source] for source in node.inputs], roles.get("out"))
            if isinstance(layer, PITLayer) and _searches_kernel(layer, node):
                kernels[node] = (layer, _States(node, layer))
        masks = {node: (axis.axis, masks_of(channels, axis.labels)) for node, axis in axes.items() if axis.labels.any()}
        return cls(network, masks, kernels)

    def program(self, reader: Reader | None = None) -> Program:
        """The operators and tensors; of a search model with the sizes that the reader's masks leave."""
        return _Builder(self, reader or Reader()).build()


# -- channels ---------------------------------------------------------------------------------------------------------


def _axis(node: Node, sources: list[Axis], made: np.ndarray | None) -> Axis:
    """The channels of a node's output, from those of its inputs and those that its layer makes."""
    operator, shape = node.operator, node.shape
    makes = isinstance(operator, (kinds.Conv, kinds.Dense, kinds.TransposeConv))
    if makes and made is not None and len(made) == shape[-1]:
        return Axis(-1, made)
    if isinstance(operator, kinds.Depthwise):
        return Axis(-1, np.repeat(sources[0].labels, operator.kernel.shape[-1]))
    if isinstance(operator, _MOVES):
        return _moved(node, sources)
    if isinstance(operator, kinds.MatMul):
        left, right = sources
        return right if right.axis == -1 else left if left.axis == -2 else _whole(shape)
    for axis, source in zip(sources, node.inputs, strict=True):
        if source.shape[axis.axis] == shape[axis.axis] and axis.labels.any():
            return axis
    return _whole(shape)


_MOVES = (kinds.Reshape, kinds.Transpose, kinds.Slice, kinds.Concat)


def _whole(shape: tuple[int, ...]) -> Axis:
    return Axis(-1, np.zeros(shape[-1], np.int64))


def _moved(node: Node, sources: list[Axis]) -> Axis:
    """Where an operator that only moves numbers puts the labels: it is run on them."""
    if not any(source.labels.any() for source in sources):
        return _whole(node.shape)
    arrays = [_spread(source, read.shape) for source, read in zip(sources, node.inputs, strict=True)]
    labels = ops.convert_to_numpy(node.operator.compute(*map(ops.convert_to_tensor, arrays)))
    for axis in range(-1, -labels.ndim, -1):
        line = np.moveaxis(labels, axis, -1).reshape(-1, labels.shape[axis])
        if (line == line[0]).all():
            return Axis(axis, line[0])
    return _whole(node.shape)


def _spread(axis: Axis, shape: tuple[int, ...]) -> np.ndarray:
    """The label of every element of a tensor."""
    along = [1] * len(shape)
    along[axis.axis] = -1
    return np.broadcast_to(axis.labels.reshape(along), shape).copy()


# -- kernels ----------------------------------------------------------------------------------------------------------


def _searches_kernel(layer: PITLayer, node: Node) -> bool:
    """Whether a node is the convolution of a layer whose kernel is searched."""
    if layer.beta is None and layer.gamma is None:
        return False
    is_conv = isinstance(node.operator, (kinds.Conv, kinds.Depthwise))
    return is_conv and math.prod(node.operator.window.size) == math.prod(layer.kernel_size)


@dataclass(frozen=True)
class _Form:
    """What kernels for microcontrollers tell apart."""

    is_pointwise: bool
    is_dilated: bool
    is_cropped: bool
    is_padded: bool


@dataclass(frozen=True)
class _State:
    """A kernel in one state of its masks: its form, and the length of its input once cropped, and then padded."""

    form: _Form
    cropped: int
    padded: int

    @property
    def is_cropped(self) -> bool:
        return self.form.is_cropped

    @property
    def is_padded(self) -> bool:
        return self.form.is_padded

    @classmethod
    def of(cls, taps: np.ndarray, node: Node, axis: int) -> _State:
        """What is left of a convolution with explicit padding when only some taps along an axis stay."""
        window, shape = node.operator.window, node.inputs[0].shape
        stride, rate, length = window.strides[axis], window.dilation[axis], shape[1 + axis]
        spacing = int(taps[1] - taps[0]) * rate if len(taps) > 1 else 1
        span = (len(taps) - 1) * spacing + 1
        before = window.pads[axis][0] - int(taps[0]) * rate
        after = (node.shape[1 + axis] - 1) * stride + span - length - before
        after = 0 if -stride < after < 0 else after
        cropped = length + min(before, 0) + min(after, 0)
        pads = (max(before, 0), max(after, 0))
        alone = Window(
            _with(window.size, axis, len(taps)),
            window.strides,
            _with(window.dilation, axis, spacing),
            _with(window.pads, axis, pads),
        )
        is_padded = alone.padding((1, *_with(shape[1:3], axis, cropped), shape[3])) is None
        is_pointwise = len(taps) == 1 and window.size[1 - axis] == 1
        form = _Form(is_pointwise, spacing > 1, cropped != length, is_padded)
        return cls(form, cropped, cropped + sum(pads) if is_padded else cropped)


class _States:
    """All states of a kernel, and which one the masks are in."""

    def __init__(self, node: Node, layer: PITLayer) -> None:
        self.axis = layer.kernel_axis if len(layer.kernel_size) == 2 else 1
        mask = layer.kernel_mask
        self.reaches, self.steps = max(mask.lags) + 1, len(mask.steps)
        lags = np.array(mask.lags)
        self.all = [
            _State.of(np.flatnonzero((lags <= reach) & (lags % step == 0)), node, self.axis)
            for reach in range(self.reaches)
            for step in mask.steps
        ]

    def index(self, layer: PITLayer, reader: Reader) -> Any:
        """The number of the state that the masks are in."""
        reach: Any = self.reaches - 1
        if layer.beta is not None:
            on = ops.cast(ops.greater(reader.value(layer.beta), THRESHOLD), "int32")
            reach = ops.max(on * np.arange(self.reaches, dtype="int32"))
        step: Any = 0
        if layer.gamma is not None:
            on = ops.greater(reader.value(layer.gamma), THRESHOLD)
            step = ops.min(ops.where(on, np.arange(self.steps, dtype="int32"), self.steps - 1))
        return reach * self.steps + step

    def look_up(self, index: Any, value: Callable[[_State], float]) -> Any:
        """A number that belongs to the state."""
        table = np.array([value(state) for state in self.all], "float32")
        return table[0] if (table == table[0]).all() else ops.take(table, index)


def _with(values: Any, axis: int, value: Any) -> Any:
    return tuple(value if index == axis else old for index, old in enumerate(values))


# -- operators --------------------------------------------------------------------------------------------------------


class _Builder:
    """Writes down the program of a blueprint."""

    def __init__(self, blueprint: Blueprint, reader: Reader) -> None:
        self.blueprint = blueprint
        self.reader = reader
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []
        self.numbers: dict[Node, int] = {}
        self.padded: dict[Any, int] = {}
        self.paddings: dict[Any, int] = {}

    def build(self) -> Program:
        network = self.blueprint.network
        readers = network.uses()
        for node in network.nodes():
            source = node.inputs[0] if node.inputs else None
            if isinstance(node.operator, (kinds.Input, kinds.Constant)):
                self.numbers[node] = self.tensor(node.shape, constant=isinstance(node.operator, kinds.Constant))
            elif source is not None and _is_fused(node) and readers[source] == 1:
                self.numbers[node] = self.numbers[source]
                self.fuse(node.operator.kind, self.numbers[source])
            else:
                self.numbers[node] = self.node(node)
        inputs, outputs = (tuple(self.numbers[node] for node in nodes) for nodes in (network.inputs, network.outputs))
        return Program(tuple(self.operators), tuple(self.tensors), inputs, outputs)

    def fuse(self, activation: str, made: int) -> None:
        for place, operator in enumerate(self.operators):
            if made in operator.outputs:
                self.operators[place] = replace(operator, activation=activation)

    def tensor(
        self, shape: Sequence[Scalar], dtype: str = "int8", *, constant: bool = False, channels: Scalar = 1
    ) -> int:
        """A new tensor; its number."""
        self.tensors.append(Tensor(tuple(shape), dtype, constant, channels if dtype == "int8" else 0))
        return len(self.tensors) - 1

    def put(self, name: str, inputs: Sequence[int], shape: Sequence[Scalar], **options: Any) -> int:
        """A new operator; the number of the tensor that it makes."""
        number = self.tensor(shape)
        self.operators.append(Operator(name, tuple(inputs), (number,), **options))
        return number

    def shape(self, node: Node) -> tuple[Scalar, ...]:
        """The shape of a node's output, as the masks leave it."""
        if node not in self.blueprint.masks:
            return node.shape
        axis, masks = self.blueprint.masks[node]
        return _with(node.shape, axis + len(node.shape), masks.count(self.reader))

    def node(self, node: Node) -> int:
        """One operator, and what has to come before it."""
        operator, shape = node.operator, self.shape(node)
        inputs = [self.numbers[source] for source in node.inputs]
        if node in self.blueprint.kernels:
            return self.searched(node, inputs[0], shape)
        if isinstance(operator, (kinds.Conv, kinds.Depthwise)):
            return self.convolution(node, inputs[0], shape)
        options: dict[str, Any] = {}
        constants: list[int] = []
        if isinstance(operator, kinds.Dense):
            constants = self.weights((shape[-1], product(self.tensors[inputs[0]].shape)), operator.bias)
        elif isinstance(operator, kinds.TransposeConv):
            options = {"stride": operator.strides, "padding": operator.padding.lower()}
            read = self.tensors[inputs[0]].shape[-1]
            constants = self.weights((shape[-1], *operator.kernel.shape[:2], read), operator.bias)
            inputs = [self.tensor((4,), "int32", constant=True), constants[0], inputs[0]]
            constants = constants[1:]
        elif isinstance(operator, kinds.Pool):
            window = operator.window
            options = {"stride": window.strides, "window": window.size, "padding": operator.padding.lower()}
        elif isinstance(operator, kinds.PReLU):
            constants = [self.tensor((1, 1, shape[-1]), constant=True)]
        else:
            constants = [self.tensor(size, "int32", constant=True) for size in _arguments(node)]
        return self.put(_name(node), [*inputs, *constants], shape, **options)

    def weights(self, shape: Sequence[Scalar], bias: np.ndarray, made: Scalar | None = None) -> list[int]:
        """Weights and bias; FULLY_CONNECTED does without a bias of zeros."""
        made = shape[0] if made is None else made
        kernel = self.tensor(shape, constant=True, channels=made)
        if len(shape) == 2 and not bias.any():
            return [kernel]
        return [kernel, self.tensor((made,), "int32", constant=True, channels=made)]

    # -- convolutions -------------------------------------------------------------------------------------------------

    def convolution(self, node: Node, source: int, shape: Sequence[Scalar]) -> int:
        window = node.operator.window
        word = window.padding(node.inputs[0].shape)
        if word is None:
            source = self.pad(node, source)
        return self.put(
            _name(node),
            [source, *self.kernel(node, window.size, source, shape)],
            shape,
            stride=window.strides,
            dilation=window.dilation,
            multiplier=_multiplier(node),
            padding=(word or "VALID").lower(),
        )

    def kernel(self, node: Node, size: Sequence[Scalar], source: int, shape: Sequence[Scalar]) -> list[int]:
        """Weights and bias of a convolution."""
        operator, read = node.operator, self.tensors[source].shape[-1]
        if isinstance(operator, kinds.Depthwise):
            return self.weights((1, *size, shape[-1]), operator.bias, shape[-1])
        groups = node.inputs[0].shape[-1] // operator.kernel.shape[2]
        inside = read if groups == 1 else read // groups if is_number(read) else read / groups
        return self.weights((shape[-1], *size, inside), operator.bias)

    def pad(self, node: Node, source: int) -> int:
        """A PAD in front of a convolution; those that pad alike share it."""
        pads = node.operator.window.pads
        if (source, pads) not in self.padded:
            _, rows, columns, channels = self.tensors[source].shape
            shape = (1, rows + sum(pads[0]), columns + sum(pads[1]), channels)
            if pads not in self.paddings:
                self.paddings[pads] = self.tensor((4, 2), "int32", constant=True)
            self.padded[source, pads] = self.put("PAD", [source, self.paddings[pads]], shape)
        return self.padded[source, pads]

    def searched(self, node: Node, source: int, shape: Sequence[Scalar]) -> int:
        """A convolution whose kernel is searched, in each of its forms; one of them is present at a time."""
        layer, states = self.blueprint.kernels[node]
        window, axis = node.operator.window, states.axis
        index, taps, output = states.index(layer, self.reader), ops.sum(self.reader.taps(layer)), self.tensor(shape)
        readers: dict[tuple[bool, bool], int] = {}
        for cropped, padded in dict.fromkeys((state.is_cropped, state.is_padded) for state in states.all):
            readers[cropped, padded] = self.resized(states, index, source, cropped=cropped, padded=padded)
        for form in dict.fromkeys(state.form for state in states.all):
            presence = states.look_up(index, partial(_is_in, form))
            read = readers[form.is_cropped, form.is_padded]
            size = _with(window.size, axis, 1 if form.is_pointwise else taps)
            self.operators.append(
                Operator(
                    _name(node),
                    (read, *self.kernel(node, size, read, shape)),
                    (output,),
                    stride=window.strides,
                    # Which dilation it is makes no difference, but that it may be another one than elsewhere does.
                    dilation=_with(window.dilation, axis, 2 + len(self.operators) if form.is_dilated else 1),
                    multiplier=_multiplier(node),
                    presence=presence,
                )
            )
        return output

    def resized(self, states: _States, index: Any, source: int, *, cropped: bool, padded: bool) -> int:
        """The input of a convolution in states that crop it, pad it, both or neither."""
        presence = states.look_up(index, lambda state: (state.is_cropped, state.is_padded) == (cropped, padded))
        for name, is_needed, settings, length in (
            ("SLICE", cropped, 2, lambda state: state.cropped),
            ("PAD", padded, 1, lambda state: state.padded),
        ):
            if is_needed:
                constants = [self.tensor((4, 2), "int32", constant=True) for _ in range(settings)]
                read = self.tensors[source].shape
                sizes = (1, *_with(read[1:3], states.axis, states.look_up(index, length)), read[3])
                source = self.put(name, [source, *constants], sizes, presence=presence)
        return source


def _is_in(form: _Form, state: _State) -> bool:
    return state.form == form


def _multiplier(node: Node) -> int:
    return node.operator.kernel.shape[-1] if isinstance(node.operator, kinds.Depthwise) else 1


def _is_fused(node: Node) -> bool:
    """Whether the operator before does it in passing."""
    if not isinstance(node.operator, kinds.Activation) or node.operator.kind not in ("relu", "relu6"):
        return False
    return isinstance(node.inputs[0].operator, _FUSING)


_FUSING = (kinds.Conv, kinds.Depthwise, kinds.Dense, kinds.Binary, kinds.Pool)


def _name(node: Node) -> str:
    """The operator's name in the TFLite schema."""
    kind = type(node.operator)
    return NAMES.get(kind) or KINDS.get(getattr(node.operator, "kind", ""), kind.__name__.upper())


def _arguments(node: Node) -> list[tuple[int, ...]]:
    """The shapes of the constants that an operator reads, as paddings or axes."""
    rank = len(node.shape)
    shapes: dict[type, list[tuple[int, ...]]] = {
        kinds.Pad: [(rank, 2)],
        kinds.Reshape: [(rank,)],
        kinds.Transpose: [(rank,)],
        kinds.Slice: [(rank,), (rank,)],
        kinds.Resize: [(2,)],
    }
    return shapes.get(type(node.operator), [])
