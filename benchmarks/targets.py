"""Whether a target is met: one `fit` with the default optimizer for each bound, and what the exported model costs.

    python benchmarks/targets.py [--only watch] [--metrics size macs] [--shares 0.5 0.2 0.0667] [--epochs 24]

Bounds are shares of the cost of the seed. A bound is met if the exported model costs 85 to 100 % of it, and exceeded if
it costs more. Some lie below what is left with all that is searched switched off; `convert` refuses them. Accuracy is
that of the exported model on held-out people, with no training after the search. Tasks and
data: see `tasks`; a run in parts trains each seed network once and keeps it beside the output.
"""

import argparse
import json
import math
import os
import time
from dataclasses import asdict, dataclass
from functools import partial

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from rich.console import Console
from rich.table import Table
from tasks import TASKS, Split, accuracy, parser, searched, trained

import keras_pit

LOWEST = 0.85
METRICS = ("size", "macs", "flash", "ram", "latency")


@dataclass(frozen=True)
class Result:
    """One search; `reached` is the cost of the exported model, `refused` why there is none."""

    task: str
    seed: int
    metric: str
    share: float
    bound: float
    seed_accuracy: float
    seconds: float
    reached: float | None = None
    accuracy: float | None = None
    refused: str = ""

    @property
    def ratio(self) -> float:
        return math.nan if self.reached is None else self.reached / self.bound


def search(
    task: str, seed: int, whole: keras.Model, split: Split, metric: str, share: float, epochs: int | None
) -> Result:
    start = time.perf_counter()
    bound = share * keras_pit.cost(whole, metric)
    result = partial(Result, task, seed, metric, share, bound, accuracy(whole, split))
    try:
        slim = searched(task, seed, whole, split, metric, bound, epochs)
    except ValueError as error:
        if "cannot be met" not in str(error):
            raise
        return result(time.perf_counter() - start, refused=str(error))
    return result(time.perf_counter() - start, float(keras_pit.cost(slim, metric)), accuracy(slim, split))


def show(results: list[Result]) -> None:
    table = Table(title="Cost of the exported model over its bound")
    for column in ("task", "metric", "share", "bound", "reached", "/ bound", "accuracy", "of seed"):
        table.add_column(column, justify="left" if column in ("task", "metric") else "right", no_wrap=True)
    for result in results:
        cells = ["-", "refused", "-"]
        if result.reached is not None:
            cells = [f"{result.reached:,.5g}", f"{result.ratio:.3f}", f"{result.accuracy:.2%}"]
        bound = (f"{result.share:.3f}", f"{result.bound:,.5g}")
        table.add_row(result.task, result.metric, *bound, *cells, f"{result.seed_accuracy:.2%}")
    Console().print(table)
    for result in results:
        if result.refused:
            Console().print(f"{result.task} {result.metric} {result.share:.3f}: {result.refused}", soft_wrap=True)
    met = sum(LOWEST <= result.ratio <= 1 for result in results)
    exceeded = sum(result.ratio > 1 for result in results)
    refused = sum(bool(result.refused) for result in results)
    Console().print(f"{met} of {len(results)} in [{LOWEST}, 1.0] of the bound, {exceeded} above, {refused} refused")


def main(given: argparse.Namespace) -> None:
    results = []
    given.output.parent.mkdir(parents=True, exist_ok=True)
    for task in given.only:
        split = TASKS[task].load(given.data)
        for seed in given.seeds:
            whole = trained(task, seed, split, given.output.parent / "seeds", given.seed_epochs)
            for metric in given.metrics:
                for share in given.shares:
                    result = search(task, seed, whole, split, metric, share, given.epochs)
                    found = result.refused or f"{result.ratio:.3f}, {result.accuracy:.2%}, {result.seconds:.0f} s"
                    print(f"{task} {metric} {share:.3f}: {found}", flush=True)
                    results.append(result)
                    given.output.write_text(json.dumps([asdict(one) for one in results], indent=2) + "\n")
    show(results)


if __name__ == "__main__":
    arguments = parser(__doc__, "targets.json")
    arguments.add_argument("--metrics", choices=METRICS, nargs="+", default=METRICS)
    arguments.add_argument("--shares", type=float, nargs="+", default=[1 / 2, 1 / 5, 1 / 15])
    arguments.add_argument("--epochs", type=int, help="epochs of each search (default: by task)")
    arguments.add_argument("--seed-epochs", type=int, help="epochs of the network it starts from (default: by task)")
    main(arguments.parse_args())
