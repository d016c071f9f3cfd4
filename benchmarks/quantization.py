"""What 8 bits cost: accuracy in float, as int8 after training, and with quantization-aware fine-tuning.

    python benchmarks/quantization.py [--seeds 0 1 2] [--only watch] [--output out/quantization.json]

The int8 files run on TFLite-Micro. See `tasks` for the data and the networks, which are those tuned by hand.
"""

import json
import os
import pathlib
import time
from dataclasses import asdict, dataclass
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tf_keras
from rich.console import Console
from rich.table import Table
from tasks import TASKS, Split, accuracy, parser, train

import keras_pit
from keras_pit.deployment import run_tflite_micro

AWARE_EPOCHS, AWARE_RATE, CALIBRATION = 3, 1e-5, 300
AWARE_LIMIT, AFTER_LIMIT = 0.3, 1.0


@dataclass(frozen=True)
class Result:
    """One network; accuracies as shares."""

    task: str
    seed: int
    floating: float
    after_training: float
    aware: float


def on_micro(tflite: bytes, split: Split) -> float:
    """The accuracy of a file on TFLite-Micro."""
    *_, x, y = split
    outputs = run_tflite_micro(tflite, x, timeout=1200).outputs[0]
    return float((outputs.reshape(len(y), -1).argmax(-1) == y).mean())


def fine_tune(model: Any, split: Split, batch: int) -> None:
    """A few epochs at a hundredth of the rate, falling along a cosine; `model` is one of tf_keras."""
    x, y, *_ = split
    rate = tf_keras.optimizers.schedules.CosineDecay(AWARE_RATE, AWARE_EPOCHS * -(-len(x) // batch))
    model.compile(tf_keras.optimizers.Adam(rate, clipnorm=1.0), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(x, y, batch, AWARE_EPOCHS, verbose=0)


def run(name: str, data: pathlib.Path, seed: int) -> Result:
    """Train one network, and deploy it in both ways."""
    task, start = TASKS[name], time.perf_counter()
    split = task.load(data)
    keras.utils.set_random_seed(seed)
    model = task.tuned()
    train(model, split, task.epochs, task.batch)
    x = split[0]
    calibration = x[np.linspace(0, len(x) - 1, CALIBRATION).astype(int)]
    after_training = on_micro(keras_pit.to_tflite(model, calibration), split)
    aware = keras_pit.quantize_aware(model)
    fine_tune(aware, split, task.batch)
    result = Result(
        name, seed, accuracy(model, split), after_training, on_micro(keras_pit.to_tflite(aware, calibration), split)
    )
    print(result, f"{time.perf_counter() - start:.0f} s", flush=True)
    return result


def main(data: pathlib.Path, names: list[str], seeds: list[int], output: pathlib.Path) -> None:
    table = Table(title=f"Accuracy (%), mean of seeds {seeds}; loss against float in points")
    for column in ("task", "float", "int8 after training", "loss", "int8 aware", "loss"):
        table.add_column(column, justify="left" if column == "task" else "right")
    results = []
    for name in names:
        found = [run(name, data, seed) for seed in seeds]
        results += found
        means = 100 * np.mean([(r.floating, r.after_training, r.aware) for r in found], axis=0)
        cells = (means[0], means[1], means[0] - means[1], means[2], means[0] - means[2])
        table.add_row(name, *(f"{cell:.2f}" for cell in cells))
    Console().print(table)
    Console().print(f"limits: {AFTER_LIMIT} points after training, {AWARE_LIMIT} quantization-aware")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n")


if __name__ == "__main__":
    given = parser(__doc__, "quantization.json").parse_args()
    main(given.data, given.only, given.seeds, given.output)
