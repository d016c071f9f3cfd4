"""From a seed network to a verified int8 model, on real data: `make demo`.

The data: seven shoulder exercises, recorded with a smartwatch (6 axes, 50 Hz) by ten people; it comes with the
package seglearn. The seed: a temporal convolutional network with long dense kernels. The search decides how many
channels, how long a receptive field and which dilation each layer needs. The slim network is fine-tuned, once more
for 8 bits, and run on TFLite-Micro's own interpreter, on people that neither training nor search have seen. In the
end there is a bundle of C++ sources for the firmware.

    python examples/watch.py [--seed 0] [--output out/watch]

Writes the models (seed.keras, search.keras, slim.keras, slim.tflite), the table (table.json), pictures of the
architecture before and after (architecture.png) and of the memory in use (arena.png), and the sources (firmware/).
"""

import argparse
import importlib.util
import json
import pathlib
import time
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
import tf_keras
from networks import tcn
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import keras_pit
from keras_pit.deployment import run_tflite_micro

WINDOW, STEP, HELD_OUT = 128, 64, (8, 9, 10)
SEED_EPOCHS, SEARCH_EPOCHS, FINE_TUNE_EPOCHS, AWARE_EPOCHS, BATCH = 24, 24, 24, 6, 64
EXERCISES = (
    "pendulum", "abduction", "forward elevation", "internal rotation", "external rotation", "trapezius extension",
    "upright row",
)  # fmt: skip
console = Console()


@dataclass(frozen=True)
class Data:
    """Windows of shape (count, 128, 6), scaled by the training people's mean and deviation, and their exercises."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


@dataclass(frozen=True)
class Row:
    """One line of the table; sizes in bytes, None where there is no such thing."""

    model: str
    accuracy: float
    parameters: int
    macs: int
    file: int | None
    arena: int | None


def windows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All windows (count, 128, 6), the exercise of each, and who did it."""
    package = importlib.util.find_spec("seglearn")
    if package is None or package.origin is None:
        raise SystemExit('The recordings come with seglearn: pip install "keras_pit[examples]"')
    path = pathlib.Path(package.origin).parent / "data" / "watch_dataset.npy"
    recordings = np.load(path, allow_pickle=True).item()
    cut, labels, people = [], [], []
    for signal, label, person in zip(recordings["X"], recordings["y"], recordings["subject"], strict=True):
        for start in range(0, len(signal) - WINDOW + 1, STEP):
            cut.append(signal[start : start + WINDOW])
            labels.append(label)
            people.append(person)
    return np.array(cut, "float32"), np.array(labels, "int32"), np.array(people)


def load() -> Data:
    """Cut the recordings into windows and split them by person."""
    x, y, people = windows()
    test = np.isin(people, HELD_OUT)
    mean, deviation = x[~test].mean((0, 1)), x[~test].std((0, 1))
    x = (x - mean) / deviation
    return Data(x[~test], y[~test], x[test], y[test])


