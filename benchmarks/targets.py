"""Whether a target is met: one `fit` with the default optimizer for each bound, and what the exported model costs.

    python benchmarks/targets.py [--only watch] [--metrics size macs] [--shares 0.5 0.2 0.0667] [--epochs 24]

Bounds are shares of the cost of the seed. A bound is met if the exported model costs 85 to 100 % of it, and exceeded if
it costs more. Accuracy is that of the exported model on held-out people, with no training after the search.

The smartwatch recordings come with seglearn; `kws_mfcc.npz` (MFCC of Speech Commands v0.02, CC BY 4.0) is read from the
directory given by --data, `../shared/data` by default. Seeds are trained once and kept beside the output.
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
sys.path[:0] = [str(ROOT), str(ROOT / "examples")]

import keras  # noqa: E402
import watch  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

import keras_pit  # noqa: E402
from benchmarks import tradeoff  # noqa: E402
from examples import networks  # noqa: E402

LOWEST = 0.85
METRICS = ("size", "macs", "flash", "ram", "latency")


def smartwatch(data: pathlib.Path) -> tradeoff.Split:
    found = watch.load()
    return found.x_train, found.y_train, found.x_test, found.y_test


@dataclass(frozen=True)
class Task:
    """A data set and a seed network."""

    load: Callable[[pathlib.Path], tradeoff.Split]
    build: Callable[[], keras.Model]
    batch: int


TASKS = {
    "watch": Task(smartwatch, lambda: networks.tcn(watch.WINDOW, dropout=0.1), 64),
    "keywords": Task(tradeoff.keywords, networks.ds_cnn, 32),
}


@dataclass(frozen=True)
class Result:
    """One search; `reached` is the cost of the exported model."""

    task: str
    metric: str
    share: float
    bound: float
    reached: float
    accuracy: float
    seed_accuracy: float
    seconds: float

    @property
    def ratio(self) -> float:
        return self.reached / self.bound


def accuracy(model: keras.Model, split: tradeoff.Split) -> float:
    *_, x, y = split
    return float((model.predict(x, 512, verbose=0).argmax(-1) == y).mean())


def seed_of(name: str, split: tradeoff.Split, epochs: int, directory: pathlib.Path) -> keras.Model:
    """The trained seed, from an earlier run if there was one."""
    path = directory / f"{name}_{epochs}.keras"
    if not path.exists():
        keras.utils.set_random_seed(0)
        model = TASKS[name].build()
        tradeoff.train(model, split, epochs, TASKS[name].batch, decay=True)
        directory.mkdir(parents=True, exist_ok=True)
        model.save(path)
    return keras.models.load_model(path)


def search(name: str, seed: keras.Model, split: tradeoff.Split, metric: str, share: float, epochs: int) -> Result:
    start = time.perf_counter()
    keras.utils.set_random_seed(0)
    bound = share * keras_pit.cost(seed, metric)
    model = keras_pit.convert(seed, metric, target=bound)
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    x, y, *_ = split
    model.fit(x, y, TASKS[name].batch, epochs, verbose=0)
    slim = keras_pit.export(model)
    before, after = accuracy(seed, split), accuracy(slim, split)
    seconds = time.perf_counter() - start
    return Result(name, metric, share, bound, keras_pit.cost(slim, metric), after, before, seconds)


def show(results: list[Result]) -> None:
    table = Table(title="Cost of the exported model over its bound")
    for column in ("task", "metric", "bound / seed", "bound", "reached", "reached / bound", "accuracy", "of seed"):
        table.add_column(column, justify="left" if column in ("task", "metric") else "right")
    for result in results:
        numbers = (f"{result.share:.3f}", f"{result.bound:,.0f}", f"{result.reached:,.0f}", f"{result.ratio:.3f}")
        table.add_row(result.task, result.metric, *numbers, f"{result.accuracy:.2%}", f"{result.seed_accuracy:.2%}")
    Console().print(table)
    met = sum(LOWEST <= result.ratio <= 1 for result in results)
    exceeded = sum(result.ratio > 1 for result in results)
    Console().print(f"{met} of {len(results)} in [{LOWEST}, 1.0] of the bound, {exceeded} above")


def main(arguments: argparse.Namespace) -> None:
    results = []
    for name in arguments.only or TASKS:
        try:
            split = TASKS[name].load(arguments.data)
        except FileNotFoundError as error:
            raise SystemExit(f"No data for '{name}' in {arguments.data} ({error}): pass --data.") from error
        seed = seed_of(name, split, arguments.seed_epochs, arguments.output.parent)
        for metric in arguments.metrics:
            for share in arguments.shares:
                result = search(name, seed, split, metric, share, arguments.epochs)
                Console().print(f"{name} {metric} {share:.3f}: {result.ratio:.3f}, {result.accuracy:.2%}")
                results.append(result)
                arguments.output.parent.mkdir(parents=True, exist_ok=True)
                arguments.output.write_text(json.dumps([asdict(one) for one in results], indent=2) + "\n")
    show(results)


if __name__ == "__main__":
    known = [name for name in METRICS if name in keras_pit.costs.names()]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--only", choices=TASKS, action="append")
    parser.add_argument("--metrics", choices=known, nargs="+", default=known)
    parser.add_argument("--shares", type=float, nargs="+", default=[1 / 2, 1 / 5, 1 / 15])
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--seed-epochs", type=int, default=24)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("out/targets/targets.json"))
    main(parser.parse_args())
