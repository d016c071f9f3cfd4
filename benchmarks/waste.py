"""How much smaller a file is than the usual route's: bytes and operators, int8, for small and for published networks.

    python benchmarks/waste.py [--only perceptron] [--output out/waste.json]

The usual route is `TFLiteConverter.from_keras_model` with full-integer quantization. Networks have random weights,
biases and batch-norm statistics.
"""

import argparse
import json
import os
import pathlib
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import keras
import numpy as np
from keras import layers
from rich.console import Console
from rich.table import Table

import keras_pit
from examples.networks import NETWORKS, tcn
from keras_pit.deployment.converter import quiet
from keras_pit.deployment.flatbuffer import read_graph

SMALL = 10_000
LIMITS = {True: 0.55, False: 0.75}
"""Largest share of the usual route's bytes for networks under 10 kB of weights: dilated ones in 1-D, and the others."""
WASTE = {"SHAPE", "STRIDED_SLICE", "PACK", "EXPAND_DIMS", "SPACE_TO_BATCH_ND", "MEAN"}


def dilated(padding: str, channels: int = 16, depth: int = 4) -> keras.Model:
    """Convolutions of three taps with dilation 4, batch norm and ReLU, and a classifier."""
    x = inputs = keras.Input((256, 6))
    for _ in range(depth):
        x = layers.Conv1D(channels, 3, padding=padding, dilation_rate=4)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(x))


def residual(channels: int = 12) -> keras.Model:
    x = inputs = keras.Input((128, 3))
    for dilation in (1, 2, 4):
        y = layers.Conv1D(channels, 5, padding="causal", dilation_rate=dilation)(x)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        x = layers.Add()([y, layers.Conv1D(channels, 1)(x)])
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(layers.MaxPooling1D(8)(x))))


def images(channels: int = 8) -> keras.Model:
    x = inputs = keras.Input((28, 28, 1))
    for strides in (2, 1, 2):
        x = layers.SeparableConv2D(channels, 3, strides=strides, padding="same")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        channels *= 2
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


def plain(channels: int = 8) -> keras.Model:
    x = inputs = keras.Input((100, 3))
    for _ in range(3):
        x = layers.Conv1D(channels, 5, strides=2, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def perceptron() -> keras.Model:
    x = inputs = keras.Input((32,))
    for units in (32, 16):
        x = layers.Dense(units, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(x))


NETWORKS_HERE: dict[str, tuple[Callable[[], keras.Model], bool]] = {
    "dilated, causal": (lambda: dilated("causal"), True),
    "dilated, same": (lambda: dilated("same"), True),
    "dilated, valid": (lambda: dilated("valid"), True),
    "dilated, 8 channels": (lambda: dilated("causal", 8, 6), True),
    "tcn of 8 channels": (lambda: tcn(channels=8, seed=False), True),
    "residual, dilated": (residual, True),
    "strided 1-D": (plain, False),
    "separable 2-D": (images, False),
    "perceptron": (perceptron, False),
    **{name: (network.build, False) for name, network in NETWORKS.items()},
}


@dataclass(frozen=True)
class Result:
    """One network: bytes of weights and files, and the operators of each file."""

    network: str
    weights: int
    naive: int
    ours: int
    naive_operators: dict[str, int]
    operators: dict[str, int]
    limit: float | None


def measure(name: str, build: Callable[[], keras.Model], is_dilated: bool) -> Result:
    keras.utils.set_random_seed(0)
    model = build()
    rng = np.random.default_rng(0)
    for weight in model.weights:  # as after training: no biases of 0, which both routes leave out
        if weight.name in ("bias", "beta", "moving_mean"):
            weight.assign(0.1 * rng.normal(size=weight.shape))
        elif weight.name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 2, weight.shape))
    x = rng.normal(size=(8, *model.input_shape[1:])).astype("float32")
    naive, ours = usual(model, x), keras_pit.to_tflite(model, x)
    limit = LIMITS[is_dilated] if model.count_params() < SMALL else None
    return Result(name, model.count_params(), len(naive), len(ours), operators(naive), operators(ours), limit)


def operators(tflite: bytes) -> dict[str, int]:
    return dict(Counter(op.name for op in read_graph(tflite).ops))


def usual(model: keras.Model, x: np.ndarray) -> bytes:
    """The file that most would make."""
    import tensorflow as tf

    with quiet():
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([sample[None]] for sample in x)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        return bytes(converter.convert())


def main(only: list[str], output: pathlib.Path) -> None:
    results = [measure(name, *entry) for name, entry in NETWORKS_HERE.items() if not only or name in only]
    table = Table(title="int8 files: the usual route, and keras_pit's")
    for column in ("network", "weights", "usual (B)", "here (B)", "share", "limit", "operators", "operators here"):
        table.add_column(column, justify="left" if column in ("network", "operators here") else "right")
    for r in results:
        share, limit = f"{r.ours / r.naive:.0%}", f"{r.limit:.0%}" if r.limit else ""
        listed = " ".join(f"{count}x{op}" if count > 1 else op for op, count in r.operators.items())
        before = str(sum(r.naive_operators.values()))
        table.add_row(r.network, f"{r.weights:,}", f"{r.naive:,}", f"{r.ours:,}", share, limit, before, listed)
    Console(width=200).print(table)
    wasteful = [r.network for r in results if WASTE & set(r.operators)]
    above = [r.network for r in results if r.limit and r.ours > r.limit * r.naive]
    Console().print(f"with operators that only waste time: {wasteful or 'none'}; above the limit: {above or 'none'}")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("out/waste.json"))
    parser.add_argument("--only", choices=NETWORKS_HERE, nargs="+", default=[], help="networks to measure")
    arguments = parser.parse_args()
    main(arguments.only, arguments.output)
