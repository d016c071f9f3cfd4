"""The price of a front: six points by one descent and by independent searches, against training the seed once.

    python benchmarks/front.py [--only watch keywords] [--seeds 0 1 2] [--metric latency] [--short] [--processes 1]
                               [--data FOLDER]

For each task and random seed: the seed is trained, then `keras_pit.sweep` finds the front twice, with and without
descent, each with the epochs that are its default. Told are

    price         time of the whole sweep, with imports, fine-tuning, conversion to int8 and what TFLite-Micro takes to
                  compute all test samples, over the time of training the seed; by the clock and by CPU time
    step          mean over a descent's searches of the time of an epoch, over that of an epoch of the seed
    hypervolume   area between the points in int8 and (cost of the seed, share of the most frequent class)

`--short` runs the descent alone, with one random seed. Two processes share the cores, which is the default of a sweep;
while both are at work, a step takes longer than alone, and `--processes 1` tells what it takes. Tasks and data: see
`tasks`.
"""

import json
import math
import os
import pathlib
import shutil
import statistics
import time
from dataclasses import asdict, dataclass
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from rich.console import Console
from rich.table import Table
from tasks import TASKS, Split, accuracy, cpu, parser

import keras_pit
from keras_pit.sweeps import hypervolume
from keras_pit.sweeps.training import Progress


@dataclass(frozen=True)
class Result:
    """One sweep; times in seconds, `points` as (cost, accuracy in float, accuracy in int8)."""

    task: str
    seed: int
    metric: str
    descent: bool
    processes: int
    seed_cost: float
    seed_accuracy: float
    seed_seconds: float
    seed_cpu: float
    seconds: float
    cpu: float
    step: float
    hypervolume: float
    points: list[tuple[float, float, float]]
    failures: list[str]

    @property
    def price(self) -> float:
        return self.seconds / self.seed_seconds

    @property
    def price_in_cpu(self) -> float:
        return self.cpu / self.seed_cpu


@dataclass(frozen=True)
class Seed:
    """A trained seed and what it took."""

    model: keras.Model
    accuracy: float
    seconds: float
    cpu: float
    epoch: float


