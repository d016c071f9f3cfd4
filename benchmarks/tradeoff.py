"""What the default strength gives: accuracy and cost of seed and slim network, on data and networks of other sizes.

    python benchmarks/tradeoff.py [--strengths 1 2 4] [--seeds 0] [--only ecg5000] [--output out/tradeoff.json]

Reads the data sets `ecg5000.npz` (UCR archive 2018) and `kws_mfcc.npz` (MFCC of Speech Commands v0.02, CC BY 4.0) from
the directory given by --data, `../shared/data` by default.
"""

import argparse
import json
import os
import pathlib
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import keras  # noqa: E402
import numpy as np  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

import keras_pit  # noqa: E402
from examples import networks  # noqa: E402

Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def ecg5000(data: pathlib.Path) -> Split:
    arrays = np.load(data / "ecg5000.npz")
    x_train, x_test = (arrays[name].astype("float32")[..., None] for name in ("x_train", "x_test"))
    return x_train, arrays["y_train"].astype(int), x_test, arrays["y_test"].astype(int)


def keywords(data: pathlib.Path) -> Split:
    arrays = np.load(data / "kws_mfcc.npz")
    x, y, split = arrays["x"].astype("float32")[..., None], arrays["y"].astype(int), arrays["split"]
    train, test = split == 0, split == 2
    x = (x - x[train].mean((0, 1))) / x[train].std((0, 1))
    return x[train], y[train], x[test], y[test]


@dataclass(frozen=True)
class Task:
    """A data set and a seed network, with the epochs of training, search and fine-tuning."""

    load: Callable[[pathlib.Path], Split]
    build: Callable[[], keras.Model]
    epochs: tuple[int, int, int]
    batch: int


TASKS = {
    "ecg5000": Task(ecg5000, networks.ecgtcn, (40, 60, 40), 16),
    "keywords": Task(keywords, networks.ds_cnn, (20, 20, 12), 32),
}


@dataclass(frozen=True)
class Result:
    """One network of one run."""

    task: str
    seed: int
    strength: float
    accuracy: float
    size: int
    macs: int


def train(model: keras.Model, split: Split, epochs: int, batch: int, decay: bool) -> None:
    x, y, *_ = split
    steps = epochs * -(-len(x) // batch)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps) if decay else 1e-3
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(x, y, batch, epochs, verbose=0)


def measure(model: keras.Model, split: Split, task: str, seed: int, strength: float) -> Result:
    *_, x, y = split
    accuracy = float((model.predict(x, 512, verbose=0).argmax(-1) == y).mean())
    return Result(task, seed, strength, accuracy, keras_pit.cost(model), keras_pit.cost(model, "macs"))


def run(name: str, data: pathlib.Path, seed: int, strengths: list[float]) -> list[Result]:
    """One seed network, searched with each strength (0 stands for the seed itself)."""
    task = TASKS[name]
    split = task.load(data)
    keras.utils.set_random_seed(seed)
    model = task.build()
    train(model, split, task.epochs[0], task.batch, decay=True)
    results = [measure(model, split, name, seed, 0.0)]
    for strength in strengths:
        start = time.perf_counter()
        search = keras_pit.convert(model, "macs", strength=strength)
        train(search, split, task.epochs[1], task.batch, decay=False)
        slim = keras_pit.export(search)
        train(slim, split, task.epochs[2], task.batch, decay=True)
        results.append(measure(slim, split, name, seed, strength))
        print(results[-1], f"{time.perf_counter() - start:.0f} s", flush=True)
    return results


def main(data: pathlib.Path, names: list[str], seeds: list[int], strengths: list[float], output: pathlib.Path) -> None:
    if not data.is_dir():
        raise SystemExit(f"No data in {data}: pass --data, the directory with ecg5000.npz and kws_mfcc.npz.")
    results = [result for name in names for seed in seeds for result in run(name, data, seed, strengths)]
    table = Table(title="Seed (strength 0) and slim networks, regularizer macs")
    for column in ("task", "seed", "strength", "accuracy", "parameters", "MACs", "share of MACs"):
        table.add_column(column, justify="left" if column == "task" else "right")
    for result in results:
        whole = next(r.macs for r in results if (r.task, r.seed, r.strength) == (result.task, result.seed, 0.0))
        numbers = (f"{result.size:,}", f"{result.macs:,}", f"{result.macs / whole:.1%}")
        table.add_row(result.task, str(result.seed), f"{result.strength:g}", f"{result.accuracy:.2%}", *numbers)
    Console().print(table)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--only", choices=TASKS, action="append")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--strengths", type=float, nargs="+", default=[1.0, 2.0, 4.0])
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("out/tradeoff.json"))
    arguments = parser.parse_args()
    names = arguments.only or list(TASKS)
    main(arguments.data, names, arguments.seeds, arguments.strengths, arguments.output)
