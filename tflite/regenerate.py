"""Writes `watch/`, the example of what `keras_pit.deploy` makes, anew.

    python tflite/regenerate.py            from the network and test data that are there
    python tflite/regenerate.py --train    from a new network, made as in examples/watch.py (minutes)

The network tells seven shoulder exercises apart from 2.56 seconds of a smartwatch's accelerometer and gyroscope.
`inputs.npy` holds four windows of people it was not trained on, in its own int8 numbers.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import keras_pit

HERE = Path(__file__).parent
NAME = "watch"
LABELS = (
    "pendulum",
    "abduction",
    "forward elevation",
    "internal rotation",
    "external rotation",
    "trapezius extension",
    "upright row",
)


def write(directory: Path, tflite: bytes) -> Path:
    """The bundle of a network, into `directory`."""
    inputs = np.load(HERE / "inputs.npy")
    return keras_pit.deploy(tflite, directory, test_data=inputs, labels=LABELS, name=NAME, overwrite=True)


def committed() -> bytes:
    """The network that is there."""
    return (HERE / NAME / "model.tflite").read_bytes()


def train() -> bytes:
    """A new network; leaves inputs for it in inputs.npy."""
    import keras

    from keras_pit.deployment.runtimes import read_graph

    sys.path.insert(0, str(HERE.parent / "examples"))
    import watch

    keras.utils.set_random_seed(0)
    data = watch.load()
    model = watch.tcn(watch.WINDOW, dropout=0.1)
    watch.train(model, data, watch.SEED_EPOCHS, "seed")
    search = keras_pit.convert(model, regularizer="macs", strength=3.0)
    watch.train(search, data, watch.SEARCH_EPOCHS, "search", decay=False)
    slim = keras_pit.export(search)
    watch.train(slim, data, watch.FINE_TUNE_EPOCHS, "fine-tune")
    tflite = keras_pit.to_tflite(slim, data.x_train[::10])
    watch.show([watch.micro_row("slim int8 on TFLite-Micro", slim, tflite, data)])
    picked = np.linspace(0, len(data.x_test) - 1, 4).round().astype(int)
    np.save(HERE / "inputs.npy", read_graph(tflite).inputs[0].quantize(data.x_test[picked]))
    return tflite


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", action="store_true", help="make a new network first")
    network = train() if parser.parse_args().train else committed()
    print(f"Wrote {write(HERE / NAME, network)}")
