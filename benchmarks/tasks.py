"""The tasks that the benchmarks share: real data, a network for it, and how long it is trained.

    task = TASKS["keywords"]
    split = task.load(data_directory)          x_train, y_train, x_test, y_test, standardised
    model = task.seed()                        where a search starts; `task.tuned()` is tuned by hand
    train(model, split, task.epochs, task.batch)

`watch` comes with the package seglearn; `ecg5000` (UCR archive 2018) and `keywords` (MFCC of Speech Commands v0.02,
CC BY 4.0) are read from a directory with `ecg5000.npz` and `kws_mfcc.npz`.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass
from functools import partial
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(1, str(pathlib.Path(__file__).resolve().parents[1] / "examples"))

import keras
import numpy as np
import tensorflow as tf

import keras_pit
from examples import networks, watch

ROOT = pathlib.Path(__file__).resolve().parents[1]
Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def smartwatch(data: pathlib.Path) -> Split:
    """Windows of 128 samples of 6 axes, seven exercises; three of ten people held out."""
    return astuple(watch.load())


def ecg5000(data: pathlib.Path) -> Split:
    """Heart beats of 140 samples, five classes."""
    arrays = read(data, "ecg5000.npz")
    x_train, x_test = (arrays[name].astype("float32")[..., None] for name in ("x_train", "x_test"))
    return x_train, arrays["y_train"].astype(int), x_test, arrays["y_test"].astype(int)


def keywords(data: pathlib.Path) -> Split:
    """49 frames of 10 MFCC, twelve classes; speakers apart."""
    arrays = read(data, "kws_mfcc.npz")
    x, y, split = arrays["x"].astype("float32")[..., None], arrays["y"].astype(int), arrays["split"]
    train, test = split == 0, split == 2
    x = (x - x[train].mean((0, 1))) / x[train].std((0, 1))
    return x[train], y[train], x[test], y[test]


def read(data: pathlib.Path, name: str) -> Any:
    path = data / name
    if not path.is_file():
        raise SystemExit(f"No file {path}: pass --data, the directory with {name}.")
    return np.load(path)


@dataclass(frozen=True)
class Task:
    """A data set, the network a search starts from, one tuned by hand, and epochs that train each to convergence."""

    load: Callable[[pathlib.Path], Split]
    seed: Callable[[], keras.Model]
    tuned: Callable[[], keras.Model]
    epochs: int
    search_epochs: int
    fine_tune_epochs: int
    batch: int


TASKS = {
    "watch": Task(
        smartwatch, partial(networks.tcn, dropout=0.1), partial(networks.tcn, dropout=0.1, seed=False), 24, 24, 24, 64
    ),
    "ecg5000": Task(ecg5000, networks.ecgtcn, partial(networks.ecgtcn, seed=False), 40, 60, 40, 16),
    "keywords": Task(keywords, networks.ds_cnn, networks.ds_cnn, 20, 20, 12, 32),
}


def train(
    model: keras.Model,
    split: Split,
    epochs: int,
    batch: int,
    *,
    decay: bool = True,
    loss: str = "sparse_categorical_crossentropy",
    **options: Any,
) -> None:
    """One plain fit with Adam at 1e-3, falling along a cosine if `decay`; options go to `fit`."""
    x, y, *_ = split
    steps = epochs * -(-len(x) // batch)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps) if decay else 1e-3
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), loss, jit_compile=False)
    model.fit(x, y, batch, epochs, verbose=0, **options)


def trained(name: str, seed: int, split: Split, directory: pathlib.Path, epochs: int | None = None) -> keras.Model:
    """The trained network that searches start from, from an earlier run if there was one."""
    task = TASKS[name]
    epochs = epochs or task.epochs
    path = directory / f"{name}_{seed}_{epochs}.keras"
    if not path.exists():
        keras.utils.set_random_seed(seed)
        model = task.seed()
        train(model, split, epochs, task.batch)
        directory.mkdir(parents=True, exist_ok=True)
        model.save(path)
    return keras.models.load_model(path)


def searched(
    name: str,
    seed: int,
    whole: keras.Model,
    split: Split,
    metric: str,
    target: float,
    epochs: int | None,
    **options: Any,
) -> keras.Model:
    """What one search for a target exports, with the default optimizer; options go to `convert`.

    Raises:
        ValueError: if the target cannot be met.
    """
    task = TASKS[name]
    x, y, *_ = split
    keras.utils.set_random_seed(seed)
    search = keras_pit.convert(whole, metric, target=target, **options)
    search.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    search.fit(x, y, task.batch, epochs or task.search_epochs, verbose=0)
    return keras_pit.export(search)


def accuracy(model: keras.Model, split: Split) -> float:
    """The share of the test samples that the model gets right."""
    *_, x, y = split
    return float((model.predict(x, 512, verbose=0).argmax(-1) == y).mean())


def cpu() -> float:
    """CPU time of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def save(results: Sequence[Any], path: pathlib.Path) -> None:
    """Write results, which are dataclasses with `seconds`, with what made them."""
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__, "keras_pit": keras_pit.__version__}
    content = {
        "versions": versions | {"python": platform.python_version()},
        "seconds": round(sum(one.seconds for one in results), 1),
        "results": [asdict(one) for one in results],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def saved(path: pathlib.Path, kind: Any) -> list[Any]:
    """The results of an earlier run, if there was one."""
    return [kind(**one) for one in json.loads(path.read_text())["results"]] if path.exists() else []


def parser(description: str | None, output: str) -> argparse.ArgumentParser:
    """Arguments that all benchmarks on tasks have: --data, --only, --seeds, --output."""
    result = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--data", type=pathlib.Path, default=pathlib.Path("data"), help="folder of the .npz")
    result.add_argument("--only", choices=TASKS, nargs="+", default=list(TASKS), help="tasks to run")
    result.add_argument("--seeds", type=int, nargs="+", default=[0], help="random seeds")
    result.add_argument("--output", type=pathlib.Path, default=pathlib.Path("out") / output, help="JSON to write")
    return result
