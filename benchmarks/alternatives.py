"""The search against its alternatives: the same seed network, the same number of epochs, the same bounds on a cost.

    python benchmarks/alternatives.py --data DIRECTORY [--short] [--tasks ecg5000] [--methods l1 ours] [--seeds 0 1 2]
                                      [--costs size macs latency]

Each method makes a network for each bound, a share of the seed's parameters, MACs or latency, in as many epochs as
training the seed, one search and one fine-tuning take together (Adam, 1e-3, along a cosine; the search itself at a
constant rate).

    width             the same share of the channels of every layer, the largest that fits, trained from random weights
    l1                of the trained seed, the channels of every layer with the largest L1 norm (arXiv 1608.08710), the
                      same share of each, all at once, then fine-tuned
    l1_iterative      the same in four steps, each followed by a fourth of the fine-tuning
    keras_tuner       Bayesian search over widths, kernels and dilations of each layer: half of the epochs for trials
                      of an eighth each (what is too large is not trained), half to train the best one
    ours_channels     keras_pit, target=bound, searching channels alone, then fine-tuned
    ours              keras_pit, target=bound, then fine-tuned

What a method tries on the way is chosen by validation data; test data only report. Networks of all methods are cut with
`keras_pit.export`, so that what is compared is what is kept, not how. A run goes on where an earlier one with the same
--output ended. Tasks and data: see `divided`; hypervolumes: see `fronts`.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import pathlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from divided import TASKS, Divided, Task, score
from fronts import COSTS, Point, draw, show
from tasks import ROOT, save, saved, train

import keras_pit

STEPS = 4
"""Of iterative pruning."""
TRIAL, MOST_SHAPES = 8, 24
"""A trial of KerasTuner takes this part of all epochs; so many shapes, most of them too large, for each trial."""
WIDTHS = (0.125, 0.25, 0.375, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Run:
    """What all methods are given."""

    task: Task
    data: Divided
    whole: keras.Model
    cost: str
    bound: float
    seed: int

    @property
    def epochs(self) -> int:
        """All in all."""
        return sum(self.task.epochs)

    def train(self, model: keras.Model, epochs: int, **options: Any) -> keras.Model:
        train(model, (*self.data.train, None, None), epochs, self.task.batch, **options)
        return model


# -- architectures, set by hand through the masks ----------------------------------------------------------------------


def magnitudes(search: keras_pit.SearchModel) -> np.ndarray:
    """For each channel class the sum of the L1 norms of the filters that make it, each relative to its layer's mean."""
    total = np.zeros(search.channels.count)
    for layer in search.search_layers:
        labels = search.channels.layers[layer].made
        if labels.size:
            kernel = np.abs(keras.ops.convert_to_numpy(layer.kernel))
            norms = kernel.sum(tuple(range(kernel.ndim - 1)))
            np.add.at(total, labels, norms / norms.mean())
    return total


def keep(search: keras_pit.SearchModel, shares: Callable[[str], float], ranking: np.ndarray) -> None:
    """Switch on, in each group of channels of a layer, the share with the highest ranks, at least one."""
    for layer in search.search_layers:
        if layer.alpha is None:
            continue
        parts = []
        for labels in search.channels.owned(layer):
            count = max(1, round(shares(layer.name) * len(labels)))
            place = np.argsort(np.argsort(-ranking[labels], kind="stable"))
            parts.append(np.where(place < count, 0.6, 0.4))
        layer.alpha.assign(np.concatenate(parts))


def uniform(whole: keras.Model, cost: str, bound: float, ranking: Callable[[Any], np.ndarray]) -> keras.Model:
    """The largest network within the bound that keeps the same share of the channels of every layer."""
    search = keras_pit.convert(whole, search="channels")
    ranks = ranking(search)
    low, high = 0, 512
    while high - low > 1:
        middle = (low + high) // 2
        keep(search, lambda name: middle / 512, ranks)  # noqa: B023 - called at once
        low, high = (middle, high) if keras_pit.cost(search, cost) <= bound else (low, middle)
    keep(search, lambda name: low / 512, ranks)
    return keras_pit.export(search)


