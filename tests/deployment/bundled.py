"""Networks whose bundles the tests look at."""

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers

from keras_pit.deployment.file_graph import Graph


def classifier():
    x = inputs = keras.Input((32, 4))
    for dilation in (1, 2):
        x = layers.Conv1D(8, 3, padding="causal", dilation_rate=dilation, activation="relu")(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


def two_by_two():
    left, right = keras.Input((4,), name="left"), keras.Input((6,), name="right")
    both = layers.Concatenate()([left, right])
    return keras.Model([left, right], [layers.Dense(5)(both), layers.Dense(2)(both)])


@dataclass(frozen=True)
class Case:
    """A network, how it is converted, its labels, and the kernels that its operators must be registered with."""

    network: object
    quantization: str | None
    labels: tuple[str, ...]
    kernels: dict[str, str]


INT8 = {op: f"{op}_INT8" for op in ("AVERAGE_POOL_2D", "CONV_2D", "FULLY_CONNECTED", "PAD", "SOFTMAX")}
INT16 = {op: f"{op}_INT16" for op in ("AVERAGE_POOL_2D", "CONV_2D", "FULLY_CONNECTED", "SOFTMAX")}

CASES = {
    "classifier": Case(classifier, "int8", ("rest", "arm raise", 'ö"\\?\n'), INT8),
    "two_by_two": Case(two_by_two, "int8", (), INT8),
    "wide": Case(classifier, "int16x8", (), INT16),
    "real": Case(two_by_two, None, (), {}),
}


@dataclass(frozen=True)
class Made:
    """A bundle, and what it was made from."""

    name: str
    case: Case
    tflite: bytes
    graph: Graph
    samples: list[np.ndarray]
    directory: Path