def train(name: str, seed: int, split: Split) -> Seed:
    """Train the network that a sweep starts from, as it is compiled for all that follows."""
    task, (x, y, *_) = TASKS[name], split
    keras.utils.set_random_seed(seed)
    model, progress = task.seed(), Progress()
    rate = keras.optimizers.schedules.CosineDecay(1e-3, task.epochs * -(-len(x) // task.batch))
    optimizer = keras.optimizers.Adam(rate, clipnorm=1.0)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    begin, begin_cpu = time.perf_counter(), cpu()
    model.fit(x, y, task.batch, task.epochs, verbose=0, callbacks=[progress])
    took = time.perf_counter() - begin, cpu() - begin_cpu
    return Seed(model, accuracy(model, split), *took, statistics.median(progress.seconds[1:]))


def run(
    name: str, seed: int, whole: Seed, split: Split, metric: str, descent: bool, processes: int, directory: pathlib.Path
) -> Result:
    x, y, x_test, y_test = split
    shutil.rmtree(directory, ignore_errors=True)
    begin, begin_cpu = time.perf_counter(), cpu()
    front = keras_pit.sweep(
        whole.model,
        x,
        y,
        validation_data=(x_test, y_test),
        metric=metric,
        directory=directory,
        seeds=[seed],
        descent=descent,
        batch_size=TASKS[name].batch,
        executor=processes,
    )
    took = time.perf_counter() - begin, cpu() - begin_cpu
    epochs = [history(directory / f"search-{seed}-{point.number}") for point in front]
    cost = float(keras_pit.cost(whole.model, metric))
    reference = cost, float(np.bincount(y_test).max() / len(y_test))
    least = min(bound[metric] for bound in front.plan.bounds)
    area = hypervolume([(point.costs[metric], point.value) for point in front], reference, best=least)
    return Result(
        name,
        seed,
        metric,
        descent,
        processes,
        cost,
        whole.accuracy,
        whole.seconds,
        whole.cpu,
        *took,
        statistics.fmean(epoch / whole.epoch for epoch in epochs if not math.isnan(epoch)),
        area,
        [(point.costs[metric], point.accuracy, point.value) for point in front],
        [f"{failure.step.name}: {failure.reason}" for failure in front.failures],
    )


def history(folder: pathlib.Path) -> float:
    """The time of an epoch of a search, without the first one, which is traced."""
    content = json.loads((folder / "history.json").read_text())
    seconds = content.get("search", {}).get("seconds", [])[1:]
    return statistics.median(seconds) if seconds else math.nan


def show(results: list[Result]) -> None:
    table = Table(title="The price of six points")
    for column in ("task", "seed", "sweep", "seed (s)", "sweep (s)", "price", "price (CPU)", "step", "hypervolume"):
        table.add_column(column, justify="left" if column in ("task", "sweep") else "right", no_wrap=True)
    for r in results:
        kind = "descent" if r.descent else "independent"
        numbers = (r.seed_seconds, r.seconds)
        ratios = (r.price, r.price_in_cpu, r.step, r.hypervolume)
        table.add_row(r.task, str(r.seed), kind, *(f"{n:.0f}" for n in numbers), *(f"{n:.2f}" for n in ratios))
    Console(width=120).print(table)


def draw(results: list[Result], path: pathlib.Path) -> None:
    """Accuracy in int8 over the cost, all random seeds."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(result.task for result in results))
    figure = Figure(figsize=(5.5 * len(names), 4), layout="constrained")
    for axis, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for descent, color, marker in ((True, "#0072B2", "o"), (False, "#D55E00", "^")):
            mine = [result for result in results if result.task == name and result.descent == descent]
            for index, result in enumerate(mine):
                costs, _, values = zip(*sorted(result.points), strict=True)
                label = ("descent" if descent else "independent") if index == 0 else None
                axis.plot(costs, values, marker, linestyle="-", linewidth=0.6, color=color, label=label, alpha=0.8)
        seeds = [result for result in results if result.task == name and result.descent]
        axis.plot(
            [r.seed_cost for r in seeds], [r.seed_accuracy for r in seeds], "k*", markersize=10, label="seed (float)"
        )
        axis.set_xscale("log")
        axis.set_title(name)
        axis.set_xlabel(results[0].metric)
        axis.set_ylabel("accuracy in int8 on TFLite-Micro")
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False)
    figure.savefig(path, dpi=150)


def main(given: Any) -> None:
    results: list[Result] = []
    seeds = given.seeds[:1] if given.short else given.seeds
    given.output.parent.mkdir(parents=True, exist_ok=True)
    for name in given.only:
        split = TASKS[name].load(given.data)
        for seed in seeds:
            whole = train(name, seed, split)
            for descent in (True,) if given.short else (True, False):
                directory = given.output.parent / f"front_{name}_{seed}_{'descent' if descent else 'independent'}"
                results.append(run(name, seed, whole, split, given.metric, descent, given.processes, directory))
                print(results[-1], flush=True)
                rows = [{**asdict(r), "price": r.price, "price_in_cpu": r.price_in_cpu} for r in results]
                versions = {"keras": keras.__version__, "keras_pit": keras_pit.__version__}
                given.output.write_text(json.dumps({"versions": versions, "results": rows}, indent=2) + "\n")
                draw(results, given.output.with_suffix(".png"))
    show(results)


if __name__ == "__main__":
    arguments = parser(__doc__, "front.json")
    arguments.add_argument("--metric", default="size", help="the cost that is pressed down")
    arguments.add_argument("--short", action="store_true", help="the descent alone, one random seed")
    arguments.add_argument("--processes", type=int, default=2, help="which share the cores")
    arguments.set_defaults(only=["watch", "keywords"])
    main(arguments.parse_args())
