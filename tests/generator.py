"""Random small networks of every kind of graph: what the laws are tested on.

    model = random_network(7)      the same seed makes the same network, weights included
    data(model, rng)               a batch that it takes
    arguments(model, rng)          arguments of `convert` for it
    random_masks(search, rng)      any state that a search can reach

A network is a chain of random *steps* from an input to a head. A step takes a tensor of shape (batch, time, channels)
or (batch, rows, columns, channels) and returns another one. It may branch, call a layer twice, put in a model, and so
on; one more kind of graph is one more step. Tensors are tiny, so that thousands of networks can be tested.

    python tests/generator.py 7    prints the network
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

import keras_pit
from keras_pit.layers.ownership import presence

MIXING = ("softmax", "log_softmax", "sparsemax")
# "threshold" needs arguments, "glu" halves the channels, "exponential" overflows.
ELEMENTWISE = tuple(
    name
    for name in dir(keras.activations)
    if not name.startswith("_")
    and name not in (*MIXING, "deserialize", "get", "serialize", "threshold", "glu", "exponential")
)
SEARCHES = (
    ("channels", "kernel", "dilation", "kernel_2d"),
    ("channels", "kernel", "dilation", "kernel_2d"),
    ("kernel_2d", "kernel"),
    ("channels",),
    ("kernel", "dilation"),
    ("channels", "kernel"),
    ("channels", "dilation"),
)
MOST_ELEMENTS = 500
MOST_CHANNELS = 10

Step = Callable[["Net", Any], Any]
STEPS: dict[str, tuple[Step, float]] = {}


def step(weight: float) -> Callable[[Step], Step]:
    """Register a step: how often it is taken, and the function, which returns None where it does not fit."""

    def decorate(function: Step) -> Step:
        STEPS[function.__name__] = function, weight
        return function

    return decorate


@keras.saving.register_keras_serializable("tests")
class Mix(layers.Layer):
    """A custom layer that mixes channels."""

    def build(self, shape):
        self.mixer = self.add_weight(name="kernel", shape=(shape[-1], shape[-1]))

    def call(self, x):
        return ops.matmul(x, self.mixer)


class Net:
    """A network in the making."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.count = 0
        self.named = self.chance(0.8)
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    # -- chance -------------------------------------------------------------------------------------------------------

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def pick(self, *options: Any) -> Any:
        return options[self.rng.integers(len(options))]

    def integer(self, low: int, high: int) -> int:
        """From low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def normal(self, *shape: int) -> np.ndarray:
        return self.rng.normal(size=shape).astype("float32")

    # -- layers -------------------------------------------------------------------------------------------------------

    def new(self, kind: str, *args: Any, **kwargs: Any) -> Any:
        """A layer by the name of its class; "Conv#" stands for Conv1D or Conv2D, see `nd`."""
        self.count += 1
        name = f"{kind.lower()}_n{self.count}" if self.named else None
        return getattr(layers, kind)(*args, name=name, **kwargs)

    def nd(self, kind: str, x: Any, *args: Any, **kwargs: Any) -> Any:
        return self.new(f"{kind}{rank(x)}D", *args, **kwargs)

    def some_activation(self, none: float = 0.4) -> Any:
        """An activation argument, element by element."""
        if self.chance(none):
            return None
        if self.chance(0.05):
            return layers.LeakyReLU(0.2)
        return self.pick("relu", self.pick(*ELEMENTWISE))

    def common(self) -> dict[str, Any]:
        """Arguments of every convolution and Dense layer."""
        return {"use_bias": self.chance(0.7), "activation": self.some_activation()}

    def window(self, x: Any, *, causal: bool = False, square: bool = False, most: int = 9) -> dict[str, Any]:
        """Kernel size, strides or dilation, and padding that fit a tensor; `square`: equal strides only."""
        size = space(x)
        padding = self.pick("same", "valid", *(["causal"] if causal else []))
        if len(size) == 1:
            taps = [self.integer(1, most)]
        else:
            taps = list(self.pick((3, 3), (1, 1), (2, 3), (2, 2), (self.integer(2, 5), 1), (1, self.integer(2, 5))))
        kind = self.pick("plain", "plain", "strided", "dilated")
        strides, dilation = [1] * len(size), [1] * len(size)
        if kind == "strided":
            strides = [self.integer(2, 3)] * len(size)
            if len(size) == 2 and not square:
                strides = list(self.pick((2, 2), (1, 2), (2, 1), (3, 1)))
        elif kind == "dilated":
            dilation = [self.integer(2, 3)] * len(size)
        if padding == "valid":
            taps = [min(k, (n - 1) // d + 1) for k, n, d in zip(taps, size, dilation, strict=True)]
        return {
            "kernel_size": tuple(taps),
            "strides": tuple(strides),
            "dilation_rate": tuple(dilation),
            "padding": padding,
        }

    def conv(self, x: Any, filters: int | None = None, **kwargs: Any) -> Any:
        """A convolution layer that keeps the length, and the channels unless told otherwise."""
        size = (self.integer(1, 5),) if rank(x) == 1 else self.pick((3, 3), (1, 1), (3, 1), (1, 2))
        padding = self.pick("same", "causal") if rank(x) == 1 else "same"
        return self.nd("Conv", x, filters or channels(x), size, padding=padding, **self.common(), **kwargs)

    def alike(self, x: Any) -> Any:
        """A tensor of the same shape, made in some way."""
        kind = self.integer(0, 6)
        if kind <= 2:
            return self.conv(x)(x)
        if kind == 3:
            return self.new("Dense", channels(x), **self.common())(x)
        if kind == 4:
            return self.new("BatchNormalization")(self.conv(x)(x))
        if kind == 5:
            return self.nd("SeparableConv", x, channels(x), 3, padding="same", **self.common())(x)
        return self.nd("DepthwiseConv", x, 3, padding="same")(self.conv(x)(x))

    def alike_or(self, x: Any) -> Any:
        """The same, or the tensor itself."""
        return self.pick(lambda: x, lambda: self.alike(x), lambda: activate(self, x))()

    def merge(self, tensors: list[Any]) -> Any:
        """Element by element, with a layer or an operator."""
        kind = self.pick("Add", "Add", "Multiply", "Average", "Maximum", "Minimum", "Subtract", "operator")
        if kind == "operator":
            first, second, *rest = tensors
            merged = self.pick(
                lambda: first + second,
                lambda: first - second,
                lambda: first * second,
                lambda: ops.maximum(first, second),
                lambda: ops.add(second, first),
                lambda: first / (second * second + 1.0),
            )()
            return self.merge([merged, *rest]) if rest else merged
        if kind == "Subtract":
            tensors = tensors[:2]
        return self.new(kind)(tensors)

    def block(self, shape: tuple[int, ...], depth: int = 0) -> Any:
        """A model that keeps the shape of its input."""
        if self.chance(0.3):
            x = keras.KerasTensor((None, *shape))
            parts = [self.conv(x), self.new("BatchNormalization"), self.new("ReLU"), self.conv(x)]
            return keras.Sequential([keras.Input(shape), *parts], name=self.model_name())
        x = inputs = keras.Input(shape)
        x = self.conv(x, self.integer(2, 6))(x)
        x = self.new("BatchNormalization")(x)
        if depth == 0 and self.chance(0.3):
            x = self.block(x.shape[1:], depth=1)(x)
        if self.chance(0.5):
            x = self.merge([x, self.alike(x)])
        x = self.conv(x, shape[-1])(x)
        if self.chance(0.4):
            x = self.merge([inputs, x])
        return keras.Model(inputs, x, name=self.model_name())

    def model_name(self) -> str | None:
        self.count += 1
        return f"model_n{self.count}" if self.named else None

    # -- the network --------------------------------------------------------------------------------------------------

    def input(self, shape: tuple[int, ...], dtype: str = "float32") -> Any:
        self.inputs.append(keras.Input(shape, dtype=dtype, name=f"input_n{len(self.inputs)}" if self.named else None))
        return self.inputs[-1]

    def start(self) -> Any:
        if self.chance(0.35):
            return self.input((self.integer(6, 9), self.integer(6, 9), self.integer(2, 3)))
        length = self.integer(8, 24)
        if self.chance(0.08):
            return self.new("Embedding", 7, self.integer(3, 6))(self.input((length,), "int32"))
        x = self.input((length, self.integer(2, 6)))
        if self.chance(0.08):
            normalization = self.new("Normalization")
            normalization.adapt(5 + 3 * self.normal(16, *x.shape[1:]))
            return normalization(x)
        return x

    def walk(self, x: Any, steps: int) -> Any:
        names = list(STEPS)
        weights = np.array([STEPS[name][1] for name in names])
        while steps:
            result = STEPS[names[self.rng.choice(len(names), p=weights / weights.sum())]][0](self, x)
            if result is not None and None not in result.shape[1:]:
                x, steps = self.trim(result), steps - 1
        return x

    def trim(self, x: Any) -> Any:
        """Keep it small, but not too small to go on with."""
        if channels(x) > MOST_CHANNELS:
            x = self.new("Dense", self.integer(4, 6))(x)
        while np.prod(x.shape[1:]) > MOST_ELEMENTS:
            x = self.nd("MaxPooling", x, 2)(x)
        if min(space(x)) < 4:
            x = self.nd("UpSampling", x, 4)(x)
        return x

    def head(self, x: Any) -> Any:
        kind = self.pick("flatten", "global", "mean", "raw", "flatten", "global")
        if kind == "raw":
            return self.conv(x, self.integer(1, 4))(x)
        if kind == "flatten":
            x = self.new("Flatten")(x)
        elif kind == "global":
            x = self.nd(self.pick("GlobalAveragePooling", "GlobalMaxPooling"), x)(x)
        else:
            x = ops.mean(x, axis=self.pick(tuple(range(1, rank(x) + 1)), tuple(range(-rank(x) - 1, -1))))
        if self.chance(0.5):
            x = self.new("Dense", self.integer(3, 8), **self.common())(x)
            x = self.pick(lambda: x, lambda: self.new("Dropout", 0.5)(x), lambda: self.new("BatchNormalization")(x))()
        return self.new("Dense", self.integer(1, 5), activation=self.pick(None, "softmax", "sigmoid"))(x)

    def finish(self, x: Any) -> keras.Model:
        self.outputs.insert(0, self.head(x))
        inputs: Any = self.inputs if len(self.inputs) > 1 or self.chance(0.2) else self.inputs[0]
        outputs: Any = self.outputs if len(self.outputs) > 1 else self.outputs[0]
        if self.chance(0.1):
            inputs = {tensor.name: tensor for tensor in self.inputs}
        if self.chance(0.1):
            outputs = {f"out_{index}": tensor for index, tensor in enumerate(self.outputs)}
        return keras.Model(inputs, outputs, name="network")


def rank(x: Any) -> int:
    return len(x.shape) - 2


def space(x: Any) -> tuple[int, ...]:
    return tuple(x.shape[1:-1])


def channels(x: Any) -> int:
    return x.shape[-1]


# -- layers with weights ----------------------------------------------------------------------------------------------


@step(10)
def conv(net, x):
    filters, groups = net.integer(1, 8), 1
    if net.chance(0.15):
        groups = net.pick(*(g for g in range(1, channels(x) + 1) if channels(x) % g == 0))
        filters = groups * net.integer(1, 2)
    return net.nd("Conv", x, filters, groups=groups, **net.window(x, causal=rank(x) == 1), **net.common())(x)


@step(2)
def depthwise(net, x):
    window = net.window(x, square=True)
    return net.nd("DepthwiseConv", x, depth_multiplier=net.integer(1, 3), **window, **net.common())(x)


@step(2)
def separable(net, x):
    window, multiplier = net.window(x, square=True), net.integer(1, 2)
    layer = net.nd("SeparableConv", x, net.integer(2, 8), depth_multiplier=multiplier, **window, **net.common())
    return layer(x)


@step(2)
def transposed(net, x):
    taps, strides, padding = net.integer(1, 4), net.integer(1, 2), net.pick("same", "valid")
    kind = f"Conv{rank(x)}DTranspose"
    return net.new(kind, net.integer(2, 6), taps, strides=strides, padding=padding, **net.common())(x)


@step(1)
def channels_first(net, x):
    """Layers that have the channels in front; no bias, which Keras adds along time if that has the same length."""
    last = rank(x) + 1
    first, again = net.new("Permute", (last, *range(1, last))), net.new("Permute", (*range(2, last + 1), 1))
    form = {"data_format": "channels_first"}
    window = net.window(x)
    layer = net.pick(
        net.nd("Conv", x, net.integer(2, 6), use_bias=False, **window, **form),
        net.nd("ZeroPadding", x, 1, **form),
        net.nd("AveragePooling", x, 2, **form),
        net.nd("GlobalMaxPooling", x, keepdims=True, **form),
        net.new("BatchNormalization", axis=1),
    )
    return again(layer(first(x)))


@step(3)
def dense(net, x):
    return net.new("Dense", net.integer(2, 8), **net.common())(x)


@step(6)
def normalize(net, x):
    arguments = {"center": net.chance(0.8), "scale": net.chance(0.8)}
    if net.chance(0.1):
        arguments["axis"] = 1
    layer = net.new("BatchNormalization", **arguments)
    return layer(x, training=False) if net.chance(0.1) else layer(x)


# -- element by element -----------------------------------------------------------------------------------------------


@step(6)
def activate(net, x):
    shared = net.pick(None, list(range(1, rank(x) + 1)), [1])
    return net.pick(
        lambda: net.new("Activation", net.pick(*ELEMENTWISE))(x),
        lambda: net.new("Activation", net.pick(*ELEMENTWISE))(x),
        lambda: net.new("ReLU", max_value=net.pick(None, 2.0), negative_slope=0.1, threshold=net.pick(0.0, 0.3))(x),
        lambda: net.new("LeakyReLU", 0.3)(x),
        lambda: net.new("Identity")(x),
        lambda: net.new("ELU", 0.7)(x),
        lambda: net.new("PReLU", shared_axes=shared)(x),
        lambda: net.new("Softmax", axis=net.pick(1, -rank(x) - 1))(x),
        lambda: ops.relu(x),
        lambda: ops.softmax(x, axis=1),
        lambda: ops.sigmoid(x) + ops.tanh(x),
        lambda: ops.exp(ops.tanh(x)),
        lambda: ops.clip(x, -0.5, 1.0),
        lambda: ops.sqrt(ops.abs(x) + 1.0),
        lambda: net.new("Rescaling", 0.5, 0.1)(x),
        lambda: net.new("Rescaling", net.normal(channels(x)).tolist(), 0.3)(x),
    )()


@step(2)
def noise(net, x):
    return net.pick(
        lambda: net.new("Dropout", 0.3)(x),
        lambda: net.new("Dropout", 0.3, noise_shape=(None, *[1] * rank(x), channels(x)))(x),
        lambda: net.nd("SpatialDropout", x, 0.3)(x),
        lambda: net.new("GaussianNoise", 0.3)(x),
        lambda: net.new("GaussianDropout", 0.3)(x),
        lambda: net.new("AlphaDropout", 0.3)(x),
    )()


@step(4)
def arithmetic(net, x):
    size = channels(x)
    return net.pick(
        lambda: x * 0.5,
        lambda: x + 1.0,
        lambda: 1.0 - x,
        lambda: x / 2.0,
        lambda: x**2 * 0.3,
        lambda: -x,
        lambda: x * net.normal(size),
        lambda: ops.add(net.normal(1, size), x),
        lambda: x - net.normal(space(x)[-1], 1),
        lambda: ops.maximum(x, net.normal(*x.shape[1:])),
        lambda: ops.multiply(ops.convert_to_tensor(net.normal(size)), x),
        lambda: ops.add(x, net.normal(1, *[1] * rank(x), size)),
    )()


# -- time and space ---------------------------------------------------------------------------------------------------


@step(4)
def pool(net, x):
    kind = net.pick("MaxPooling", "AveragePooling")
    return net.nd(kind, x, net.integer(2, 3), strides=net.pick(None, 1, 2), padding=net.pick("same", "valid"))(x)


@step(3)
def resize(net, x):
    two = rank(x) == 2
    uneven = (net.integer(0, 2), net.integer(0, 2))
    wide = (x.shape[1] + net.integer(1, 3), *x.shape[2:-1])
    return net.pick(
        lambda: net.nd("UpSampling", x, 2)(x),
        lambda: net.nd("ZeroPadding", x, net.integer(1, 2))(x),
        lambda: net.nd("ZeroPadding", x, (uneven, (1, 0)) if two else uneven)(x),
        lambda: net.nd("Cropping", x, ((1, 0), (0, 1)) if two else (1, 0))(x),
        lambda: net.new("Resizing", *wide)(x) if two else None,
        lambda: ops.repeat(x, 2, axis=1),
        lambda: ops.flip(x, axis=net.pick(1, -1)),
        lambda: ops.pad(x, [(0, 0), (1, 2), *[(0, 0)] * rank(x)], constant_values=net.pick(None, 0.7)),
        lambda: ops.pad(x, [(0, 0), *[(0, 0)] * rank(x), (1, 1)]),
    )()


@step(3)
def slice_(net, x):
    n, c = x.shape[1], channels(x)
    start = net.integer(0, c - 1)
    stop = net.integer(start + 1, c)
    return net.pick(
        lambda: x[:, 1:],
        lambda: x[:, ::2],
        lambda: x[:, n // 2 :],
        lambda: x[..., start:stop],
        lambda: x[:, ..., ::2],
        lambda: x[..., ::-1],
        lambda: x[..., ::-2],
        lambda: x[..., start : start + 1],
        lambda: x[:, :-1, ..., start:stop],
        lambda: x[:, None][:, 0],
        lambda: x[..., start, None],
        lambda: ops.expand_dims(x[..., start], -1),
        lambda: ops.expand_dims(x[:, 0], 1) + x,
        lambda: ops.concatenate([x[..., start:], x[..., :start]], axis=-1) if start else None,
    )()


@step(3)
def split(net, x):
    c = channels(x)
    if c < 2:
        return None
    middle = net.integer(1, c - 1)

    def gated():
        value, gate = ops.split(x, 2, axis=-1)
        return value * ops.sigmoid(gate)

    return net.pick(
        lambda: gated() if c % 2 == 0 else None,
        lambda: net.alike(ops.split(x, [middle], axis=-1)[net.integer(0, 1)]),
        lambda: net.new("Concatenate")([net.alike(part) for part in ops.split(x, [middle], axis=-1)]),
        lambda: net.merge(ops.split(x, 2, axis=1)) if x.shape[1] % 2 == 0 else None,
        lambda: ops.concatenate(ops.split(net.alike(x), [2], axis=1)[::-1], axis=1),
    )()


# -- branches ---------------------------------------------------------------------------------------------------------


@step(8)
def merge(net, x):
    return net.merge([net.alike_or(x), net.alike(x), *[net.alike(x) for _ in range(net.chance(0.2))]])


@step(5)
def residual(net, x):
    """A shortcut and what goes round it: one branch or two, a block in a block, blocks in a row, a shared branch."""

    def added(*tensors):
        if net.chance(0.5):
            return net.new("Add")(list(tensors))
        return sum(tensors[1:], tensors[0])

    def branch(x, depth=0):
        inside = net.conv(x, net.integer(2, 5))(x)
        if depth == 0 and net.chance(0.3):
            inside = added(inside, branch(inside, depth=1))
        if net.chance(0.5):
            inside = net.new("BatchNormalization")(inside)
        return net.conv(inside, channels(x))(inside)

    def projected():
        filters = net.integer(2, 6)
        inside = net.conv(x, net.integer(2, 5))(x)
        return added(net.conv(inside, filters)(inside), net.conv(x, filters)(x))

    def in_a_row():
        first = added(x, branch(x))
        return added(branch(first), first)

    shared = net.conv(x)
    return net.pick(
        lambda: added(x, branch(x)),
        lambda: net.new("Add")([branch(x), x, branch(x)]),
        lambda: net.new("ReLU")(added(net.conv(x)(x), branch(x))),
        projected,
        in_a_row,
        lambda: added(x, net.block(x.shape[1:])(x)),
        lambda: shared(added(x, shared(branch(x)))),
        lambda: added(x, shared(shared(x))),
    )()


@step(5)
def concatenate(net, x):
    wide = net.conv(x, net.integer(1, 5))
    return net.pick(
        lambda: net.new("Concatenate")([net.alike_or(x), wide(x)]),
        lambda: net.new("Concatenate", axis=1)([net.alike_or(x), net.alike(x)]),
        lambda: ops.concatenate([wide(x), net.alike_or(x)], axis=-1),
        lambda: ops.concatenate([x, net.alike(x)], axis=1),
        lambda: net.new("Concatenate")([x, x]),
    )()


@step(3)
def stack(net, x):
    pair = [net.alike_or(x), net.alike(x)]
    return net.pick(
        lambda: ops.mean(ops.stack(pair, axis=1), axis=1),
        lambda: ops.max(ops.stack(pair, axis=-1), axis=-1),
        lambda: ops.stack(pair, axis=2)[:, :, 0],
        lambda: ops.reshape(ops.stack(pair, axis=2), (-1, 2 * x.shape[1], *x.shape[2:])),
    )()


@step(4)
def squeeze_excite(net, x):
    shape = (*[1] * rank(x), channels(x))
    wide, gate = net.integer(2, 4), net.pick("sigmoid", "hard_sigmoid", "tanh")
    first, second = net.new("Dense", wide, activation="relu"), net.new("Dense", channels(x), activation=gate)
    pooling = net.nd(net.pick("GlobalAveragePooling", "GlobalMaxPooling"), x, keepdims=True)
    flat = net.nd("GlobalAveragePooling", x)
    axes = tuple(range(1, rank(x) + 1))
    return net.pick(
        lambda: net.new("Multiply")([x, net.new("Reshape", shape)(second(first(flat(x))))]),
        lambda: net.new("Multiply")([x, second(first(pooling(x)))]),
        lambda: x * second(first(ops.mean(x, axis=axes, keepdims=True))),
        lambda: x * ops.reshape(second(first(ops.mean(x, axis=axes))), (-1, *shape)),
        lambda: x + ops.expand_dims(second(first(ops.max(x, axis=axes))), axes),
        lambda: x - ops.mean(x, axis=axes, keepdims=True),
        lambda: x * net.nd("Conv", x, channels(x), 1, activation=gate)(pooling(x)),
    )()


@step(2)
def attend(net, x):
    """A gate of one channel, which is broadcast."""
    gate = net.nd("Conv", x, 1, 3, padding="same", activation="sigmoid")(x)
    return net.pick(lambda: net.new("Multiply")([x, gate]), lambda: x * gate, lambda: gate + net.alike(x))()


@step(4)
def share(net, x):
    """One layer, called twice."""
    layer = net.conv(x)
    norm = net.new("BatchNormalization")
    window = net.window(x)
    strided = net.nd("Conv", x, net.integer(2, 5), **window, **net.common())

    def on_two_lengths():
        return net.merge([layer(x), net.nd("UpSampling", x, 2)(layer(net.nd("AveragePooling", x, 2)(x)))])

    def twice_strided():
        return net.new("Concatenate", axis=1)([strided(x), strided(net.nd("ZeroPadding", x, 1)(x))])

    return net.pick(
        lambda: layer(layer(x)),
        lambda: net.merge([layer(x), layer(net.alike(x))]),
        lambda: net.new("Concatenate")([layer(net.alike(x)), layer(x)]),
        lambda: norm(net.alike(norm(x))),
        lambda: on_two_lengths() if all(size % 2 == 0 for size in space(x)) else None,
        lambda: twice_strided() if rank(x) == 1 else None,
        lambda: net.merge([norm(layer(x)), norm(net.conv(x)(x))]),
    )()


@step(4)
def nest(net, x):
    """A model in the model, called once or twice."""
    model = net.block(x.shape[1:])
    return net.pick(
        lambda: model(x),
        lambda: model(model(x)),
        lambda: net.merge([model(x), model(net.alike(x))]),
        lambda: net.new("Concatenate")([model(x), model(net.alike(x))]),
    )()


@step(2)
def nest_merging(net, x):
    """A model with two inputs and two outputs."""
    first, second = keras.Input(x.shape[1:]), keras.Input(x.shape[1:])
    merged = net.merge([net.conv(first)(first), second])
    model = keras.Model([first, second], [merged, net.alike(merged)], name=net.model_name())
    left, right = model([x, net.alike(x)])
    return net.merge([left, right]) if net.chance(0.7) else net.new("Concatenate")([right, left])


@step(2)
def second_input(net, x):
    if len(net.inputs) > 2:
        return None
    size = channels(x)
    shape = (*[1] * rank(x), size)

    def conditioned():
        return x * net.new("Reshape", shape)(net.new("Dense", size)(net.input((net.integer(2, 4),))))

    return net.pick(
        lambda: net.merge([net.alike(x), net.alike(net.input(x.shape[1:]))]),
        lambda: net.new("Concatenate")([x, net.conv(x, 3)(net.input((*space(x), 2)))]),
        conditioned,
    )()


@step(1.5)
def second_output(net, x):
    if len(net.outputs) > 1:
        return None
    output = net.pick(lambda: x, lambda: net.new("Dense", 3)(net.new("Flatten")(x)), lambda: net.head(x))()
    net.outputs.append(output)
    return net.alike(x)


# -- moving axes ------------------------------------------------------------------------------------------------------


@step(3)
def permute(net, x):
    """Make time the channels for a while, or for good."""
    last = rank(x) + 1
    swapped = (*range(2, last), last, 1)
    axes = (0, *swapped)

    def back(y):
        return ops.transpose(y, (0, last, *range(1, last)))

    wide = net.integer(2, 6)
    return net.pick(
        lambda: net.new("Permute", swapped)(x),
        lambda: ops.transpose(x, axes),
        lambda: back(ops.relu(ops.transpose(x, axes))),
        lambda: back(net.new("Dense", wide)(net.new("Permute", swapped)(x))),
        lambda: ops.moveaxis(net.alike(ops.moveaxis(x, 1, -1)), -1, 1),
        lambda: ops.swapaxes(ops.swapaxes(x, 1, 2), 2, 1),
    )()


@step(3)
def reshape(net, x):
    n, c, rest = x.shape[1], channels(x), x.shape[2:-1]
    flat = int(np.prod(x.shape[1:]))

    def shuffled():
        split_up = net.new("Reshape", (*space(x), 2, c // 2))(x)
        axes = range(1, rank(x) + 1)
        return net.new("Reshape", x.shape[1:])(net.new("Permute", (*axes, rank(x) + 2, rank(x) + 1))(split_up))

    return net.pick(
        lambda: net.new("Reshape", x.shape[1:])(net.new("Flatten")(x)),
        lambda: net.new("Reshape", (-1, c))(x) if rank(x) == 1 or net.chance(0.5) else None,
        lambda: ops.reshape(x, (-1, *rest, n * c)) if rank(x) == 2 else None,
        lambda: net.new("Reshape", (n // 2, *rest, 2 * c))(x) if n % 2 == 0 else None,
        lambda: ops.reshape(x, (-1, 2 * n, *rest, c // 2)) if c % 2 == 0 else None,
        lambda: shuffled() if c % 2 == 0 else None,
        lambda: net.new("Reshape", (flat // 2, 2))(x) if flat % 2 == 0 else None,
        lambda: ops.squeeze(ops.expand_dims(x, 2), 2),
    )()


@step(2)
def vector(net, x):
    """To a vector and back."""
    wide = net.integer(4, 6)
    pooled = net.nd("GlobalAveragePooling", x)(x)
    again = net.new("RepeatVector", wide)
    return net.pick(
        lambda: again(pooled),
        lambda: again(net.new("Dense", wide, **net.common())(net.new("Flatten")(x))),
        lambda: net.new("Reshape", (wide, 2))(net.new("Dense", 2 * wide)(pooled)),
        lambda: ops.repeat(ops.expand_dims(net.new("Dense", 3)(pooled), 1), 5, axis=1),
    )()


# -- what is not followed ---------------------------------------------------------------------------------------------


@step(5)
def unknown(net, x):
    two = rank(x) == 2
    heads = net.new("MultiHeadAttention", 2, 3)
    query = net.alike(x)
    return net.pick(
        lambda: net.new("LayerNormalization")(x),
        lambda: net.new("UnitNormalization")(x),
        lambda: heads(query, x),
        lambda: net.new("TimeDistributed", layers.LayerNormalization())(x),
        lambda: Mix(name=f"mix_n{net.count}")(x),
        lambda: net.new("Activation", net.pick(*MIXING))(x),
        lambda: net.conv(x, 3)(net.nd("Conv", x, 3, 1, activation=net.pick(*MIXING))(x)),
        lambda: net.new("Softmax")(x),
        lambda: ops.softmax(x),
        lambda: ops.take(x, [1, 0, 2], axis=1),
        lambda: ops.roll(x, 1, axis=-1),
        lambda: ops.cumsum(x, axis=1) * 0.1,
        lambda: ops.matmul(x, ops.softmax(ops.matmul(ops.swapaxes(x, -1, -2), query))),
        lambda: ops.where(x > 0, x, query),
        lambda: x - ops.mean(x, axis=-1, keepdims=True),
        lambda: ops.tile(x, [1, *[1] * rank(x), 2]),
        lambda: None if two else net.new("LSTM", 3, return_sequences=True)(x),
        lambda: None if two else net.new("Bidirectional", layers.GRU(2, return_sequences=True))(x),
        lambda: None if two else net.new("Attention")([query, x]),
        lambda: None if two else net.new("EinsumDense", "abc,cd->abd", (None, 4))(x),
        lambda: ops.layer_normalization(x) if hasattr(ops, "layer_normalization") else None,
    )()


# -- the whole --------------------------------------------------------------------------------------------------------


def random_network(seed: int) -> keras.Model:
    """A network with random weights."""
    keras.utils.set_random_seed(seed % 2**31)
    net = Net(seed)
    model = net.finish(net.walk(net.start(), net.integer(2, 7)))
    for layer in model.layers:
        if net.chance(0.03):
            layer.trainable = False
    randomize(model, net.rng)
    return model


def randomize(model: keras.Model, rng: np.random.Generator) -> None:
    """Give every weight a random value, of a size that keeps the outputs moderate."""
    for weight in model.weights:
        values = rng.normal(size=weight.shape)
        if weight.name == "moving_variance":
            values = rng.uniform(0.5, 2.0, weight.shape)
        elif weight.name == "gamma":
            values = rng.choice([-1.0, 1.0], weight.shape) * rng.uniform(0.5, 1.5, weight.shape)
        elif "kernel" in weight.name:
            across = weight.shape[-2] if weight.name == "depthwise_kernel" else 1
            values = values * (1.2 / np.sqrt(values[..., 0].size / across))
        elif weight.name in ("mean", "variance", "count"):
            continue  # what a Normalization layer has adapted to
        else:
            values = 0.5 * values
        weight.assign(values.astype("float32"))


def random_masks(search: Any, rng: np.random.Generator, density: float | None = None) -> None:
    """Give every mask variable random values in [0, 1], about `density` of them above 0.5; None: varied."""
    for variable in keras_pit.mask_variables(search):
        share = rng.choice([0.0, 0.1, 0.3, 0.6, 0.9, 1.0]) if density is None else density
        on = rng.random(variable.shape) < share
        values = np.where(on, rng.uniform(0.51, 1.0, variable.shape), rng.uniform(0.0, 0.5, variable.shape))
        # Ties among the strongest, and the threshold itself, which is off.
        variable.assign(np.round(values, 1) if rng.random() < 0.3 else values)


def arguments(model: keras.Model, rng: np.random.Generator) -> dict[str, Any]:
    """Random arguments for `convert`, the default ones more often than not."""
    result: dict[str, Any] = {"regularizer": str(rng.choice(["size", "macs"]))}
    if rng.random() < 0.35:
        result["search"] = SEARCHES[rng.integers(len(SEARCHES))]
    if rng.random() < 0.2:
        layer = model.layers[rng.integers(len(model.layers))]
        result["exclude"] = layer.name if rng.random() < 0.5 else type(layer)
    if rng.random() < 0.3:
        result["round_to"] = int(rng.choice([2, 4]))
    if rng.random() < 0.3:
        result["search"] = (*result.get("search", SEARCHES[0]), "inputs")
    if rng.random() < 0.5:
        result["search"] = (*result.get("search", SEARCHES[0]), "branches")
    return result


def data(model: keras.Model, rng: np.random.Generator, batch: int = 2) -> Any:
    """A batch for a model, in the structure of its inputs."""

    def values(tensor: Any) -> np.ndarray:
        shape = (batch, *(size or 24 for size in tensor.shape[1:]))
        if tensor.dtype == "int32":
            return rng.integers(0, 7, shape).astype("int32")
        return rng.normal(size=shape).astype("float32")

    return keras.tree.map_structure(values, model.input)


def read(search: Any, x: Any) -> Any:
    """What the exported model takes of a batch: the channels of its inputs that are still read."""
    known = {each.name: list(each.read) for each in keras_pit.summary(search).inputs}
    values = [
        value[..., known[name]] if (name := tensor._keras_history.operation.name) in known else value
        for tensor, value in zip(search.inputs, keras.tree.flatten(x), strict=True)
    ]
    return keras.tree.pack_sequence_as(x, values)


def gone(search: Any) -> set[str]:
    """The names of what the exported model has not, as the branches that need it are off."""
    branches = search.channels.branches
    sums = [one for one in branches.places if len(one.kept_operands(len(one.input))) == 1]
    return {one.name for one in [*sums, *(one for one, need in branches.needs.items() if not presence(need))]}


def describe(model: keras.Model, indent: str = "") -> str:
    """The network, a line for each operation."""
    lines = []
    for operation in getattr(model, "operations", model.layers):
        shapes = [tuple(node.outputs[0].shape[1:]) for node in operation._inbound_nodes]
        lines.append(f"{indent}{operation.name} ({type(operation).__name__}) {shapes}")
        if isinstance(operation, keras.Model):
            lines.append(describe(operation, indent + "    "))
    return "\n".join(lines)


if __name__ == "__main__":
    print(describe(random_network(int(sys.argv[1]))))
