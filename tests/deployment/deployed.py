"""Small networks to deploy, with data."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers


def tcn():
    x = inputs = keras.Input((64, 6))
    for level in range(4):
        x = layers.Conv1D(16, 3, padding="causal", dilation_rate=2**level)(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(x))


def residual_tcn():
    x = inputs = keras.Input((32, 8))
    for dilation in (1, 4):
        y = layers.Conv1D(8, 5, padding="same", dilation_rate=dilation, activation="relu")(x)
        x = layers.Add()([x, y])
    x = layers.Flatten()(layers.AveragePooling1D(4)(x))
    return keras.Model(inputs, layers.Dense(3)(x))


def cnn():
    return keras.Sequential(
        [
            layers.Input((12, 12, 3)),
            layers.Conv2D(8, 3, padding="same", dilation_rate=2),
            layers.LeakyReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def ds_cnn():
    x = inputs = keras.Input((49, 10, 1))
    x = layers.Conv2D(16, (10, 4), strides=2, padding="same", use_bias=False)(x)
    for _ in range(2):
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Conv2D(16, 1, use_bias=False)(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    return keras.Model(inputs, layers.Dense(12, activation="softmax")(x))


def dense():
    sizes = (16, "relu"), (8, "tanh"), (3, "sigmoid")
    return keras.Sequential([layers.Input((8,)), *(layers.Dense(units, activation=f) for units, f in sizes)])


def two_by_two():
    """Outputs 2 left - right and left + 3 right, so that nothing can be swapped unseen."""
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    both = layers.Concatenate()([left, right])
    first, second = layers.Dense(4, name="first"), layers.Dense(4, name="second")
    model = keras.Model([left, right], [first(both), second(both)])
    unit = np.eye(4, dtype="float32")
    first.set_weights([np.concatenate([2 * unit, -unit]), np.zeros(4, "float32")])
    second.set_weights([np.concatenate([unit, 3 * unit]), np.zeros(4, "float32")])
    return model


def simple(*stack, shape=(4,), **options):
    return keras.Sequential([layers.Input(shape, **options), *stack])


NETWORKS = {f.__name__: f for f in (tcn, residual_tcn, cnn, ds_cnn, dense, two_by_two)}


def make(name, samples=40):
    """A network with non-trivial batch norms, and inputs for it."""
    keras.utils.set_random_seed(1)
    model = NETWORKS[name]()
    generator = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            size = layer.gamma.shape
            spread = [generator.uniform(0.5, 1.5, size) for _ in range(2)]
            shift = [generator.normal(size=size) for _ in range(2)]
            layer.set_weights([spread[0], shift[0], shift[1], spread[1]])
    x = [generator.normal(size=(samples, *tensor.shape[1:])).astype("float32") for tensor in model.inputs]
    return model, x


def dataset(*tensors):
    return tf.data.Dataset.from_tensor_slices(tensors if len(tensors) > 1 else tensors[0])


def nan_at_3(x):
    x = x.copy()
    x[3, 0] = np.nan
    return x
