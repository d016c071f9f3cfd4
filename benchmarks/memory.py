"""What a process keeps: of 200 conversions and exports, and of searches that run one after the other.

    python benchmarks/memory.py [--cycles 200] [--searches 5] [--output out/memory.json]

The first table is ours: memory (resident set) after so many cycles over that after the first few, at most 1.05. The
second is TensorFlow's, measured on plain Keras models beside ours: every `fit` of a new model leaves the graph of its
training step in TensorFlow's table of gradients, and, compiled with XLA, its machine code. Nothing frees either, not
`keras.utils.clear_session` either; a process that ends does. Each row is measured in a process of its own.
"""

import argparse
import gc
import json
import multiprocessing
import os
import pathlib
import weakref
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers
from rich.console import Console
from rich.table import Table

import keras_pit

WARM_UP = 10
LIMIT = 1.05
CYCLES: dict[str, dict[str, Any]] = {"size": {}, "flash": {"regularizer": "flash"}, "target": {"target": 250.0}}
SEARCHES = ("plain", "strength", "target")


def network() -> keras.Model:
    x = inputs = keras.Input((32, 3))
    for index in range(2):
        x = layers.Conv1D(16, 9, padding="causal", name=f"conv{index}")(x)
        x = layers.ReLU(name=f"relu{index}")(layers.BatchNormalization(name=f"norm{index}")(x))
    return keras.Model(inputs, layers.Dense(3, name="out")(layers.GlobalAveragePooling1D(name="pool")(x)), name="net")


def resident() -> float:
    """MB that this process has in memory."""
    gc.collect()
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cycle(seed: keras.Model, arguments: dict[str, Any]) -> list[weakref.ref[keras.Model]]:
    """One conversion and export with all masks off; what it made, by weak references."""
    search = keras_pit.convert(seed, **arguments)
    for mask in keras_pit.mask_variables(search):
        mask.assign(np.full(mask.shape, 0.4))
    return [weakref.ref(search), weakref.ref(keras_pit.export(search))]


def cycles(arguments: dict[str, Any], count: int, warm_up: int = WARM_UP) -> dict[str, float]:
    """Memory and objects that Python tracks, after the warm-up and after so many cycles more."""
    seed = network()
    alive = 0
    for _ in range(warm_up):
        cycle(seed, arguments)
    before, objects = resident(), len(gc.get_objects())
    for _ in range(count):
        made = cycle(seed, arguments)
        gc.collect()
        alive += sum(model() is not None for model in made)
    after = resident()
    return {
        "before": before,
        "after": after,
        "ratio": after / before,
        "objects": len(gc.get_objects()) - objects,
        "alive": alive,
    }


def searches(kind: str, jit: bool, count: int) -> float:
    """MB that one search more leaves behind."""
    seed, rng = network(), np.random.default_rng(0)
    x, y = rng.normal(size=(64, 32, 3)).astype("float32"), rng.integers(3, size=64)
    sizes = []
    for _ in range(count):
        if kind == "plain":
            model = keras.models.clone_model(seed)
        else:
            model = keras_pit.convert(seed, **CYCLES["target" if kind == "target" else "size"])
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=jit)
        model.fit(x, y, 32, 1, verbose=0)
        del model
        sizes.append(resident())
    return (sizes[-1] - sizes[0]) / (count - 1)


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in a process of its own, which is also how to run many searches."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main(count: int, turns: int, output: pathlib.Path) -> None:
    console = Console()
    table = Table(title=f"memory (MB) over {count} cycles of convert and export, ratio at most {LIMIT:g}")
    for column in ("costs", "before", "after", "ratio", "objects more", "models alive"):
        table.add_column(column, justify="left" if column == "costs" else "right")
    results: dict[str, Any] = {"cycles": {}, "searches": {}}
    for name, arguments in CYCLES.items():
        row = results["cycles"][name] = apart(cycles, arguments, count)
        numbers = [f"{row['before']:.0f}", f"{row['after']:.0f}", f"{row['ratio']:.3f}"]
        table.add_row(name, *numbers, str(row["objects"]), str(row["alive"]))
    console.print(table)
    table = Table(title="memory (MB) that each search more leaves behind")
    for column in ("model", "without XLA", "with XLA"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for kind in SEARCHES:
        row = results["searches"][kind] = [apart(searches, kind, jit, turns) for jit in (False, True)]
        table.add_row(kind, *(f"{number:.1f}" for number in row))
    console.print(table)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--searches", type=int, default=5)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("out/memory.json"))
    arguments = parser.parse_args()
    main(arguments.cycles, arguments.searches, arguments.output)
