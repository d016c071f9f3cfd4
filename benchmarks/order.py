"""How much arena the order of operators saves, and whether RAM is known before there is a file.

    python benchmarks/order.py [--count 500] [--output out/order.json]

The order is compared with the one in which results are asked for, on the networks of `examples/networks.py` and on
random networks with branches. RAM before conversion is compared with that of the file, on one core for each set of
kernels.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(1, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))

import keras
import numpy as np
from branching import branching
from rich.console import Console
from rich.table import Table

import keras_pit
from examples.networks import NETWORKS
from keras_pit.blueprint import Blueprint
from keras_pit.costs.arena import arena
from keras_pit.costs.schedule import in_order, written
from keras_pit.deployment.flatbuffer import read_program
from keras_pit.errors import DeploymentError

CORES = ("cortex-m4", "cortex-m55", "cortex-m0+")


def networks(count: int) -> Iterator[tuple[str, keras.Model]]:
    for name, network in NETWORKS.items():
        keras.utils.set_random_seed(0)
        yield name, network.build()
    for seed in range(count):
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        yield f"random {seed}", branching(seed)


def measured(name: str, model: keras.Model) -> dict[str, Any]:
    """Heads of the arena by order, and RAM before conversion and of the file by core."""
    x = np.random.default_rng(1).normal(size=(4, *model.input_shape[1:])).astype("float32")
    before = Blueprint.of(model).program()
    try:
        file = read_program(keras_pit.to_tflite(model, x, verify=False))
    except DeploymentError as error:
        return {"network": name, "refused": str(error)}
    return {
        "network": name,
        "operators": len(file.operators),
        "head": arena(file).head,
        "head as written": arena(in_order(before, tuple(written(before)))).head,
        "ram before": [arena(before, core).total for core in CORES],
        "ram of the file": [arena(file, core).total for core in CORES],
        "more operators before": len(before.operators) - len(file.operators),
    }


def main(count: int, output: pathlib.Path) -> None:
    results = []
    output.parent.mkdir(parents=True, exist_ok=True)
    for name, model in networks(count):
        results.append(measured(name, model))
        output.write_text(json.dumps(results, indent=1) + "\n")
    found = [result for result in results if "refused" not in result]
    table = Table(title="bytes at the arena's head, Cortex-M4")
    for column in ("network", "operators", "as written", "in order", "saved"):
        table.add_column(column, justify="left" if column == "network" else "right")
    for result in found:
        head, as_written = result["head"], result["head as written"]
        if not result["network"].startswith("random"):
            cells = (result["operators"], f"{as_written:,}", f"{head:,}", f"{1 - head / as_written:.0%}")
            table.add_row(result["network"], *map(str, cells))
    console = Console(width=120)
    console.print(table)
    saved = [1 - r["head"] / r["head as written"] for r in found if r["network"].startswith("random")]
    if saved:
        console.print(
            f"random networks with branches: {statistics.mean(saved):.1%} saved on average, at most {max(saved):.0%}; "
            f"something in {sum(share > 0 for share in saved)} of {len(saved)}"
        )
    pairs = [
        (r["network"], one, two) for r in found for one, two in zip(r["ram before"], r["ram of the file"], strict=True)
    ]
    below = sorted({name for name, before, file in pairs if before < file})
    above = sorted({name for name, before, file in pairs if before > file})
    console.print(
        f"RAM before conversion and of the file: equal for {len(found) - len(below) - len(above)} of {len(found)} "
        f"networks, above for {len(above)} {above or ''}, below for {len(below)} {below or ''}; "
        f"refused by the converter: {len(results) - len(found)}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="random networks")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("out/order.json"))
    arguments = parser.parse_args()
    main(arguments.count, arguments.output)
