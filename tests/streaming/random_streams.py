"""Random networks that stream: branches, concatenations, squeeze-and-excitation, strides, pooling, all paddings.

model = random_stream(7)       the same seed makes the same network, weights and all
x = windows(model, 8)          windows that it takes
"""

import warnings

import keras
import numpy as np
from generator import random_masks, randomize
from keras import layers

import keras_pit

FUNCTIONS = ("relu", "relu", "relu6", "tanh", "sigmoid", "leaky_relu", "gelu", "elu", "linear")


class _Maker:
    """Draws the layers of one network."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.padding = self.rng.choice(["causal", "valid", "same", "mixed"], p=[0.4, 0.2, 0.2, 0.2])

    def pick(self, *options):
        return options[self.rng.integers(len(options))]

    def kept(self):
        """A padding that keeps the length."""
        return self.pick("causal", "same") if self.padding == "mixed" else self.padding

    def conv(self, x, strides=1, padding=None):
        padding = padding or (self.kept() if self.padding != "valid" else "valid")
        size, dilation = self.pick(1, 2, 3, 5), 1 if strides > 1 else self.pick(1, 1, 2, 3)
        if padding == "valid" and (size - 1) * dilation >= x.shape[1] // 2:
            size = 1
        kind = self.pick("conv", "conv", "depthwise", "separable", "grouped")
        own = {"strides": strides, "dilation_rate": dilation, "padding": padding}
        if kind in ("depthwise", "separable") and padding == "causal":
            x, own["padding"] = layers.ZeroPadding1D(((size - 1) * dilation, 0))(x), "valid"
        if kind == "depthwise":
            x = layers.DepthwiseConv1D(size, depth_multiplier=self.pick(1, 1, 2), **own)(x)
        elif kind == "separable":
            x = layers.SeparableConv1D(self.pick(4, 6, 8), size, **own)(x)
        else:
            groups = 2 if kind == "grouped" and x.shape[-1] % 2 == 0 else 1
            x = layers.Conv1D(self.pick(4, 6, 8), size, groups=groups, **own)(x)
        if self.rng.random() < 0.4:
            x = layers.BatchNormalization()(x)
        return layers.Activation(self.pick(*FUNCTIONS))(x)

    def branch(self, x):
        """Two or three ways, added or side by side; those that are added have equal widths."""
        if self.padding == "valid":
            return self.conv(x)
        strides = self.pick(1, 1, 2)
        ways = [self.conv(x, strides) for _ in range(self.pick(1, 2))]
        if self.rng.random() < 0.5:
            width = ways[0].shape[-1]
            others = [layers.Conv1D(width, 1)(way) for way in ways[1:]]
            short = layers.Conv1D(width, 1, strides=strides, padding=self.kept())(x)
            return layers.Activation("relu")(layers.Add()([ways[0], *others, short]))
        if strides == 1:
            ways.append(x)
        return layers.Concatenate()(ways) if len(ways) > 1 else ways[0]

    def strided(self, x):
        if x.shape[1] < 8:
            return x
        kind = self.pick("conv", "max", "average")
        if kind == "conv":
            return self.conv(x, 2)
        return (layers.MaxPooling1D if kind == "max" else layers.AveragePooling1D)(self.pick(2, 3), 2)(x)

    def squeeze(self, x):
        """What it and all behind it computes is about the window."""
        gate = layers.GlobalAveragePooling1D()(x)
        gate = layers.Dense(x.shape[-1], activation="sigmoid")(layers.Dense(4, activation="relu")(gate))
        return layers.Multiply()([x, layers.Reshape((1, x.shape[-1]))(gate)])

    def head(self, x):
        kind = self.pick("average", "average", "max", "both", "flat", "last", "sequence")
        if kind == "sequence":
            return layers.Dense(3)(x)
        if kind == "last":
            return layers.Dense(3)(x[:, -1])
        if kind == "flat":
            return layers.Dense(3)(layers.Flatten()(x))
        pools = [layers.GlobalAveragePooling1D()(x)] * (kind != "max") + [layers.GlobalMaxPooling1D()(x)] * (
            kind != "average"
        )
        return layers.Dense(3)(pools[0] if len(pools) == 1 else layers.Concatenate()(pools))

    def model(self):
        x = inputs = keras.Input((int(self.rng.integers(14, 25)), int(self.rng.integers(1, 5))))
        for _ in range(self.rng.integers(1, 5)):
            x = self.pick(self.conv, self.conv, self.branch, self.strided)(x)
        if self.rng.random() < 0.15:
            x = self.conv(self.squeeze(x), padding="valid" if self.padding == "valid" else "same")
        outputs = self.head(x)
        model = keras.Model(inputs, outputs)
        randomize(model, self.rng)
        return model


class _Residual(_Maker):
    """Blocks with shortcuts round two layers or more, of which some may go."""

    def kept(self):
        return self.padding if self.padding in ("causal", "same") else self.pick("causal", "same")

    def block(self, x, depth=0):
        width, strides = x.shape[-1], self.pick(1, 1, 2) if x.shape[1] >= 8 else 1
        y = self.conv(x, strides, self.kept())
        if depth == 0 and self.rng.random() < 0.3:
            y = self.block(y, 1)
        y = layers.Conv1D(width, self.pick(1, 3, 5), padding=self.kept())(y)
        if self.rng.random() < 0.4:
            y = layers.BatchNormalization()(y)
        if y.shape[1] != x.shape[1]:
            x = layers.Conv1D(width, 1, strides=x.shape[1] // y.shape[1], padding="same")(x)
        x = layers.Add()([x, y] if self.rng.random() < 0.5 else [y, x])
        return layers.Activation(self.pick("relu", "relu", "tanh", "linear"))(x)

    def model(self):
        x = inputs = keras.Input((int(self.rng.integers(4, 7)) * 4, int(self.rng.integers(1, 5))))
        x = self.conv(x, padding=self.kept())
        for _ in range(self.rng.integers(1, 4)):
            x = self.pick(self.block, self.block, lambda x: self.conv(x, padding=self.kept()))(x)
        model = keras.Model(inputs, self.head(x))
        randomize(model, self.rng)
        return model


def random_residual(seed):
    """A random network with branches that may go."""
    keras.utils.set_random_seed(seed)
    return _Residual(seed).model()


def random_stream(seed):
    """A random network; every second one as a search leaves it, in any state of its masks."""
    keras.utils.set_random_seed(seed)
    maker = _Maker(seed)
    model = maker.model()
    if seed % 2:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # where nothing can be searched
            search = keras_pit.convert(model)
        random_masks(search, maker.rng)
        model = keras_pit.export(search)
    return model


def windows(model, count, seed=0):
    """Calibration data."""
    return np.random.default_rng(seed).normal(size=(count, *model.input_shape[1:])).astype("float32")
