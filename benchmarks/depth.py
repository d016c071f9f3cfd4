"""A network deeper than its task needs: what a search finds with and without "branches".

    python benchmarks/depth.py [--blocks 6] [--metric latency:nano33ble] [--shares 0.3 0.15] [--seeds 0 1]

The handwritten digits of scikit-learn (8 x 8 pixels), and a residual network of so many blocks of 16 channels at full
resolution. Searches of channels alone, and of channels and branches, start from the same trained seed, for the same
bounds (shares of what the seed costs), and are fine-tuned alike. Validation data tell which is better; the last column
is that of the test data. Blocks are those that are left.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from divided import TASKS, Divided, score
from keras import layers
from rich.console import Console
from rich.table import Table
from tasks import save

import keras_pit

ARMS = {"channels": ("channels",), "channels and branches": ("channels", "branches")}
LOSS = "sparse_categorical_crossentropy"


@dataclass(frozen=True)
class Result:
    """What one search exports, fine-tuned."""

    seed: int
    share: float
    arm: str
    blocks: int
    size: float
    macs: float
    latency: float
    validation: float
    test: float
    seconds: float


def network(blocks: int, width: int = 16) -> keras.Model:
    """Blocks with identity shortcuts."""
    x = inputs = keras.Input((8, 8, 1))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(width, 3, padding="same", name="stem")(x)))
    for block in range(blocks):
        y = layers.Conv2D(width, 3, padding="same", name=f"block{block}_conv0")(x)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        y = layers.BatchNormalization()(layers.Conv2D(width, 3, padding="same", name=f"block{block}_conv1")(y))
        x = layers.ReLU()(layers.Add(name=f"block{block}")([x, y]))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="output")(x), name="deep")


def train(model: keras.Model, data: Divided, epochs: int, rate: Any = 1e-3) -> keras.Model:
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), LOSS, jit_compile=False)
    model.fit(*data.train, TASKS["digits"].batch, epochs, verbose=0)
    return model


def cosine(data: Divided, epochs: int) -> Any:
    return keras.optimizers.schedules.CosineDecay(1e-3, epochs * -(-len(data.train[0]) // TASKS["digits"].batch))


def results(given: argparse.Namespace, data: Divided) -> Iterator[Result]:
    epochs, search_epochs, fine_tune_epochs = given.epochs
    for seed in given.seeds:
        keras.utils.set_random_seed(seed)
        whole = train(network(given.blocks), data, epochs, cosine(data, epochs))
        yield measured(whole, data, seed, 1.0, "seed", 0.0)
        bound = keras_pit.cost(whole, given.metric)
        for share in given.shares:
            for arm, searched in ARMS.items():
                begin = time.perf_counter()
                keras.utils.set_random_seed(seed)
                search = keras_pit.convert(whole, given.metric, target=share * bound, search=searched)
                slim = keras_pit.export(train(search, data, search_epochs))
                slim = train(slim, data, fine_tune_epochs, cosine(data, fine_tune_epochs))
                yield measured(slim, data, seed, share, arm, time.perf_counter() - begin)


def measured(model: keras.Model, data: Divided, seed: int, share: float, arm: str, seconds: float) -> Result:
    blocks = sum(isinstance(layer, layers.Add) for layer in model.layers)
    costs = (keras_pit.cost(model, name) for name in ("size", "macs", "latency"))
    scores = (score(model, pair, False) for pair in (data.validation, data.test))
    return Result(seed, share, arm, blocks, *costs, *scores, round(seconds, 1))


def main(given: argparse.Namespace) -> list[Result]:
    found = []
    table = Table("seed", "share", "searched", "blocks", "parameters", "MACs", "ms", "validation %", "test %", "s")
    for one in results(given, TASKS["digits"].load(pathlib.Path())):
        found.append(one)
        save(found, given.output)
        numbers = f"{one.size:,.0f}", f"{one.macs:,.0f}", f"{one.latency:.2f}"
        scores = f"{100 * one.validation:.1f}", f"{100 * one.test:.1f}"
        row = str(one.seed), f"{one.share:g}", one.arm, str(one.blocks), *numbers, *scores, f"{one.seconds:.0f}"
        table.add_row(*row)
        print(*row, flush=True)
    Console(width=120).print(table)
    return found


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--blocks", type=int, default=6)
    result.add_argument("--metric", default="latency:nano33ble", help="what is bounded")
    result.add_argument("--shares", type=float, nargs="+", default=[0.3, 0.15], help="bounds, of what the seed costs")
    result.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="random seeds")
    result.add_argument("--epochs", type=int, nargs=3, default=TASKS["digits"].epochs, help="seed, search, fine-tuning")
    result.add_argument("--output", type=pathlib.Path, default=pathlib.Path("out/depth.json"), help="JSON to write")
    return result


if __name__ == "__main__":
    main(parser().parse_args())
