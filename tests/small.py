"""A small network with its data that several tests search, and inputs for networks with random weights."""

import keras
import numpy as np
from generator import randomize
from keras import layers

from examples.networks import NETWORKS

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def network(width: int = 16) -> keras.Model:
    x = inputs = keras.Input((32, 3))
    for index in range(2):
        x = layers.Conv1D(width, 9, padding="causal", name=f"conv{index}")(x)
        x = layers.BatchNormalization(name=f"norm{index}")(x)
        x = layers.ReLU(name=f"relu{index}")(x)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(3, name="out")(x), name="small")


def samples() -> tuple[np.ndarray, np.ndarray]:
    """Which of three frequencies a noisy wave has."""
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=256)
    wave = np.sin(np.arange(32)[:, None] * np.array([0.2, 0.5, 1.1])[y][:, None, None] + rng.uniform(0, 6, (256, 1, 3)))
    return (wave + rng.normal(0, 0.5, wave.shape)).astype("float32"), y


def states(search: keras.Model) -> list[np.ndarray]:
    """All that a search that goes on depends on."""
    return [*search.get_weights(), *[variable.numpy() for variable in search.optimizer.variables]]


def randomized(name):
    keras.utils.set_random_seed(0)
    model, rng = NETWORKS[name].build(), np.random.default_rng(0)
    randomize(model, rng)
    return model, lively(rng, 40, model.input_shape[1:])


def lively(rng, count, shape):
    """Noise of varying strength around varying means, so that outputs vary, too, behind a pooling over everything."""
    each = (count, *[1] * len(shape))
    return (rng.normal(size=(count, *shape)) * rng.uniform(0.2, 2, each) + rng.normal(size=each)).astype("float32")
