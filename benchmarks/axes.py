"""Sensor axes that a task does not need: what a search does with them, with and without "inputs".

    python benchmarks/axes.py [--noise 6] [--shares 0.2 0.05] [--seeds 0 1 2] [--divide 2]

The windows of the smartwatch with axes of noise beside the six of the sensors, in an order of chance. Every second axis
of noise is white, the others are smooth (a moving average over nine steps); all are as large as the standardised real
ones. Searches of channels, kernels and dilations, with and without inputs, start from the same trained seed, for the
same bounds (shares of its parameters), and are fine-tuned alike. Validation data tell which is better; the last column
is that of the test data.
"""

from __future__ import annotations

import argparse
import logging
import os
import pathlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from divided import TASKS, Divided, Pair, score
from rich.console import Console
from rich.table import Table
from tasks import ROOT, save, train

import keras_pit
from examples import networks

ARMS = {
    "without inputs": ("channels", "kernel", "dilation"),
    "with inputs": ("channels", "kernel", "dilation", "inputs"),
}
SMOOTH = 9


@dataclass(frozen=True)
class Result:
    """What one search exports, fine-tuned: axes of the sensors and of noise that it reads."""

    seed: int
    share: float
    arm: str
    sensors: int
    noise: int
    size: float
    validation: float
    test: float
    seconds: float


def with_noise(pair: Pair, order: np.ndarray, rng: np.random.Generator) -> Pair:
    """Windows with axes of noise, in a new order."""
    x, y = pair
    count = len(order) - x.shape[-1]
    noise = rng.normal(size=(len(x), x.shape[1] + SMOOTH - 1, count))
    smooth = np.lib.stride_tricks.sliding_window_view(noise, SMOOTH, axis=1).mean(-1) * SMOOTH**0.5
    noise = np.where(np.arange(count) % 2, smooth, noise[:, : x.shape[1]])
    return np.concatenate([x, noise], axis=-1).astype("float32")[..., order], y


def trained(model: keras.Model, data: Divided, epochs: int, *, decay: bool = True) -> keras.Model:
    train(model, (*data.train, *data.validation), epochs, TASKS["watch"].batch, decay=decay)
    return model


def only(data: Divided, kept: tuple[int, ...]) -> Divided:
    """The data without the other axes."""
    return Divided(*((x[..., list(kept)], y) for x, y in (data.train, data.validation, data.test)))


def of_seed(seed: int, given: argparse.Namespace, plain: Divided) -> Iterator[Result]:
    """The seed network, and each search from it."""
    rng = np.random.default_rng(seed)
    steps, sensors = plain.train[0].shape[1:]
    order = rng.permutation(sensors + given.noise)
    data = Divided(*(with_noise(pair, order, rng) for pair in (plain.train, plain.validation, plain.test)))
    epochs, *others = TASKS["watch"].epochs
    search_epochs, tuning_epochs = (max(2, number // given.divide) for number in others)

    def measured(model: keras.Model, share: float, arm: str, kept: tuple[int, ...], begin: float) -> Result:
        read = only(data, kept)
        scores = (score(model, pair, False) for pair in (read.validation, read.test))
        real = int((order[list(kept)] < sensors).sum())
        size, seconds = float(keras_pit.cost(model, "size")), round(time.perf_counter() - begin, 1)
        return Result(seed, share, arm, real, len(kept) - real, size, *scores, seconds)

    begin, everything = time.perf_counter(), tuple(range(len(order)))
    keras.utils.set_random_seed(seed)
    whole = networks.tcn(steps, len(order), int(plain.train[1].max()) + 1, dropout=0.1)
    trained(whole, data, epochs)
    yield measured(whole, 1.0, "seed", everything, begin)
    for share in given.shares:
        for arm, searched in ARMS.items():
            begin = time.perf_counter()
            keras.utils.set_random_seed(seed)
            bound = share * keras_pit.cost(whole, "size")
            search = keras_pit.convert(whole, "size", target=bound, search=searched)
            trained(search, data, search_epochs, decay=False)
            inputs = keras_pit.summary(search).inputs
            kept = inputs[0].read if inputs else everything
            slim = trained(keras_pit.export(search), only(data, kept), tuning_epochs)
            yield measured(slim, share, arm, kept, begin)


def main(given: argparse.Namespace) -> list[Result]:
    found = []
    table = Table("seed", "share", "searched", "sensor axes", "noise axes", "parameters", "validation %", "test %", "s")
    plain = TASKS["watch"].load(pathlib.Path())
    for one in (one for seed in given.seeds for one in of_seed(seed, given, plain)):
        found.append(one)
        save(found, given.output)
        scores = f"{100 * one.validation:.1f}", f"{100 * one.test:.1f}"
        row = str(one.seed), f"{one.share:g}", one.arm, str(one.sensors), str(one.noise), f"{one.size:,.0f}", *scores
        table.add_row(*row, f"{one.seconds:.0f}")
        print(*row, flush=True)
    Console(width=120).print(table)
    return found


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--noise", type=int, default=6, help="axes of noise")
    result.add_argument("--shares", type=float, nargs="+", default=[0.2, 0.05], help="bounds, of the seed's parameters")
    result.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="random seeds")
    result.add_argument("--divide", type=int, default=2, help="search and tune a so many-th of the epochs")
    result.add_argument("--output", type=pathlib.Path, default=ROOT / "out" / "axes.json", help="JSON to write")
    return result


if __name__ == "__main__":
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # that many models are traced is meant
    main(parser().parse_args())
