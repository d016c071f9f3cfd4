"""Bounds on RAM that are hard to meet: how much of the loss is the bound's, and how much the search's.

    python benchmarks/tight_ram.py --data DIRECTORY [--tasks watch] [--shares 0.2 0.0667] [--seeds 0] [--divide 1]

Within the same bound on the tensor arena (a share of the seed's, Nano 33 BLE), in as many epochs as training the seed,
one search and one fine-tuning take together, validation data choosing:

    ours            keras_pit, target={"ram": bound}, then fine-tuned
    random_masks    the best of some random networks inside of the seed: what a search could have found
    hand_made       the best of some random small networks with strides: what the bound leaves room for at all

The random ones are trained for an eighth of the epochs each, four of them, and the best one for the rest, from random
weights. A search cannot make strides: peaks of RAM are those of early layers, whose length it does not change. Tasks
and data: see `divided`.
"""

from __future__ import annotations

import argparse
import logging
import os
import pathlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from alternatives import Run, first, fresh, keep, seed_network
from divided import TASKS, score
from keras import layers
from rich.console import Console
from rich.table import Table
from tasks import ROOT, save, saved

import keras_pit

TRIALS, TRIAL, LEAST = 4, 8, 0.85
"""Random networks; the part of the epochs that each takes; the share of the bound that each must use at least."""
MOST_DRAWS = 4000


@dataclass(frozen=True)
class Result:
    """What one method made; without a network, why."""

    task: str
    seed: int
    method: str
    bound: float
    ram: float | None = None
    size: float | None = None
    macs: float | None = None
    validation: float | None = None
    test: float | None = None
    refused: str = ""
    seconds: float = 0.0


# -- networks ----------------------------------------------------------------------------------------------------------


