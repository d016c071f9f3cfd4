"""A picture of masks over training: when each switches, how the budget comes down, and where the search settles.

    python benchmarks/masks.py [--share 0.1] [--epochs 15] [--output docs/masks.png]

One search for a share of the parameters, on the digits of scikit-learn (see `divided`).
"""

from __future__ import annotations

import argparse
import os
import pathlib
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from divided import TASKS
from matplotlib import pyplot
from tasks import ROOT, train

import keras_pit
from keras_pit.search import settling, targets


class Record(keras.callbacks.Callback):
    """The masks and the cost after each step."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.masks: list[np.ndarray] = []
        self.sizes: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.masks.append(np.concatenate([mask.numpy() for mask in keras_pit.mask_variables(self.model)]))
        self.sizes.append(keras_pit.cost(self.model))


def draw(search: keras_pit.SearchModel, record: Record, bound: float, path: pathlib.Path) -> None:
    """Above the cost over its budget, below a row for each mask."""
    steps = len(record.masks)
    figure, (top, below) = pyplot.subplots(2, 1, figsize=(9, 7), height_ratios=(1, 3), sharex=True)
    progress = np.arange(1, steps + 1) / steps
    whole = record.sizes[0]
    top.plot(whole * (bound / whole) ** np.minimum(progress / targets.RAMP, 1), "k--", lw=1, label="budget")
    top.plot(record.sizes, lw=1.5, label="parameters")
    top.set(yscale="log", ylabel="parameters")
    top.legend(fontsize=8)
    image = below.imshow(np.array(record.masks).T, "RdYlGn", aspect="auto", vmin=0.4, vmax=0.6, interpolation="nearest")
    ends = np.cumsum([mask.shape[0] for mask in keras_pit.mask_variables(search)])
    names = [layer.name for layer in search.search_layers for _ in layer.mask_variables]
    below.set_yticks(ends - np.diff([0, *ends]) / 2, names, fontsize=7)
    for end in ends[:-1]:
        below.axhline(end - 0.5, color="white", lw=1)
    for axis in (top, below):
        axis.axvline(settling.FREEZE * steps, color="black", lw=1, ls=":")
    below.set(xlabel="step")
    figure.colorbar(image, ax=(top, below), label="mask (above 0.5: kept)", shrink=0.6)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)


def main(given: argparse.Namespace) -> None:
    task = TASKS["digits"]
    data = task.load(given.output)
    keras.utils.set_random_seed(0)
    model = task.seed()
    train(model, (*data.train, None, None), given.epochs, task.batch)
    bound = given.share * keras_pit.cost(model)
    search, record = keras_pit.convert(model, target=bound), Record()
    train(search, (*data.train, None, None), given.epochs, task.batch, decay=False, callbacks=[record])
    draw(search, record, bound, given.output)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=0.1, help="of the seed's parameters")
    parser.add_argument("--epochs", type=int, default=15, help="of the seed, and of the search")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "docs" / "masks.png", help="picture to write")
    main(parser.parse_args())