def first(search: keras_pit.SearchModel) -> np.ndarray:
    """Ranks that keep the first channels."""
    return -np.arange(search.channels.count)


def fresh(model: keras.Model) -> keras.Model:
    """The same network with random weights."""
    return keras.models.clone_model(model)


# -- methods -----------------------------------------------------------------------------------------------------------


def width(run: Run) -> keras.Model:
    return run.train(fresh(uniform(run.whole, run.cost, run.bound, first)), run.epochs)


def l1(run: Run) -> keras.Model:
    return run.train(uniform(run.whole, run.cost, run.bound, magnitudes), sum(run.task.epochs[1:]))


def l1_iterative(run: Run) -> keras.Model:
    model, start = run.whole, float(keras_pit.cost(run.whole, run.cost))
    ends = np.linspace(0, sum(run.task.epochs[1:]), STEPS + 1).round().astype(int)
    for step, epochs in enumerate(np.diff(ends), 1):
        bound = start * (run.bound / start) ** (step / STEPS)
        model = run.train(uniform(model, run.cost, bound, magnitudes), int(epochs))
    return model


def ours(run: Run, **options: Any) -> keras.Model:
    search = keras_pit.convert(run.whole, run.cost, target=run.bound, **options)
    run.train(search, run.task.epochs[1], decay=False)
    return run.train(keras_pit.export(search), run.task.epochs[2])


def ours_channels(run: Run) -> keras.Model:
    return ours(run, search="channels")