class Bar(keras.callbacks.Callback):
    """One line of progress for one `fit`."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title = title

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.bar = Progress(
            TextColumn(f"{self.title:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[state]}"),
            console=console,
        )
        self.task = self.bar.add_task(self.title, total=self.params["epochs"], state="")
        self.bar.start()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        state = "  ".join(f"{name} {value:,.4g}" for name, value in (logs or {}).items())
        self.bar.update(self.task, advance=1, state=state)

    def on_train_end(self, logs: dict | None = None) -> None:
        self.bar.stop()


def train(model: keras.Model, data: Data, epochs: int, title: str, *, decay: bool = True) -> None:
    """One plain fit."""
    steps = epochs * -(-len(data.x_train) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps) if decay else 1e-3
    optimizer = keras.optimizers.Adam(rate, clipnorm=1.0)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    model.fit(data.x_train, data.y_train, BATCH, epochs, verbose=0, callbacks=[Bar(title)])


def train_aware(model: Any, data: Data) -> None:
    """Fine-tune with the rounding of 8 bits in place; model and optimizer are of tf_keras."""
    rate = tf_keras.optimizers.schedules.CosineDecay(1e-4, AWARE_EPOCHS * -(-len(data.x_train) // BATCH))
    model.compile(tf_keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    with console.status("fine-tuning for 8 bits"):
        model.fit(data.x_train, data.y_train, BATCH, AWARE_EPOCHS, verbose=0)


def accuracy(model: keras.Model, data: Data) -> float:
    return float((model.predict(data.x_test, 512, verbose=0).argmax(-1) == data.y_test).mean())


def float_row(name: str, model: keras.Model, data: Data) -> Row:
    """A Keras model, with what it would take as a float file."""
    tflite = keras_pit.to_tflite(model, data.x_train[:32], quantization=None)
    arena = run_tflite_micro(tflite, data.x_test[:1]).arena_bytes
    macs = keras_pit.cost(model, "macs")
    return Row(name, accuracy(model, data), keras_pit.cost(model), macs, len(tflite), arena)


def micro_row(name: str, slim: keras.Model, tflite: bytes, data: Data) -> Row:
    """An int8 file, on TFLite-Micro's interpreter over all test windows."""
    run = run_tflite_micro(tflite, data.x_test)
    right = run.outputs[0].reshape(len(data.y_test), -1).argmax(-1) == data.y_test
    macs = keras_pit.cost(slim, "macs")
    return Row(name, float(right.mean()), keras_pit.cost(slim), macs, len(tflite), run.arena_bytes)


def show(rows: list[Row]) -> None:
    # Without lines and wide gaps, so that it fits into 80 columns.
    table = Table(title=f"Smartwatch exercises, people {HELD_OUT} held out", box=None, padding=(0, 1, 0, 0))
    for index, name in enumerate(("model", "accuracy", "parameters", "MACs", "file (B)", "arena (B)")):
        table.add_column(name, justify="right" if index else "left")
    for row in rows:
        numbers = (row.parameters, row.macs, row.file, row.arena)
        table.add_row(row.model, f"{row.accuracy:.2%}", *(f"{number:,}" for number in numbers))
    console.print(table)


def main(seed: int, output: pathlib.Path, strength: float) -> list[Row]:
    """The whole way; returns the table."""
    start = time.perf_counter()
    output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(seed)
    data = load()
    console.print(f"{len(data.x_train)} windows to train on, {len(data.x_test)} of other people to test on")

    model = tcn(WINDOW, dropout=0.1)
    train(model, data, SEED_EPOCHS, "seed")
    model.save(output / "seed.keras")

    search = keras_pit.convert(model, regularizer="macs", strength=strength)
    train(search, data, SEARCH_EPOCHS, "search", decay=False)
    search.save(output / "search.keras")
    report = keras_pit.summary(search)
    console.print(report)
    report.plot(output / "architecture.png")

    slim = keras_pit.export(search)
    train(slim, data, FINE_TUNE_EPOCHS, "fine-tune")
    slim.save(output / "slim.keras")

    after_training = keras_pit.to_tflite(slim, data.x_train[::10])
    aware = keras_pit.quantize_aware(slim)
    train_aware(aware, data)
    tflite = keras_pit.to_tflite(aware, data.x_train[::10])
    (output / "slim.tflite").write_bytes(tflite)
    profile = keras_pit.profile(tflite)
    console.print(profile)
    profile.plot(output / "arena.png")
    rows = [
        float_row("seed", model, data),
        float_row("slim float", slim, data),
        micro_row("slim int8 after training", slim, after_training, data),
        micro_row("slim int8 quantization-aware", slim, tflite, data),
    ]
    show(rows)
    keras_pit.deploy(tflite, output / "firmware", test_data=data.x_test, labels=EXERCISES, name="watch", overwrite=True)
    seconds = time.perf_counter() - start
    result = {"seed": seed, "seconds": seconds, "rows": [asdict(row) for row in rows]}
    (output / "table.json").write_text(json.dumps(result, indent=2) + "\n")
    console.print(f"Everything is in {output}/, the C++ sources in {output / 'firmware'}/ ({seconds:.0f} s)")
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="random seed of the whole run")
    parser.add_argument("--strength", type=float, default=2.0, help="weight of the cost in the search")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("out/watch"))
    arguments = parser.parse_args()
    main(arguments.seed, arguments.output, arguments.strength)
