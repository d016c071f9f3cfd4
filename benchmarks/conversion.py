"""How long converting and exporting take: CPU time over that of `keras.models.clone_model`, in one run.

    python benchmarks/conversion.py [--rounds 3] [--output out/conversion.json] [--only applications|depth|file|step]

Then chains of 40, 80 and 160 layers: `convert` over cloning, and what a target for flash adds, which makes it cost the
seed and the least that can be reached on a board. Both should grow as the number of layers does. Last, `to_tflite` of a
chain of 60 layers, in a process of its own: CPU time with that of its workers, and the most memory (resident set) that
the process had until then, TensorFlow's own among it. And the first step of a search, in which its costs are traced:
ECGTCN, for 0.6 of the seed's costs, over that for parameters alone.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

import keras_pit
from examples import networks

NAMES = ("MobileNet", "MobileNetV2", "ResNet50", "DenseNet121", "EfficientNetB0")
LIMIT = 5.0
DEPTHS = (40, 80, 160)
FILE_DEPTH = 60
TARGETS = (("size",), ("latency",), ("ram",), ("flash", "ram", "latency"), ("streaming_ram", "streaming_latency"))
A_LAYER = 0.05
"""CPU seconds that `convert` for a target may take for each layer."""


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def ratio(name: str, rounds: int) -> dict[str, Any]:
    """Medians of cloning, converting and exporting one network, taking turns."""
    model = getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3), classes=10)
    rng = np.random.default_rng(0)
    spent: dict[str, list[float]] = {"clone": [], "convert": [], "export": []}
    for turn in range(1 + rounds):
        clone, _ = timed(lambda: keras.models.clone_model(model))
        convert, search = timed(lambda: keras_pit.convert(model, "macs"))
        for variable in keras_pit.mask_variables(search):
            variable.assign(rng.uniform(size=variable.shape))
        export, _ = timed(lambda search=search: keras_pit.export(search))
        if turn:
            for key, seconds in zip(spent, (clone, convert, export), strict=True):
                spent[key].append(seconds)
        keras.backend.clear_session()
    medians = {key: statistics.median(values) for key, values in spent.items()}
    return {"network": name, **medians, "ratio": (medians["convert"] + medians["export"]) / medians["clone"]}


def chain(depth: int) -> keras.Model:
    """Convolutions with batch normalization, one behind the other."""
    x = inputs = keras.Input((64, 8))
    for _ in range(depth):
        # Numbers neither vanish nor grow on their way through all layers.
        x = keras.layers.Conv1D(16, 3, padding="causal", use_bias=False, kernel_initializer="he_normal")(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    return keras.Model(inputs, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling1D()(x)))


def depth_of(depth: int) -> dict[str, Any]:
    """CPU seconds for a chain of so many convolutions."""
    model = chain(depth)
    timed(lambda: keras.models.clone_model(model))
    clone, _ = timed(lambda: keras.models.clone_model(model))
    convert, _ = timed(lambda: keras_pit.convert(model, "macs"))
    bound = 0.5 * keras_pit.cost(model, "flash")
    target, _ = timed(lambda: keras_pit.convert(model, target={"flash": bound}))
    keras.backend.clear_session()
    return {"layers": depth, "clone": clone, "convert": convert, "target": target, "a layer": target / depth}


def depths(console: Console) -> list[dict[str, Any]]:
    table = Table(title=f"CPU seconds; convert for a target of flash, at most {A_LAYER:g} a layer")
    names = ("layers", "clone", "convert", "target", "a layer")
    for column in (*names, "convert over clone"):
        table.add_column(column, justify="right")
    rows = []
    depth_of(4)
    for depth in DEPTHS:
        rows.append(row := depth_of(depth))
        cells = [f"{row[key]:.2f}" for key in names[1:-1]]
        table.add_row(str(depth), *cells, f"{row['a layer']:.3f}", f"{row['convert'] / row['clone']:.1f}")
    console.print(table)
    return rows


def file_of(depth: int) -> dict[str, Any]:
    """CPU seconds and MB for the file of a chain of so many convolutions."""
    model, x = chain(depth), np.random.default_rng(0).normal(size=(100, 64, 8)).astype("float32")
    before, workers = resident("VmRSS"), resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds, _ = timed(lambda: keras_pit.to_tflite(model, x))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds += after.ru_utime + after.ru_stime - workers.ru_utime - workers.ru_stime
    return {"layers": depth, "seconds": seconds, "before": before, "most": resident("VmHWM")}


def resident(name: str) -> float:
    """MB that this process has in memory, or had at most, by a name of Linux's."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) / 2**10


def file(console: Console) -> dict[str, Any]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        row = pool.apply(file_of, (FILE_DEPTH,))
    console.print(
        f"to_tflite of {row['layers']} layers: {row['seconds']:.1f} CPU seconds, at most {row['most']:.0f} MB "
        f"in memory ({row['before']:.0f} MB before)"
    )
    return row


def step(console: Console) -> list[dict[str, Any]]:
    """CPU seconds of the first step, for each target."""
    table = Table(title="First step of a search for a target, ECGTCN: CPU seconds, over that for parameters")
    for column in ("costs", "seconds", "ratio"):
        table.add_column(column, justify="left" if column == "costs" else "right")
    rows: list[dict[str, Any]] = []
    for costs in TARGETS:
        keras.utils.set_random_seed(0)
        model = networks.ecgtcn()
        search = keras_pit.convert(model, target={cost: 0.6 * keras_pit.cost(model, cost) for cost in costs})
        search.compile("adam", "sparse_categorical_crossentropy")
        x, y = np.zeros((32, *model.input_shape[1:]), "float32"), np.zeros(32)
        seconds, _ = timed(lambda search=search, x=x, y=y: search.train_on_batch(x, y))
        rows.append({"costs": costs, "seconds": seconds, "ratio": seconds / rows[0]["seconds"] if rows else 1.0})
        table.add_row(", ".join(costs), f"{seconds:.1f}", f"{rows[-1]['ratio']:.1f}")
        keras.backend.clear_session()
    console.print(table)
    return rows


def main(rounds: int, output: pathlib.Path, only: str | None) -> None:
    console = Console()
    parts = {"applications": lambda: applications(console, rounds)}
    parts |= {"depth": lambda: depths(console), "file": lambda: file(console), "step": lambda: step(console)}
    results = {name: part() for name, part in parts.items() if only in (None, name)}
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=2) + "\n")


def applications(console: Console, rounds: int) -> list[dict[str, Any]]:
    table = Table(title=f"CPU seconds; convert + export over clone, limit {LIMIT:g}")
    for column in ("network", "clone", "convert", "export", "ratio"):
        table.add_column(column, justify="left" if column == "network" else "right")
    results = []
    for name in NAMES:
        results.append(ratio(name, rounds))
        table.add_row(name, *(f"{results[-1][key]:.2f}" for key in ("clone", "convert", "export", "ratio")))
    console.print(table)
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("out/conversion.json"))
    parser.add_argument("--only", choices=("applications", "depth", "file", "step"))
    arguments = parser.parse_args()
    main(arguments.rounds, arguments.output, arguments.only)