def _norm(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.ReLU()(layers.BatchNormalization()(x))


def small_tcn(rng: np.random.Generator, like: keras.Model) -> keras.Model:
    """Two to four convolutions with strides, for the input and the classes of another model."""
    x = inputs = keras.Input(like.input_shape[1:])
    for _ in range(rng.integers(2, 5)):
        width, kernel, stride = (int(rng.choice(of)) for of in ((2, 4, 6, 8, 12, 16, 24, 32), (3, 5, 9, 15), (1, 2, 4)))
        x = _norm(layers.Conv1D(width, kernel, stride, padding="same")(x))
    x = layers.Dropout(0.1)(layers.GlobalAveragePooling1D()(x))
    return keras.Model(inputs, layers.Dense(like.output_shape[-1], "softmax")(x))


def small_ds_cnn(rng: np.random.Generator, like: keras.Model) -> keras.Model:
    """A convolution and up to four separable ones, with strides."""
    x = inputs = keras.Input(like.input_shape[1:])
    widths = (4, 6, 8, 12, 16, 24, 32, 48, 64)
    stride = (int(rng.choice((2, 3, 4, 5))), int(rng.choice((1, 2))))
    x = _norm(layers.Conv2D(int(rng.choice(widths)), (10, 4), stride, padding="same")(x))
    for _ in range(rng.integers(1, 5)):
        x = _norm(layers.DepthwiseConv2D(3, int(rng.choice((1, 1, 2))), padding="same")(x))
        x = _norm(layers.Conv2D(int(rng.choice(widths)), 1)(x))
    x = layers.AveragePooling2D(x.shape[1:3])(layers.Dropout(0.2)(x))
    return keras.Model(inputs, layers.Dense(like.output_shape[-1], "softmax")(layers.Flatten()(x)))


HAND_MADE: dict[str, Callable[[np.random.Generator, keras.Model], keras.Model]] = {
    "watch": small_tcn,
    "ecg5000": small_tcn,
    "keywords": small_ds_cnn,
}


def inside(rng: np.random.Generator, whole: keras.Model) -> Iterator[keras_pit.SearchModel]:
    """Random states of a search model: a width, a reach and a dilation for each layer."""
    search = keras_pit.convert(whole)
    for _ in range(MOST_DRAWS):
        # Widths are drawn on a logarithmic scale; every second kernel is whole, of others short ones as often as long.
        keep(search, lambda name: float(2 ** rng.uniform(-5, 0)), first(search))
        for layer in search.search_layers:
            if layer.beta is not None:
                size = layer.beta.shape[0]
                reach = size if rng.random() < 0.5 else rng.integers(1, size + 1)
                layer.beta.assign(np.where(np.arange(size) < reach, 0.6, 0.4))
            if layer.gamma is not None:
                size = layer.gamma.shape[0]
                finest = 0 if rng.random() < 0.5 else rng.integers(size)
                layer.gamma.assign(np.where(np.arange(size) >= finest, 0.6, 0.4))
        yield search


# -- methods -----------------------------------------------------------------------------------------------------------


def ours(run: Run, name: str) -> keras.Model:
    search = keras_pit.convert(run.whole, target={"ram": run.bound})
    run.train(search, run.task.epochs[1], decay=False)
    return run.train(keras_pit.export(search), run.task.epochs[2])


def random_masks(run: Run, name: str) -> keras.Model:
    rng = np.random.default_rng(run.seed)
    return best_of(run, (keras_pit.export(search) for search in inside(rng, run.whole) if fits(search, run.bound)))


def hand_made(run: Run, name: str) -> keras.Model:
    rng = np.random.default_rng(run.seed)
    drawn = (HAND_MADE[name](rng, run.whole) for _ in range(MOST_DRAWS))
    return best_of(run, (model for model in drawn if fits(model, run.bound)))


METHODS = {method.__name__: method for method in (ours, random_masks, hand_made)}


def fits(model: keras.Model, bound: float) -> bool:
    """Whether a network uses the bound, and keeps it."""
    return LEAST * bound <= keras_pit.cost(model, "ram") <= bound


def best_of(run: Run, models: Iterator[keras.Model]) -> keras.Model:
    """The best of the first networks after a few epochs, trained to the end."""
    epochs = max(1, run.epochs // TRIAL)
    tried = [run.train(fresh(model), epochs) for _, model in zip(range(TRIALS), models, strict=False)]
    if not tried:
        raise ValueError(f"cannot be met by any of {MOST_DRAWS:,} random networks")
    best = max(tried, key=lambda model: score(model, run.data.validation, run.task.balanced))
    return run.train(best, run.epochs - TRIALS * epochs)


def measured(run: Run, name: str, method: str) -> Result:
    start, result = time.perf_counter(), Result(name, run.seed, method, run.bound)
    keras.utils.set_random_seed(run.seed)
    try:
        model = METHODS[method](run, name)
    except ValueError as error:
        if "cannot be met" not in str(error):
            raise
        return replace(result, refused=str(error))
    costs = {cost: float(keras_pit.cost(model, cost)) for cost in ("ram", "size", "macs")}
    validation, test = (score(model, pair, run.task.balanced) for pair in (run.data.validation, run.data.test))
    seconds = round(time.perf_counter() - start, 1)
    return replace(result, **costs, validation=validation, test=test, seconds=seconds)


def show(results: list[Result]) -> None:
    table = Table(title="Within the same bound on RAM")
    for column in ("task", "bound (B)", "method", "RAM (B)", "parameters", "MACs", "validation", "test"):
        table.add_column(column, justify="left" if column in ("task", "method") else "right")
    for r in results:
        if r.refused:
            cells = ["refused", "", "", "", ""]
        else:
            cells = [f"{value:,.0f}" for value in (r.ram, r.size, r.macs)]
            cells += [f"{value:.2%}" for value in (r.validation, r.test)]
        table.add_row(r.task, f"{r.bound:,.0f}", r.method, *cells)
    Console(width=120).print(table)


def main(given: argparse.Namespace) -> None:
    results: list[Result] = saved(given.output, Result)
    done = {(one.task, one.seed, one.method, one.bound) for one in results}
    for name in given.tasks:
        task = TASKS[name]
        task = replace(task, epochs=(task.epochs[0], *(max(2, one // given.divide) for one in task.epochs[1:])))
        data = task.load(given.data)
        for seed in given.seeds:
            whole = seed_network(name, task, data, seed, given.seed_networks or given.output.parent / "seeds")
            for share in given.shares:
                bound = float(round(share * keras_pit.cost(whole, "ram")))
                for method in given.methods:
                    if (name, seed, method, bound) not in done:
                        results.append(measured(Run(task, data, whole, "ram", bound, seed), name, method))
                        print(results[-1], flush=True)
                        save(results, given.output)
    show(results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("data"), help="folder of the .npz")
    parser.add_argument("--tasks", choices=HAND_MADE, nargs="+", default=["watch", "keywords"])
    parser.add_argument("--methods", choices=METHODS, nargs="+", default=list(METHODS))
    parser.add_argument("--shares", type=float, nargs="+", default=[1 / 5, 1 / 15], help="of the seed's RAM")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--divide", type=int, default=1, help="search and tune a so many-th of the epochs")
    parser.add_argument("--seed-networks", type=pathlib.Path, help="folder of trained networks to start from")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "out" / "tight_ram.json", help="JSON to write")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # that many models are traced is meant
    main(parser.parse_args())
