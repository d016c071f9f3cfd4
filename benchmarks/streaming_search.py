"""What a board's bounds make of a network that streams, and what of one that computes its window again.

    python benchmarks/streaming_search.py [--data DIRECTORY] [--only watch keywords] [--shares 0.6 0.3]

From one trained causal TCN with dense kernels (see `examples.networks.tcn`), for each bound one search: on the RAM of
the streaming form, on its latency, and on both of the window. Bounds lie between what the seed needs and the least that
can be reached, in the logarithm: 0.5 is half-way. Printed are the cost as a share of its bound, the networks (for
each layer channels x kernel, @ dilation), how far back they look, and their accuracy on test data after fine-tuning.
"""

import json
import os
import pathlib
import time
from dataclasses import asdict, dataclass

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from rich.console import Console
from rich.table import Table
from tasks import Split, accuracy, parser, train
from tasks import keywords as images
from tasks import smartwatch as windows

import keras_pit
from examples import networks

BOARD = "nano33ble"
COSTS = ("streaming_ram", "ram", "streaming_latency", "latency")
EPOCHS = {"watch": (24, 24, 12), "keywords": (24, 20, 12)}
"""Of the seed, of a search, of fine-tuning."""
BATCH = 64


@dataclass(frozen=True)
class Result:
    """What one search for a bound found."""

    task: str
    metric: str
    bound: float
    cost: float
    layers: str
    reach: int
    costs: dict[str, float]
    accuracy: float
    seconds: float


def load(task: str, data: pathlib.Path) -> Split:
    """Sequences of shape (samples, steps, features), and their classes."""
    if task == "watch":
        return windows(data)
    x_train, y_train, x_test, y_test = images(data)
    return x_train[..., 0], y_train, x_test[..., 0], y_test


def seed_network(split: Split) -> keras.Model:
    """A causal TCN of five layers whose kernels reach 63 steps back, all dense."""
    x, y = split[:2]
    return networks.tcn(*x.shape[1:], int(y.max()) + 1, channels=32, kernel_size=3, depth=5, dropout=0.1)


def convolutions(model: keras.Model) -> list[keras.layers.Conv1D]:
    """In the order of the network."""
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv1D)]


def told(model: keras.Model) -> str:
    """Its layers in short."""
    parts = []
    for conv in convolutions(model):
        (size,), (dilation,) = conv.kernel_size, conv.dilation_rate
        parts.append(f"{conv.filters}x{size}" + (f"@{dilation}" if dilation > 1 else ""))
    return " ".join(parts)


def reach(model: keras.Model) -> int:
    """The receptive field in steps."""
    return 1 + sum((conv.kernel_size[0] - 1) * conv.dilation_rate[0] for conv in convolutions(model))


def least(seed: keras.Model, name: str) -> float:
    """A cost with everything switched off that can be."""
    search = keras_pit.convert(seed, name)
    for mask in keras_pit.mask_variables(search):
        mask.assign(np.zeros(mask.shape))
    return float(keras_pit.cost(search, name))


def searched(task: str, seed: keras.Model, split: Split, metric: str, share: float, random: int) -> Result:
    name, start = f"{metric}:{BOARD}", time.perf_counter()
    smallest = least(seed, name)
    bound = smallest * (keras_pit.cost(seed, name) / smallest) ** share
    _, epochs, tuning = EPOCHS[task]
    keras.utils.set_random_seed(random)
    search = keras_pit.convert(seed, name, target=bound)
    train(search, split, epochs, BATCH, decay=False)
    slim = keras_pit.export(search)
    train(slim, split, tuning, BATCH)
    costs = {cost: float(keras_pit.cost(slim, f"{cost}:{BOARD}")) for cost in COSTS}
    seconds = round(time.perf_counter() - start, 1)
    return Result(task, metric, bound, costs[metric], told(slim), reach(slim), costs, accuracy(slim, split), seconds)


def table(results: list[Result]) -> Table:
    found = Table(title=f"searches for bounds of a {BOARD}, and what they found")
    for column in ("task", "bound on", "bound", "cost / bound", "layers", "looks back", *COSTS, "accuracy"):
        found.add_column(column, justify="left" if column in ("task", "bound on", "layers") else "right")
    for one in results:
        used = f"{one.cost / one.bound:.3f}" if one.bound else ""
        costs = [f"{value:,.2f}" if "latency" in name else f"{value:,.0f}" for name, value in one.costs.items()]
        found.add_row(
            one.task, one.metric, f"{one.bound:,.5g}", used, one.layers, str(one.reach), *costs, f"{one.accuracy:.1%}"
        )
    return found


def main() -> None:
    arguments = parser(__doc__, "streaming_search.json")
    arguments.add_argument(
        "--shares", type=float, nargs="+", default=[0.6, 0.3], help="of the way from the least to the seed"
    )
    given = arguments.parse_args()
    results = []
    for task in (task for task in given.only if task in EPOCHS):
        split = load(task, given.data)
        keras.utils.set_random_seed(given.seeds[0])
        seed = seed_network(split)
        train(seed, split, EPOCHS[task][0], BATCH)
        costs = {cost: float(keras_pit.cost(seed, f"{cost}:{BOARD}")) for cost in COSTS}
        results.append(Result(task, "(seed)", 0.0, 0.0, told(seed), reach(seed), costs, accuracy(seed, split), 0.0))
        for metric in COSTS:
            for share in given.shares:
                results.append(searched(task, seed, split, metric, share, given.seeds[0]))
                print(results[-1], flush=True)
    Console(width=220).print(table(results))
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")


if __name__ == "__main__":
    main()