def keras_tuner(run: Run) -> keras.Model:
    try:
        import keras_tuner as kt
    except ImportError as error:
        raise SystemExit('KerasTuner is missing: pip install "keras_pit[benchmarks]"') from error
    search, epochs = keras_pit.convert(run.whole), max(1, run.epochs // TRIAL)
    trials, start = run.epochs // 2 // epochs, _width_within(search, run.cost, run.bound)

    def build(hp: Any) -> keras.Model:
        choose(search, hp, start)
        return fresh(keras_pit.export(search))

    class Tuner(kt.BayesianOptimization):
        trained = 0

        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
            """What is to be minimized."""
            choose(search, trial.hyperparameters, start)
            excess = keras_pit.cost(search, run.cost) / run.bound
            if excess > 1:
                return 1 + math.log(excess)
            model = run.train(build(trial.hyperparameters), epochs)
            self.trained += 1
            if self.trained == trials:
                self.oracle.max_trials = len(self.oracle.trials)
            return 1 - score(model, run.data.validation, run.task.balanced)

    with tempfile.TemporaryDirectory() as folder:
        options = {"max_trials": MOST_SHAPES * trials, "num_initial_points": trials, "seed": run.seed}
        tuner = Tuner(build, directory=folder, **options)
        tuner.search(verbose=0)
        best = build(tuner.get_best_hyperparameters()[0])
    return run.train(best, run.epochs - trials * epochs)


def choose(search: keras_pit.SearchModel, hp: Any, start: float) -> None:
    """Set the masks as a tuner says: a width, a reach and a dilation for each layer that has them."""
    keep(search, lambda name: hp.Choice(f"{name} width", WIDTHS, default=start), first(search))
    for layer in search.search_layers:
        if layer.beta is not None:
            size = layer.beta.shape[0]
            reach = hp.Int(f"{layer.name} reach", 1, size, default=size)
            layer.beta.assign(np.where(np.arange(size) < reach, 0.6, 0.4))
        if layer.gamma is not None:
            size = layer.gamma.shape[0]
            step = hp.Int(f"{layer.name} dilation", 0, size - 1, default=0)
            layer.gamma.assign(np.where(np.arange(size) >= step, 0.6, 0.4))


def _width_within(search: keras_pit.SearchModel, cost: str, bound: float) -> float:
    """The largest of the widths with which the network fits, or else the smallest."""
    for share in sorted(WIDTHS, reverse=True):
        keep(search, lambda name: share, first(search))  # noqa: B023 - called at once
        if keras_pit.cost(search, cost) <= bound:
            return share
    return min(WIDTHS)


METHODS: dict[str, Callable[[Run], keras.Model]] = {
    method.__name__: method for method in (width, l1, l1_iterative, keras_tuner, ours_channels, ours)
}


# -- running them ------------------------------------------------------------------------------------------------------


def measured(run: Run, name: str, method: str, model: keras.Model, seconds: float) -> Point:
    costs = {cost: float(keras_pit.cost(model, cost)) for cost in COSTS}
    scores = (score(model, pair, run.task.balanced) for pair in (run.data.validation, run.data.test))
    epochs = run.task.epochs[0] if method == "seed" else run.epochs
    return Point(name, run.seed, method, run.bound, **costs, validation=next(scores), test=next(scores),
                 epochs=epochs, seconds=round(seconds, 1), classes=model.output_shape[-1], cost=run.cost)  # fmt: skip


def seed_network(name: str, task: Task, data: Divided, seed: int, folder: pathlib.Path) -> keras.Model:
    """The trained network that all methods start from, from an earlier run if there was one."""
    path = folder / f"{name}_{seed}_{task.epochs[0]}.keras"
    if not path.exists():
        keras.utils.set_random_seed(seed)
        model = task.seed()
        train(model, (*data.train, None, None), task.epochs[0], task.batch)
        folder.mkdir(parents=True, exist_ok=True)
        model.save(path)
    return keras.models.load_model(path)


def main(given: argparse.Namespace) -> None:
    points: list[Point] = saved(given.output, Point)
    done = {(point.task, point.seed, point.method, point.cost, point.budget) for point in points}
    for name in given.tasks:
        task = TASKS[name]
        if given.divide > 1:
            first_epochs, *others = task.epochs
            task = replace(task, epochs=(first_epochs, *(max(2, epochs // given.divide) for epochs in others)))
        data = task.load(given.data)
        for seed in given.seeds:
            whole = seed_network(name, task, data, seed, given.seed_networks or given.output.parent / "seeds")
            wanted = [("seed", "size", float(keras_pit.cost(whole)))]
            for cost in given.costs:
                bounds = [_bound(cost, share * keras_pit.cost(whole, cost)) for share in given.shares]
                wanted += [(method, cost, bound) for bound in bounds for method in given.methods]
            for method, cost, bound in wanted:
                if (name, seed, method, cost, bound) in done:
                    continue
                run, start = Run(task, data, whole, cost, bound, seed), time.perf_counter()
                keras.utils.set_random_seed(seed)
                model = whole if method == "seed" else METHODS[method](run)
                points.append(measured(run, name, method, model, time.perf_counter() - start))
                print(points[-1], flush=True)
                save(points, given.output)
    show(points)
    draw(points, given.output.with_suffix(".png"))


def _bound(cost: str, value: float) -> float:
    """Milliseconds with two places, all else whole."""
    return float(round(value, 2 if cost == "latency" else None))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("data"), help="folder of the .npz")
    parser.add_argument("--tasks", choices=TASKS, nargs="+", default=list(TASKS))
    parser.add_argument("--methods", choices=METHODS, nargs="+", default=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.5, 0.3, 0.15, 0.08], help="of the seed's cost")
    parser.add_argument("--costs", choices=COSTS, nargs="+", default=["size"], help="what is bounded")
    parser.add_argument("--divide", type=int, default=1, help="search and tune a so many-th of the epochs")
    parser.add_argument("--short", action="store_true", help="two tasks, one seed, two bounds, a fourth of the epochs")
    parser.add_argument("--seed-networks", type=pathlib.Path, help="folder of trained networks to start from")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "out" / "alternatives.json", help="JSON to write")
    given = parser.parse_args()
    if given.short:
        given.tasks, given.seeds, given.shares, given.divide = ["ecg5000", "digits"], [0], [0.3, 0.1], 4
    return given


if __name__ == "__main__":
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # that many models are traced is meant
    main(parsed())
