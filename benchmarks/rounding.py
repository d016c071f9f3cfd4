"""What `round_to` buys: searches for the same bound, with channels one by one and in blocks of four.

    python benchmarks/rounding.py [--only watch] [--metric latency] [--share 0.1] [--round-to 1 4] [--epochs 24]

Instructions are those of one inference of the exported model with CMSIS-NN (see `keras_pit.costs.latency`). CMSIS-NN
computes four numbers at a time on a Cortex-M4, sixteen on a Cortex-M55: channels that fill no block of four take a slow
rest loop each time. Accuracy is that of the exported model on held-out people, with no training after the search.
"""

import argparse
import json
import os
from dataclasses import asdict, dataclass

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from rich.console import Console
from rich.table import Table
from tasks import TASKS, Split, accuracy, parser, searched, trained

import keras_pit
from keras_pit.blueprint import Blueprint
from keras_pit.costs.latency import instructions

CORES = ("cortex-m4", "cortex-m55")


@dataclass(frozen=True)
class Result:
    """One exported model."""

    task: str
    seed: int
    round_to: int
    channels: list[int]
    macs: int
    accuracy: float
    instructions: dict[str, float]


def search(task: str, seed: int, whole: keras.Model, split: Split, given: argparse.Namespace, round_to: int) -> Result:
    target = given.share * keras_pit.cost(whole, given.metric)
    slim = searched(task, seed, whole, split, given.metric, target, given.epochs, round_to=round_to)
    program = Blueprint.of(slim).program()
    made = {core: float(instructions(program, core)) for core in CORES}
    channels = [layer.filters for layer in slim.layers if getattr(layer, "filters", None)]
    return Result(task, seed, round_to, channels, keras_pit.cost(slim, "macs"), accuracy(slim, split), made)


def show(results: list[Result]) -> None:
    table = Table(title="Instructions of one inference, in thousands, and for each MAC")
    for column in ("task", "round_to", "channels", "MACs (k)", "accuracy", *CORES):
        table.add_column(column, justify="left" if column in ("task", "channels") else "right")
    for result in results:
        counts = (f"{count / 1e3:,.0f} ({count / result.macs:.2f})" for count in result.instructions.values())
        cells = (" ".join(map(str, result.channels)), f"{result.macs / 1e3:,.0f}", f"{result.accuracy:.2%}")
        table.add_row(result.task, str(result.round_to), *cells, *counts)
    Console().print(table)


def main(given: argparse.Namespace) -> None:
    results = []
    given.output.parent.mkdir(parents=True, exist_ok=True)
    for task in given.only:
        split = TASKS[task].load(given.data)
        for seed in given.seeds:
            whole = trained(task, seed, split, given.output.parent / "seeds")
            for round_to in given.round_to:
                results.append(search(task, seed, whole, split, given, round_to))
                print(results[-1], flush=True)
                given.output.write_text(json.dumps([asdict(one) for one in results], indent=2) + "\n")
    show(results)


if __name__ == "__main__":
    arguments = parser(__doc__, "rounding.json")
    arguments.add_argument("--share", type=float, default=0.1, help="bound, as a share of the seed's cost")
    arguments.add_argument("--metric", default="latency", help="the cost that is bounded")
    arguments.add_argument("--round-to", type=int, nargs="+", default=[1, 4], help="sizes of blocks")
    arguments.add_argument("--epochs", type=int, help="epochs of each search (default: by task)")
    main(arguments.parse_args())
