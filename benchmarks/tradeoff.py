"""What a strength gives: accuracy and cost of seed and slim network, on data and networks of several sizes.

    python benchmarks/tradeoff.py [--strengths 1 2 4] [--seeds 0] [--only ecg5000] [--output out/tradeoff.json]

See `tasks` for the data.
"""

import json
import os
import pathlib
import time
from dataclasses import asdict, dataclass

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from rich.console import Console
from rich.table import Table
from tasks import TASKS, Split, accuracy, parser, train

import keras_pit


@dataclass(frozen=True)
class Result:
    """One network of one run; strength 0 stands for the seed network."""

    task: str
    seed: int
    strength: float
    accuracy: float
    size: int
    macs: int


def measure(model: keras.Model, split: Split, task: str, seed: int, strength: float) -> Result:
    size, macs = keras_pit.cost(model), keras_pit.cost(model, "macs")
    return Result(task, seed, strength, accuracy(model, split), size, macs)


def run(name: str, data: pathlib.Path, seed: int, strengths: list[float]) -> list[Result]:
    """One seed network, searched with each strength."""
    task = TASKS[name]
    split = task.load(data)
    keras.utils.set_random_seed(seed)
    model = task.seed()
    train(model, split, task.epochs, task.batch)
    results = [measure(model, split, name, seed, 0.0)]
    for strength in strengths:
        start = time.perf_counter()
        search = keras_pit.convert(model, "macs", strength=strength)
        train(search, split, task.search_epochs, task.batch, decay=False)
        slim = keras_pit.export(search)
        train(slim, split, task.fine_tune_epochs, task.batch)
        results.append(measure(slim, split, name, seed, strength))
        print(results[-1], f"{time.perf_counter() - start:.0f} s", flush=True)
    return results


def main(data: pathlib.Path, names: list[str], seeds: list[int], strengths: list[float], output: pathlib.Path) -> None:
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
    arguments = parser(__doc__, "tradeoff.json")
    arguments.add_argument("--strengths", type=float, nargs="+", default=[1.0, 2.0, 4.0])
    given = arguments.parse_args()
    main(given.data, given.only, given.seeds, given.strengths, given.output)
