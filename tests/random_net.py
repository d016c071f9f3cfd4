"""A random network in the making: what steps share (see `generator`).

A step is a function of the network and a tensor, registered with how often it is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

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
        return self.pick(lambda: x, lambda: self.alike(x), lambda: STEPS["activate"][0](self, x))()

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
