"""What each part of the search brings: the same searches with one part switched off.

    python benchmarks/ablation.py --data DIRECTORY [--tasks digits] [--shares 0.1] [--seeds 0 1] [--parts hysteresis]

    all               the search as it is
    hysteresis        a mask that has switched is not set back from the threshold
    mean              what is fixed are the masks of the last instant, not of the last steps on average
    settling          searched to the end: the architecture is fixed at the last step
    rise              weights settle from the usual learning rate on, not from a higher one
    statistics        moving statistics of batch norm go on when the architecture is fixed, and are not measured anew
    ramp              the bound counts from the first step on
    pressure          no pressure of the cost in the loss: masks are switched by shifts alone
    kernels           channels alone are searched
    weights           the architecture that was found, trained from random weights, as many epochs as all together

And with one part that it does not have:

    distillation      half of each label, in the search and in fine-tuning, is what the seed says (arXiv 1503.02531)

Adam at 1e-3, fine-tuned along a cosine. `right after` is the score of the validation data before fine-tuning. They tell
what to keep; test data are only reported. A run goes on where an earlier one with the same --output ended. Tasks and
data: see `divided`.
"""

from __future__ import annotations

import argparse
import logging
import os
import pathlib
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any
from unittest.mock import patch

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from alternatives import Run, fresh, seed_network
from divided import TASKS, score
from fronts import spread
from rich.console import Console
from rich.table import Table
from tasks import ROOT, save, saved

import keras_pit
from keras_pit.search import rates, settling, targets

NEVER = 1e-9
PARTS: dict[str, list[Any]] = {
    "all": [],
    "hysteresis": [patch.object(settling, "HOLD", 0.0)],
    "mean": [patch.object(settling, "WINDOW", NEVER)],
    "settling": [patch.object(settling, "FREEZE", 1.0 - NEVER)],
    "rise": [patch.object(rates, "HIGHEST", 1.0)],
    "statistics": [patch.object(settling.Controller, "measuring", lambda self, layers: nullcontext())],
    "ramp": [patch.object(targets, "RAMP", NEVER)],
    "pressure": [patch.object(targets, "PRESSURE", (0.0, 0.0))],
    "kernels": [],
    "weights": [],
    "distillation": [],
}


@dataclass(frozen=True)
class Result:
    """One search without one part; scores right after it and fine-tuned."""

    task: str
    seed: int
    part: str
    bound: float
    size: float
    macs: float
    right_after: float
    validation: float
    test: float
    seconds: float


@contextmanager
def without(part: str) -> Iterator[None]:
    """A context in which a part of the search is switched off."""
    for one in PARTS[part]:
        one.start()
    try:
        yield
    finally:
        for one in PARTS[part]:
            one.stop()


def distilled(run: Run) -> Run:
    """With labels for "categorical_crossentropy" that are half the seed's."""
    x, y = run.data.train
    said: Any = run.whole.predict(x, 512, verbose=0)
    labels = (np.eye(said.shape[-1], dtype="float32")[y] + said) / 2
    return replace(run, data=replace(run.data, train=(x, labels)))


def measured(run: Run, name: str, part: str) -> Result:
    start = time.perf_counter()
    loss = {}
    if part == "distillation":
        run, loss = distilled(run), {"loss": "categorical_crossentropy"}
    keras.utils.set_random_seed(run.seed)
    with without(part):
        options = {"search": "channels"} if part == "kernels" else {}
        search = keras_pit.convert(run.whole, "size", target=run.bound, **options)
        run.train(search, run.task.epochs[1], decay=False, **loss)
        slim = keras_pit.export(search)
    validation, test = run.data.validation, run.data.test
    right_after = score(slim, validation, run.task.balanced)
    epochs = run.epochs if part == "weights" else run.task.epochs[2]
    model = run.train(fresh(slim) if part == "weights" else slim, epochs, **loss)
    scores = [score(model, pair, run.task.balanced) for pair in (validation, test)]
    costs = [float(keras_pit.cost(model, cost)) for cost in ("size", "macs")]
    seconds = round(time.perf_counter() - start, 1)
    return Result(name, run.seed, part, run.bound, *costs, right_after, *scores, seconds)


def show(results: list[Result]) -> None:
    table = Table(title="The search without one of its parts (%), mean of seeds")
    for column in ("task", "bound", "without", "parameters", "MACs", "right after", "fine-tuned", "test"):
        table.add_column(column, justify="left" if column in ("task", "without") else "right")
    for task, bound, part in dict.fromkeys((one.task, one.bound, one.part) for one in results):
        of = [one for one in results if (one.task, one.bound, one.part) == (task, bound, part)]
        costs = [f"{mean(getattr(one, name) for one in of):,.0f}" for name in ("size", "macs")]
        names = ("right_after", "validation", "test")
        scores = [spread([100 * getattr(one, name) for one in of], ".1f") for name in names]
        table.add_row(task, f"{bound:,.0f}", "-" if part == "all" else part, *costs, *scores)
    Console(width=120).print(table)


def main(given: argparse.Namespace) -> None:
    results: list[Result] = saved(given.output, Result)
    done = {(one.task, one.seed, one.part, one.bound) for one in results}
    for name in given.tasks:
        task = TASKS[name]
        task = replace(task, epochs=(task.epochs[0], *(max(2, one // given.divide) for one in task.epochs[1:])))
        data = task.load(given.data)
        for seed in given.seeds:
            whole = seed_network(name, task, data, seed, given.seed_networks or given.output.parent / "seeds")
            for share in given.shares:
                bound = float(np.round(share * keras_pit.cost(whole)))
                for part in given.parts:
                    if (name, seed, part, bound) not in done:
                        results.append(measured(Run(task, data, whole, "size", bound, seed), name, part))
                        print(results[-1], flush=True)
                        save(results, given.output)
    show(results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("data"), help="folder of the .npz")
    parser.add_argument("--tasks", choices=TASKS, nargs="+", default=list(TASKS))
    parser.add_argument("--parts", choices=PARTS, nargs="+", default=list(PARTS))
    parser.add_argument("--shares", type=float, nargs="+", default=[0.3, 0.1], help="of the seed's parameters")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--divide", type=int, default=1, help="search and tune a so many-th of the epochs")
    parser.add_argument("--seed-networks", type=pathlib.Path, help="folder of trained networks to start from")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "out" / "ablation.json", help="JSON to write")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # that many models are traced is meant
    main(parser.parse_args())
