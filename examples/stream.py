"""One time step at a time: a network that decides at each sample, and keeps what it needs of those before.

The data are those of `watch.py`. The seed is a network of valid convolutions, so that a stream computes exactly what
windows do. The search brings the milliseconds of one step down to a fifth. The streaming file then runs on TFLite-Micro
over longer recordings, sample by sample, and its decisions are compared with those of the file for windows.

    python examples/stream.py [--seed 0] [--epochs 24] [--share 0.2] [--every 1] [--output out/stream]

Writes the model (slim.keras, stream.tflite), the table (table.json), and C++ sources with `Push` and `Reset`
(firmware/).
"""

import argparse
import json
import pathlib
from typing import Any

import keras
import numpy as np
from keras import layers
from watch import EXERCISES, WINDOW, Data, accuracy, console, load, train

import keras_pit
from keras_pit.deployment import run_stream, run_tflite_micro

METRIC = "streaming_latency:nano33ble"
RATE = 50
"""Samples in a second."""


def network(channels: int = 24) -> keras.Model:
    """Valid convolutions, and what is left of a window averaged."""
    x = inputs = keras.Input((WINDOW, 6), name="motion")
    for index in range(3):
        x = layers.Conv1D(channels, 17, use_bias=False, name=f"conv{index}")(x)
        x = layers.ReLU(name=f"relu{index}")(layers.BatchNormalization(name=f"norm{index}")(x))
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(len(EXERCISES), "softmax", name="out")(x), name="stream")


def compared(window: bytes, stream: bytes, recordings: np.ndarray) -> dict[str, Any]:
    """Decisions of the stream over recordings, and of the window at the same places.

    Args:
        window: the file for windows.
        stream: the file for streams.
        recordings: of shape (recordings, steps, 6).
    """
    run, timing = run_stream(stream, recordings), keras_pit.profile(stream).stream.timing
    places = [step for step in range(timing.first, recordings.shape[1]) if run.decided[0, step]]
    of_stream = run.outputs[0][:, places].reshape(-1, len(EXERCISES))
    cut = [recording[step + 1 - WINDOW : step + 1] for recording in recordings for step in places]
    of_window = run_tflite_micro(window, np.array(cut)).outputs[0].reshape(-1, len(EXERCISES))
    return {"decisions": len(cut), "largest difference in steps": int(np.abs(of_stream - of_window.astype(int)).max())}


def costs(model: keras.Model) -> dict[str, float]:
    """Of a window and of a step: milliseconds, and bytes of the arena."""
    names = ("latency", "streaming_latency", "ram", "streaming_ram")
    return {name: float(keras_pit.cost(model, f"{name}:nano33ble")) for name in names}


def main(seed: int, epochs: int, share: float, every: int, output: pathlib.Path) -> dict[str, Any]:
    """The whole way; returns the table."""
    output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(seed)
    data = load()
    data = Data(*(part[::every] for part in (data.x_train, data.y_train, data.x_test, data.y_test)))
    model = network()
    train(model, data, epochs, "seed")

    search = keras_pit.convert(model, target={METRIC: share * keras_pit.cost(model, METRIC)})
    train(search, data, epochs, "search", decay=False)
    slim = keras_pit.export(search)
    train(slim, data, epochs, "fine-tune")
    slim.save(output / "slim.keras")

    calibration = data.x_train[::10]
    window = keras_pit.to_tflite(slim, calibration)
    stream = keras_pit.to_tflite(slim, calibration, streaming=True)
    (output / "stream.tflite").write_bytes(stream)
    report = keras_pit.profile(stream)
    console.print(report)
    recordings = data.x_test[: len(data.x_test) // 2 * 2].reshape(-1, 2 * WINDOW, 6)[:4]
    table = {
        "seed": {"accuracy": accuracy(model, data), **costs(model)},
        "slim": {"accuracy": accuracy(slim, data), **costs(slim)},
        "stream": {
            "bytes": len(stream),
            "share of the core": report.stream.load("cortex-m4", clock_mhz=64, sample_rate=RATE),
            **compared(window, stream, recordings),
        },
    }
    for name, row in table.items():
        console.print(f"{name:8}", "  ".join(f"{what} {value:,.4g}" for what, value in row.items()))
    (output / "table.json").write_text(json.dumps(table, indent=2) + "\n")
    firmware = output / "firmware"
    keras_pit.deploy(stream, firmware, test_data=data.x_test[:8], labels=EXERCISES, name="watch", overwrite=True)
    console.print(f"Everything is in {output}/, the C++ sources in {firmware}/")
    return table


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--seed", type=int, default=0, help="random seed of the whole run")
    result.add_argument("--epochs", type=int, default=24, help="of the seed, of the search and of fine-tuning")
    result.add_argument("--share", type=float, default=0.2, help="bound on a step's time, as a share of the seed's")
    result.add_argument("--every", type=int, default=1, help="take one of so many windows")
    result.add_argument("--output", type=pathlib.Path, default=pathlib.Path("out/stream"))
    return result


if __name__ == "__main__":
    main(**vars(parser().parse_args()))
