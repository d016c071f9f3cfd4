"""Random networks with branches, of operators that are known before a file is made.

model = branching(7)      the same seed makes the same network, weights included
model = residual(7)       of blocks with shortcuts
"""

from typing import Any

import keras
import numpy as np
from keras import layers

ACTIVATIONS = (None, "relu", "swish", "sigmoid", "relu6", "tanh")


class _Maker:
    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def pick(self, *options: Any) -> Any:
        return options[self.rng.integers(len(options))]

    def conv(self, x: Any, width: int) -> Any:
        """A convolution that keeps the length."""
        return layers.Conv1D(
            width,
            self.pick(1, 3, 5, 8),
            padding=self.pick("same", "causal"),
            dilation_rate=self.pick(1, 1, 2),
            activation=self.pick(*ACTIVATIONS),
        )(x)

    def operator(self, x: Any) -> Any:
        """Any operator that keeps the length."""
        kind = self.pick("conv", "conv", "conv", "depthwise", "separable", "pool", "activation", "norm")
        if kind == "conv":
            return self.conv(x, self.pick(4, 8, 12, 16, 24))
        if kind == "depthwise":
            taps, activation = self.pick(3, 5), self.pick(*ACTIVATIONS)
            return layers.DepthwiseConv1D(taps, padding="same", activation=activation)(x)
        if kind == "separable":
            width, activation = self.pick(8, 16), self.pick(*ACTIVATIONS)
            return layers.SeparableConv1D(width, 3, padding="same", activation=activation)(x)
        if kind == "pool":
            return self.pick(layers.MaxPooling1D, layers.AveragePooling1D)(self.pick(2, 3), 1, "same")(x)
        if kind == "activation":
            return layers.Activation(self.pick("relu", "sigmoid", "tanh"))(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    def branch(self, x: Any) -> Any:
        for _ in range(self.rng.integers(4)):
            x = self.operator(x)
        return x

    def merged(self, branches: list[Any]) -> Any:
        merge, width = self.pick("Concatenate", "Add", "Multiply", "Maximum"), self.pick(8, 16)
        if merge != "Concatenate":
            branches = [x if x.shape[-1] == width else self.conv(x, width) for x in branches]
        return getattr(layers, merge)()(branches)

    def plain(self, x: Any, width: int) -> Any:
        """A convolution without activation."""
        padding, rate = self.pick("same", "causal"), self.pick(1, 2)
        return layers.Conv1D(width, self.pick(1, 3, 5), padding=padding, dilation_rate=rate)(x)

    def block(self, x: Any, depth: int = 0) -> Any:
        """A shortcut, identity or projection, and what goes round it; a block may have one inside."""
        style, width = self.pick("v1", "v1", "v2", "linear", "three"), x.shape[-1]
        projects = self.rng.random() < 0.3
        if projects:
            width = self.pick(4, 8, 12)
        y = layers.ReLU()(layers.BatchNormalization()(x)) if style == "v2" else x
        y = self.plain(y, self.pick(4, 8, 12))
        if depth == 0 and self.rng.random() < 0.3:
            y = self.block(y, 1)
        y = self.plain(layers.ReLU()(layers.BatchNormalization()(y)), width)
        if self.rng.random() < 0.5:
            y = layers.BatchNormalization()(y)
        operands = [layers.Conv1D(width, 1)(x) if projects else x, y]
        if style == "three":
            operands.append(self.plain(layers.ReLU()(self.plain(x, 4)), width))
        added = layers.Add()(operands if self.rng.random() < 0.5 else operands[::-1])
        return (
            layers.Activation(self.pick("relu", "relu", "relu6", "tanh"))(added) if style in ("v1", "three") else added
        )


def branching(seed: int, deep: int = 3) -> keras.Model:
    """A random network of up to so many blocks, each with two or three branches."""
    make = _Maker(seed)
    x = inputs = keras.Input((make.pick(40, 64, 100), make.pick(1, 3, 4, 6)))
    before = [x]
    for _ in range(make.rng.integers(1, deep + 1)):
        starts = [make.pick(*before[-3:]) if make.rng.random() < 0.25 else x for _ in range(make.pick(2, 3))]
        x = make.merged([make.branch(start) for start in starts])
        before.append(x)
        if make.rng.random() < 0.3:
            x = layers.MaxPooling1D(2)(x)
            before = [x]
    x = make.pick(layers.GlobalAveragePooling1D(), layers.Flatten())(x)
    model = keras.Model(inputs, layers.Dense(5, activation=make.pick(None, "softmax"))(x))
    trained(model, make.rng)
    return model


def residual(seed: int, deep: int = 3) -> keras.Model:
    """A random network of up to so many residual blocks, in the styles of ResNet (v1, v2), MobileNetV2 and ResNeXt."""
    make = _Maker(seed)
    x = inputs = keras.Input((40, make.pick(1, 4)))
    if make.rng.random() < 0.7:
        x = make.plain(x, 8)
    if make.rng.random() < 0.5:
        x = layers.ReLU()(x)
    for _ in range(make.rng.integers(1, deep + 1)):
        x = make.block(x)
        if make.rng.random() < 0.2:
            x = layers.MaxPooling1D(2)(x)
    model = keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling1D()(x)))
    trained(model, make.rng)
    return model


def trained(model: keras.Model, rng: np.random.Generator) -> None:
    """Give all weights values as after training."""
    for weight in model.weights:
        if weight.name in ("bias", "beta", "moving_mean"):
            weight.assign(0.1 * rng.normal(size=weight.shape))
        elif weight.name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 2, weight.shape))
        else:
            weight.assign(rng.normal(size=weight.shape) / np.sqrt(np.prod(weight.shape[:-1])))
