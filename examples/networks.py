"""Small networks of the literature as plain Keras models: what examples and benchmarks search in.

Every function returns a fresh, untrained Functional model. Classifiers end in a softmax. Weight
decay and initializers belong to the training: weights start as Keras has them by default.

The four networks of the PIT papers (arXiv 2203.14768, 2301.10281) come in two forms. `seed=False`
is the network its authors tuned by hand, with dilated kernels. `seed=True` is where a search
starts: dense kernels (dilation 1) over the same spans or longer ones, so that masking taps gives
the hand-tuned network back, and much else besides:

    hand-tuned   kernel 3, dilation 4    x . . . x . . . x
    seed         kernel 9, dilation 1    x x x x x x x x x

Example:

>>> from examples.networks import NETWORKS
>>> network = NETWORKS["ecgtcn_seed"]
>>> network.count(network.build()) == network.parameters == 24_871
True
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
from keras import layers


@dataclass(frozen=True)
class Network:
    """A network and its published size.

    Attributes:
        build: returns the untrained model.
        parameters: the published number of parameters.
        source: the paper that published it.
        trainable_only: what `parameters` counts. True, PyTorch's convention: weights, biases, and
            the scale and offset of batch normalization. False, `model.count_params()`: also the
            moving mean and variance of batch normalization.
    """

    build: Callable[[], keras.Model]
    parameters: int
    source: str
    trainable_only: bool = True

    def count(self, model: keras.Model) -> int:
        """Returns the number of parameters of `model`, counted as `parameters` was."""
        weights = model.trainable_weights if self.trainable_only else model.weights
        return sum(math.prod(weight.shape) for weight in weights)


def _taps(kernel_size: int, dilation: int, seed: bool, expansion: int = 1) -> dict[str, int]:
    """Kernel arguments of a convolution: as tuned by hand, or the seed's dense kernel.

    The seed's span is `expansion` times the hand-tuned one, made odd: an even kernel has no centre.
    """
    if not seed:
        return {"kernel_size": kernel_size, "dilation_rate": dilation}
    span = ((kernel_size - 1) * dilation + 1) * expansion
    return {"kernel_size": span + 1 - span % 2, "dilation_rate": 1}


def _conv(x: keras.KerasTensor, filters: int, name: str, **arguments: Any) -> keras.KerasTensor:
    return layers.Conv1D(filters, name=name, **{"padding": "causal", **arguments})(x)


def _bn_relu(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _relu_bn(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    x = layers.ReLU(name=f"{name}_relu")(x)
    return layers.BatchNormalization(name=f"{name}_bn")(x)


def temponet(seed: bool = True) -> keras.Model:
    """TEMPONet: heart rate from PPG and acceleration (PPG-DaLiA), windows of 8 s at 32 Hz.

    Batch normalization follows the ReLU. Strided convolutions are the same in both forms; Keras'
    "same" padding makes them look a few samples later than the symmetric padding of PIT's code.

    Args:
        seed: True for the PIT seed (1,628,033 parameters), False for the hand-tuned (426,881).

    Returns:
        A model from (256, 4) to (1,), in beats per minute.

    Source: arXiv 2301.10281, after the sEMG network of Zanghieri et al., IEEE TBioCAS 14(2), 2020.
    """
    blocks: list[tuple[int, tuple[int, int, int], dict[str, int]]] = [
        (2, (32, 32, 64), _taps(5, 1, seed, expansion=2)),
        (4, (64, 64, 128), {"kernel_size": 5, "strides": 2}),
        (8, (128, 128, 128), {"kernel_size": 5, "strides": 4}),
    ]
    inputs = x = keras.Input((256, 4))
    for i, (dilation, (*dilated, pooled), last) in enumerate(blocks):
        taps = _taps(3, dilation, seed, expansion=2)
        for j, filters in enumerate(dilated):
            x = _conv(x, filters, f"block{i}_conv{j}", padding="same", **taps)
            x = _relu_bn(x, f"block{i}_conv{j}")
        name = f"block{i}_conv2"
        x = _conv(x, pooled, name, padding="same", **last)
        x = _relu_bn(layers.AveragePooling1D(2, name=f"{name}_pool")(x), name)
    x = layers.Flatten(name="flatten")(x)
    for i, units in enumerate((256, 128)):
        x = _relu_bn(layers.Dense(units, name=f"dense{i}")(x), f"dense{i}")
    return keras.Model(inputs, layers.Dense(1, name="output")(x), name="temponet")


def ecgtcn(seed: bool = True) -> keras.Model:
    """ECGTCN: arrhythmias in single heart beats (ECG5000), in three causal residual blocks.

    Args:
        seed: True for the PIT seed (24,871 parameters), False for the hand-tuned (15,191).

    Returns:
        A model from (140, 1) to 5 class probabilities.

    Source: arXiv 2301.10281, after Ingolfsson et al., arXiv 2103.13740.
    """
    inputs = keras.Input((140, 1))
    x = _bn_relu(_conv(inputs, 2, "stem", kernel_size=11), "stem")
    for i in range(3):
        shortcut = x
        for j in range(2):
            name = f"block{i}_conv{j}"
            x = _bn_relu(_conv(x, 11, name, **_taps(11, 2**i, seed)), name)
            x = layers.Dropout(0.3, name=f"{name}_dropout")(x)
        name = f"block{i}_shortcut"
        shortcut = _bn_relu(_conv(shortcut, 11, name, kernel_size=1), name)
        x = layers.Add(name=f"block{i}_add")([x, shortcut])
        x = layers.ReLU(name=f"block{i}_relu")(x)
    x = layers.Flatten(name="flatten")(x)
    outputs = layers.Dense(5, activation="softmax", name="output")(x)
    return keras.Model(inputs, outputs, name="ecgtcn")


def tc_resnet14(seed: bool = True, frames: int = 98) -> keras.Model:
    """TC-ResNet14: keywords (Speech Commands) in 98 frames, in six causal residual blocks.

    Blocks 0, 2 and 4 halve the time with their first convolution, which is never dilated. PIT's
    code counts batch normalization but runs without it unless asked; here it runs, as in TC-ResNet.

    Args:
        seed: True for the PIT seed (3,850,812 parameters), False for the hand-tuned (323,388).
        frames: length of the input.

    Returns:
        A model from (frames, 40) to 12 class probabilities.

    Source: arXiv 2301.10281, after Choi et al., arXiv 1904.03814.
    """
    inputs = keras.Input((frames, 40))
    x = _conv(inputs, 24, "stem", kernel_size=3)
    for i, filters in enumerate((36, 36, 48, 48, 72, 72)):
        taps = _taps(9, 2**i, seed)
        strides = 2 if i % 2 == 0 else 1
        first = taps if strides == 1 else {"kernel_size": 9, "strides": strides}
        shortcut = x
        x = _bn_relu(_conv(x, filters, f"block{i}_conv0", **first), f"block{i}_conv0")
        x = _conv(x, filters, f"block{i}_conv1", **taps)
        x = layers.BatchNormalization(name=f"block{i}_conv1_bn")(x)
        name = f"block{i}_shortcut"
        shortcut = _bn_relu(_conv(shortcut, filters, name, kernel_size=1, strides=strides), name)
        x = layers.Add(name=f"block{i}_add")([x, shortcut])
        x = layers.ReLU(name=f"block{i}_relu")(x)
    x = layers.Dropout(0.5, name="dropout")(x)
    x = layers.Flatten(name="flatten")(x)
    outputs = layers.Dense(12, activation="softmax", name="output")(x)
    return keras.Model(inputs, outputs, name="tc_resnet14")


def _attention(x: keras.KerasTensor) -> keras.KerasTensor:
    """The mean of `x` over time, weighted by a learned relevance of each time step."""
    relevance = layers.Dense(x.shape[-1], "tanh", use_bias=False, name="attention_features")(x)
    relevance = layers.Dense(1, use_bias=False, name="attention_relevance")(relevance)
    weights = layers.Softmax(axis=1, name="attention_weights")(relevance)
    return layers.Flatten(name="flatten")(layers.Dot(axes=1, name="attention")([weights, x]))


def tccnet(seed: bool = True) -> keras.Model:
    """TCCNet: hand gestures (Ninapro DB1) from sEMG at 100 Hz, in four causal residual levels.

    No batch normalization. No weight depends on the length of the recording.

    Args:
        seed: True for the PIT seed (1,458,869 parameters), False for the hand-tuned (88,757).

    Returns:
        A model from (150, 10) to 53 class probabilities.

    Source: arXiv 2301.10281, after Tsinganos et al. (sEMG gestures with a TCN), ICASSP 2019.
    """
    # Filters and dilation of each convolution.
    levels = [((32, 1), (32, 2)), ((32, 4), (32, 8)), ((64, 16), (64, 32)), ((128, 64),)]
    inputs = x = keras.Input((150, 10))
    for i, level in enumerate(levels):
        shortcut = x
        for j, (filters, dilation) in enumerate(level):
            name = f"level{i}_conv{j}"
            x = _conv(x, filters, name, **_taps(3, dilation, seed))
            x = layers.ReLU(name=f"{name}_relu")(x)
            x = layers.SpatialDropout1D(0.05, name=f"{name}_dropout")(x)
        shortcut = _conv(shortcut, x.shape[-1], f"level{i}_shortcut", kernel_size=1)
        x = layers.Add(name=f"level{i}_add")([x, shortcut])
    outputs = layers.Dense(53, activation="softmax", name="output")(_attention(x))
    return keras.Model(inputs, outputs, name="tccnet")


def tcn(
    length: int = 128,
    features: int = 6,
    classes: int = 7,
    channels: int = 32,
    kernel_size: int = 7,
    depth: int = 4,
    dropout: float = 0.0,
    seed: bool = True,
) -> keras.Model:
    """A plain causal TCN for windows of sensor data, each layer with twice the span of the last.

    Its receptive field is `1 + (kernel_size - 1) * (2**depth - 1)` samples, 91 by default.

    Args:
        length: samples in a window.
        features: sensor channels.
        classes: classes to tell apart.
        channels: filters of every convolution.
        kernel_size: taps of the dilated kernels, odd.
        depth: number of convolutions.
        dropout: share of channels to drop after each convolution and before the classifier.
        seed: True for dense kernels (91,047 parameters by default), False for dilated (23,463).

    Returns:
        A model from (length, features) to `classes` probabilities.

    Source: this project, after Bai et al., arXiv 1803.01271, without residuals.
    """
    inputs = x = keras.Input((length, features))
    for i in range(depth):
        x = _conv(x, channels, f"conv{i}", **_taps(kernel_size, 2**i, seed))
        x = _bn_relu(x, f"conv{i}")
        if dropout:
            x = layers.SpatialDropout1D(dropout, name=f"conv{i}_dropout")(x)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    if dropout:
        x = layers.Dropout(dropout, name="pool_dropout")(x)
    outputs = layers.Dense(classes, activation="softmax", name="output")(x)
    return keras.Model(inputs, outputs, name="tcn")


def _conv2d(x: keras.KerasTensor, filters: int, name: str, **arguments: Any) -> keras.KerasTensor:
    return layers.Conv2D(filters, padding="same", name=name, **arguments)(x)


def _separable(x: keras.KerasTensor, filters: int, name: str, strides: int) -> keras.KerasTensor:
    depthwise, pointwise = f"{name}_depthwise", f"{name}_pointwise"
    x = layers.DepthwiseConv2D(3, strides=strides, padding="same", name=depthwise)(x)
    x = _bn_relu(x, depthwise)
    return _bn_relu(_conv2d(x, filters, pointwise, kernel_size=1), pointwise)


def _pooled_classifier(x: keras.KerasTensor, classes: int) -> keras.KerasTensor:
    # Not GlobalAveragePooling2D: a mean over axes has no fast kernel on microcontrollers.
    x = layers.AveragePooling2D(x.shape[1:3], name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    return layers.Dense(classes, activation="softmax", name="output")(x)


def ds_cnn() -> keras.Model:
    """DS-CNN: keywords (Speech Commands) from MFCCs, (49, 10, 1) to 12 classes, 24,908 parameters.

    Pools the whole 25 x 5 map, as the first reference did; later ones leave out the last row.

    Source: MLPerf Tiny, arXiv 2106.07597, after Zhang et al., arXiv 1711.07128.
    """
    inputs = keras.Input((49, 10, 1))
    x = _bn_relu(_conv2d(inputs, 64, "stem", kernel_size=(10, 4), strides=2), "stem")
    x = layers.Dropout(0.2, name="stem_dropout")(x)
    for i in range(4):
        x = _separable(x, 64, f"block{i}", strides=1)
    x = layers.Dropout(0.4, name="dropout")(x)
    return keras.Model(inputs, _pooled_classifier(x, 12), name="ds_cnn")


def resnet8() -> keras.Model:
    """ResNet-8: images (CIFAR-10), (32, 32, 3) to 10 classes, 78,666 parameters.

    Source: MLPerf Tiny, arXiv 2106.07597, after He et al., arXiv 1512.03385.
    """
    inputs = keras.Input((32, 32, 3))
    x = _bn_relu(_conv2d(inputs, 16, "stem", kernel_size=3), "stem")
    for i, (filters, strides) in enumerate(((16, 1), (32, 2), (64, 2))):
        shortcut = x
        name = f"block{i}_conv0"
        x = _bn_relu(_conv2d(x, filters, name, kernel_size=3, strides=strides), name)
        x = _conv2d(x, filters, f"block{i}_conv1", kernel_size=3)
        x = layers.BatchNormalization(name=f"block{i}_conv1_bn")(x)
        if strides > 1:
            name = f"block{i}_shortcut"
            shortcut = _conv2d(shortcut, filters, name, kernel_size=1, strides=strides)
        x = layers.Add(name=f"block{i}_add")([shortcut, x])
        x = layers.ReLU(name=f"block{i}_relu")(x)
    return keras.Model(inputs, _pooled_classifier(x, 10), name="resnet8")


def mobilenet_v1_025() -> keras.Model:
    """MobileNetV1 x 0.25: is a person in view, (96, 96, 3) to 2 classes, 221,794 parameters.

    Source: MLPerf Tiny, arXiv 2106.07597, after Howard et al., arXiv 1704.04861.
    """
    blocks = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2)]
    blocks += 5 * [(128, 1)] + [(256, 2), (256, 1)]
    inputs = keras.Input((96, 96, 3))
    x = _bn_relu(_conv2d(inputs, 8, "stem", kernel_size=3, strides=2), "stem")
    for i, (filters, strides) in enumerate(blocks):
        x = _separable(x, filters, f"block{i}", strides)
    return keras.Model(inputs, _pooled_classifier(x, 2), name="mobilenet_v1_025")


def autoencoder() -> keras.Model:
    """Autoencoder: anomalous machine sound (ToyADMOS), (640,) to (640,), 269,992 parameters.

    The input is 5 frames of 128 log-mel energies, the output their reconstruction.

    Source: MLPerf Tiny, arXiv 2106.07597, after the baseline of DCASE 2020, task 2.
    """
    inputs = x = keras.Input((640,))
    for i, units in enumerate(4 * [128] + [8] + 4 * [128]):
        x = _bn_relu(layers.Dense(units, name=f"dense{i}")(x), f"dense{i}")
    return keras.Model(inputs, layers.Dense(640, name="output")(x), name="autoencoder")


_PIT = "arXiv 2301.10281"
_TINY = "MLPerf Tiny, arXiv 2106.07597"

NETWORKS: dict[str, Network] = {
    "temponet_seed": Network(temponet, 1_628_033, _PIT),
    "temponet": Network(partial(temponet, seed=False), 426_881, _PIT),
    "ecgtcn_seed": Network(ecgtcn, 24_871, _PIT),
    "ecgtcn": Network(partial(ecgtcn, seed=False), 15_191, _PIT),
    "tc_resnet14_seed": Network(tc_resnet14, 3_850_812, _PIT),
    "tc_resnet14": Network(partial(tc_resnet14, seed=False), 323_388, _PIT),
    "tccnet_seed": Network(tccnet, 1_458_869, _PIT),
    "tccnet": Network(partial(tccnet, seed=False), 88_757, _PIT),
    "tcn_seed": Network(tcn, 91_047, "this project"),
    "tcn": Network(partial(tcn, seed=False), 23_463, "this project"),
    "ds_cnn": Network(ds_cnn, 24_908, _TINY, trainable_only=False),
    "resnet8": Network(resnet8, 78_666, _TINY, trainable_only=False),
    "mobilenet_v1_025": Network(mobilenet_v1_025, 221_794, _TINY, trainable_only=False),
    "autoencoder": Network(autoencoder, 269_992, _TINY, trainable_only=False),
}
