"""How long converting and exporting take: CPU time over that of `keras.models.clone_model`, in one run.

python benchmarks/conversion.py [--rounds 3] [--output out/conversion.json]
"""

import argparse
import json
import os
import pathlib
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

import keras_pit

NAMES = ("MobileNet", "MobileNetV2", "ResNet50", "DenseNet121", "EfficientNetB0")
LIMIT = 5.0


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


def main(rounds: int, output: pathlib.Path) -> None:
    console = Console()
    table = Table(title=f"CPU seconds; convert + export over clone, limit {LIMIT:g}")
    for column in ("network", "clone", "convert", "export", "ratio"):
        table.add_column(column, justify="left" if column == "network" else "right")
    results = []
    for name in NAMES:
        results.append(ratio(name, rounds))
        table.add_row(name, *(f"{results[-1][key]:.2f}" for key in ("clone", "convert", "export", "ratio")))
    console.print(table)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("out/conversion.json"))
    arguments = parser.parse_args()
    main(arguments.rounds, arguments.output)
