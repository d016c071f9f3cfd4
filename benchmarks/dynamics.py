"""How a search ends: is there one architecture, is the bound used up, and what is it worth right away.

    python benchmarks/dynamics.py [--only keywords] [--strengths 2] [--shares 0.3 0.1] [--epochs 14] [--fine-tune 8]

Each row is one `fit` with Adam at 1e-3, with a strength or for a share of the seed's parameters, and one of the
exported model along a cosine. `switches` are those of all masks, over the whole fit and over its last fifth. Accuracy
is that of the test data, right after the search and after fine-tuning. Tasks and data: see `tasks`.
"""

import json
import math
import os
import pathlib
import time
from dataclasses import asdict, dataclass
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table
from tasks import TASKS, Split, accuracy, parser, train, trained

import keras_pit


@dataclass(frozen=True)
class Result:
    """One search; `value` is a strength, or a bound on the number of parameters."""

    task: str
    seed: int
    mode: str
    value: float
    epochs: int
    fine_tune: int
    seed_accuracy: float
    seed_size: int
    size: int
    macs: int
    switches: int
    switches_in_last_fifth: int
    right_after: float
    fine_tuned: float
    seconds: float

    @property
    def ratio(self) -> float:
        return self.size / self.value if self.mode == "target" else math.nan


class Switches(keras.callbacks.Callback):
    """Counts how many masks switch in each step."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.counts: list[int] = []
        self._last = self._on()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = self._on()
        self.counts.append(int((now != self._last).sum()))
        self._last = now

    def _on(self) -> np.ndarray:
        return np.concatenate([mask.numpy() > 0.5 for mask in keras_pit.mask_variables(self.model)])


def run(name: str, seed: int, whole: keras.Model, split: Split, given: Any, mode: str, value: float) -> Result:
    task, start, switches = TASKS[name], time.perf_counter(), Switches()
    keras.utils.set_random_seed(seed)
    search = keras_pit.convert(whole, "size", **{mode: value})
    train(search, split, given.epochs or task.search_epochs, task.batch, decay=False, callbacks=[switches])
    slim = keras_pit.export(search)
    right_after = accuracy(slim, split)
    train(slim, split, given.fine_tune or task.fine_tune_epochs, task.batch)
    last = switches.counts[math.ceil(0.8 * len(switches.counts)) + 1 :]
    return Result(
        name,
        seed,
        mode,
        value,
        given.epochs or task.search_epochs,
        given.fine_tune or task.fine_tune_epochs,
        accuracy(whole, split),
        keras_pit.cost(whole),
        keras_pit.cost(slim),
        keras_pit.cost(slim, "macs"),
        sum(switches.counts),
        sum(last),
        right_after,
        accuracy(slim, split),
        round(time.perf_counter() - start, 1),
    )


def show(results: list[Result]) -> None:
    table = Table(title="Searches, right after and fine-tuned")
    columns = (
        "task",
        "seed",
        "mode",
        "value",
        "size",
        "/ bound",
        "MACs",
        "switches",
        "last fifth",
        "right after",
        "tuned",
    )
    for column in (*columns, "of seed"):
        table.add_column(column, justify="left" if column in ("task", "mode") else "right", no_wrap=True)
    for r in results:
        numbers = [f"{r.value:,g}", f"{r.size:,}", f"{r.ratio:.3f}", f"{r.macs:,}", f"{r.switches:,}"]
        shares = [f"{share:.2%}" for share in (r.right_after, r.fine_tuned, r.seed_accuracy)]
        table.add_row(r.task, str(r.seed), r.mode, *numbers, str(r.switches_in_last_fifth), *shares)
    Console(width=140).print(table)


def main(given: Any) -> None:
    results: list[Result] = []
    given.output.parent.mkdir(parents=True, exist_ok=True)
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__, "keras_pit": keras_pit.__version__}
    for name in given.only:
        split = TASKS[name].load(given.data)
        for seed in given.seeds:
            whole = trained(name, seed, split, given.seed_networks or given.output.parent / "seeds", given.seed_epochs)
            size = keras_pit.cost(whole)
            values = [("strength", strength) for strength in given.strengths]
            values += [("target", float(round(share * size))) for share in given.shares]
            for mode, value in values:
                results.append(run(name, seed, whole, split, given, mode, value))
                print(results[-1], flush=True)
                content = {"versions": versions, "results": [asdict(result) for result in results]}
                given.output.write_text(json.dumps(content, indent=2) + "\n")
    show(results)


if __name__ == "__main__":
    arguments = parser(__doc__, "dynamics.json")
    arguments.add_argument("--strengths", type=float, nargs="*", default=[2.0])
    arguments.add_argument("--shares", type=float, nargs="*", default=[0.3, 0.1])
    arguments.add_argument("--epochs", type=int, help="epochs of each search (default: by task)")
    arguments.add_argument("--fine-tune", type=int, help="epochs of fine-tuning (default: by task)")
    arguments.add_argument("--seed-epochs", type=int, help="epochs of the network it starts from (default: by task)")
    arguments.add_argument("--seed-networks", type=pathlib.Path, help="folder of trained networks to start from")
    main(arguments.parse_args())
