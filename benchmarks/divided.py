"""Tasks with validation data apart, for comparisons: training data train, validation data choose, test data report.

    task = TASKS["keywords"]
    data = task.load(data_directory)           data.train, data.validation, data.test: pairs of samples and labels
    model = task.seed()                        where every search starts

`watch` and `digits` come with the packages seglearn and scikit-learn; the others are read from a directory with
`ecg5000.npz`, `kws_mfcc.npz` and `kws_logmel.npz`.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import layers
from tasks import read

from examples import networks, watch

Pair = tuple[np.ndarray, np.ndarray]
VALIDATION_PEOPLE = (6, 7)


@dataclass(frozen=True)
class Divided:
    """Samples and labels, standardised by the training data."""

    train: Pair
    validation: Pair
    test: Pair

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, part: np.ndarray) -> Divided:
        """`part` says for each sample 0 (train), 1 (validation) or 2 (test); the last axis of `x` has the features."""
        x, y = x.astype("float32"), y.astype(int)
        axes = tuple(range(x.ndim - 1))
        known = x[part == 0]
        x = (x - known.mean(axes)) / (known.std(axes) + 1e-6)
        train, validation, test = ((x[part == number], y[part == number]) for number in range(3))
        return cls(train, validation, test)


def smartwatch(data: pathlib.Path) -> Divided:
    """Windows of 128 samples of 6 axes, seven exercises: five people train, two choose, three test."""
    x, y, people = watch.windows()
    part = np.where(np.isin(people, watch.HELD_OUT), 2, np.isin(people, VALIDATION_PEOPLE))
    return Divided.of(x, y, part)


def ecg5000(data: pathlib.Path) -> Divided:
    """Heart beats of 140 samples, five classes: every fourth training sample of a class chooses."""
    held = read(data, "ecg5000.npz")
    x, y = (np.concatenate([held[f"{name}_train"], held[f"{name}_test"]]) for name in "xy")
    part = np.where(np.arange(len(y)) < len(held["y_train"]), _every(4, y), 2)
    return Divided.of(x[..., None], y, part)


def keywords(data: pathlib.Path, name: str, image: bool) -> Divided:
    """49 frames of MFCC (an image) or log-mel energies (a sequence), twelve classes; speakers apart."""
    held = read(data, name)
    x = held["x"].astype("float32")
    divided = Divided.of(x, held["y"], held["split"])
    if not image:
        return divided
    return Divided(*((x[..., None], y) for x, y in (divided.train, divided.validation, divided.test)))


def digits(data: pathlib.Path) -> Divided:
    """Handwritten digits of 8 x 8 pixels: of every five one chooses and one tests, the others train."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise SystemExit('The digits come with scikit-learn: pip install "keras_pit[benchmarks]"') from error
    x, y = load_digits(return_X_y=True)
    number = _rank(y) % 5
    return Divided.of(x.reshape(-1, 8, 8, 1), y, np.select([number == 0, number == 1], [1, 2], 0))


def _rank(y: np.ndarray) -> np.ndarray:
    """How many samples of the same class came before."""
    return np.array([(y[:place] == label).sum() for place, label in enumerate(y)])


def _every(count: int, y: np.ndarray) -> np.ndarray:
    return (_rank(y) % count == 0).astype(int)


def digits_resnet() -> keras.Model:
    """The three residual blocks of ResNet-8 (arXiv 2106.07597) for images of 8 x 8."""
    x = inputs = keras.Input((8, 8, 1))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same", name="stem")(x)))
    for block, (filters, strides) in enumerate(((16, 1), (32, 2), (64, 2))):
        shortcut = x
        for place in range(2):
            step = strides if place == 0 else 1
            x = layers.Conv2D(filters, 3, step, padding="same", name=f"block{block}_conv{place}")(x)
            x = layers.BatchNormalization()(x)
            x = layers.ReLU()(x) if place == 0 else x
        if strides > 1:
            shortcut = layers.Conv2D(filters, 1, strides, padding="same", name=f"block{block}_shortcut")(shortcut)
        x = layers.ReLU()(layers.Add()([shortcut, x]))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="output")(x), name="digits_resnet")


@dataclass(frozen=True)
class Task:
    """Data, the network that searches start from, and epochs: of the seed, of a search, of fine-tuning."""

    load: Callable[[pathlib.Path], Divided]
    seed: Callable[[], keras.Model]
    epochs: tuple[int, int, int]
    batch: int
    balanced: bool = False
    """Whether the score is balanced accuracy."""


TASKS = {
    "ecg5000": Task(ecg5000, networks.ecgtcn, (40, 60, 40), 16, balanced=True),
    "watch": Task(smartwatch, partial(networks.tcn, dropout=0.1), (24, 24, 24), 64),
    "digits": Task(digits, digits_resnet, (30, 30, 20), 32),
    "keywords": Task(partial(keywords, name="kws_mfcc.npz", image=True), networks.ds_cnn, (20, 20, 12), 32),
    "keywords_1d": Task(
        partial(keywords, name="kws_logmel.npz", image=False),
        partial(networks.tc_resnet14, False, 49),
        (20, 20, 12),
        32,
    ),
}


def score(model: keras.Model, pair: Pair, balanced: bool) -> float:
    """Accuracy; balanced: the mean over the classes of the share that is right."""
    x, y = pair
    right: Any = model.predict(x, 512, verbose=0).argmax(-1) == y
    return float(np.mean([right[y == label].mean() for label in np.unique(y)]) if balanced else right.mean())
