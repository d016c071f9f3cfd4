"""How time and memory of a sweep grow with the width and depth of its seed.

    python benchmarks/growth.py [--epochs 12] [--points 6] [--output out/growth.json]

Seeds are chains of causal convolutions over windows of the smartwatch, of two widths and two depths. For each, a fresh
process trains the seed, then another one calls `keras_pit.sweep` on it, with default epochs. Time is CPU time; memory
is the largest resident set, of the process that trains or of the only one that makes the steps of the sweep.
"""

import argparse
import multiprocessing
import os
import pathlib
import resource
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from keras import layers
from rich.console import Console
from rich.table import Table
from tasks import ROOT, cpu, save, saved, smartwatch

import keras_pit

WIDTHS, DEPTHS = (16, 32), (4, 8)
KERNEL, BATCH = 9, 64


@dataclass(frozen=True)
class Result:
    """CPU time in seconds, memory in MB."""

    width: int
    depth: int
    size: int
    seed_seconds: float
    seconds: float
    seed_memory: float
    memory: float


def network(width: int, depth: int) -> keras.Model:
    """Causal convolutions of one width, each with batch norm and ReLU."""
    x = inputs = keras.Input((128, 6))
    for place in range(depth):
        x = layers.Conv1D(width, KERNEL, padding="causal", name=f"conv{place}")(x)
        x = layers.ReLU(name=f"relu{place}")(layers.BatchNormalization(name=f"norm{place}")(x))
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(7, activation="softmax", name="output")(x), name="chain")


def trained(width: int, depth: int, epochs: int, path: str) -> tuple[float, float]:
    """Train a seed and save it; the time it took and the memory."""
    keras.utils.set_random_seed(0)
    model, (x, y, *_) = network(width, depth), smartwatch(ROOT)
    model.compile(keras.optimizers.Adam(1e-3, clipnorm=1.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
    before = cpu()
    model.fit(x, y, BATCH, epochs, verbose=0)
    took = cpu() - before
    model.save(path)
    return took, _peak(resource.RUSAGE_SELF)


def swept(path: str, points: int, directory: str) -> tuple[float, float]:
    """Sweep from a seed; the time it took and the memory of the process that did the work."""
    (x, y, x_test, y_test), before = smartwatch(ROOT), cpu()
    keras_pit.sweep(
        keras.models.load_model(path),
        x,
        y,
        validation_data=(x_test, y_test),
        points=points,
        directory=directory,
        batch_size=BATCH,
        executor=1,
        verbose=False,
    )
    return cpu() - before, _peak(resource.RUSAGE_CHILDREN)


def _peak(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / 1024


def _apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def run(width: int, depth: int, epochs: int, points: int) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder) / "seed.keras")
        seed_seconds, seed_memory = _apart(trained, width, depth, epochs, path)
        seconds, memory = _apart(swept, path, points, str(pathlib.Path(folder) / "sweep"))
    size = int(keras_pit.cost(network(width, depth)))
    return Result(width, depth, size, seed_seconds, seconds, seed_memory, memory)


def show(results: list[Result]) -> None:
    table = Table(title="A sweep over training its seed, CPU time and memory")
    for column in (
        "width",
        "depth",
        "parameters",
        "seed (s)",
        "sweep (s)",
        "ratio",
        "seed (MB)",
        "sweep (MB)",
        "ratio",
    ):
        table.add_column(column, justify="right")
    for r in results:
        seconds = (f"{r.seed_seconds:.0f}", f"{r.seconds:.0f}", f"{r.seconds / r.seed_seconds:.2f}")
        memory = (f"{r.seed_memory:.0f}", f"{r.memory:.0f}", f"{r.memory / r.seed_memory:.2f}")
        table.add_row(str(r.width), str(r.depth), f"{r.size:,}", *seconds, *memory)
    Console(width=110).print(table)


def main(given: argparse.Namespace) -> None:
    results: list[Result] = saved(given.output, Result)
    done = {(one.width, one.depth) for one in results}
    for width, depth in product(WIDTHS, DEPTHS):
        if (width, depth) not in done:
            results.append(run(width, depth, given.epochs, given.points))
            print(results[-1], flush=True)
            save(results, given.output)
    show(results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=12, help="of the seed")
    parser.add_argument("--points", type=int, default=6)
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "out" / "growth.json", help="JSON to write")
    main(parser.parse_args())
