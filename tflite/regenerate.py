"""Writes `watch/` and `watch_stream/`, the examples of what `keras_pit.deploy` makes, anew.

    python tflite/regenerate.py                       from the network and inputs that are there

    python examples/watch.py --strength 3             a new network
    python tflite/regenerate.py out/watch/slim.tflite

`inputs.npy` holds four windows of people that the network was not trained on, in its own int8 numbers. The second
example is the same network step by step, on these windows one after the other.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import keras_pit
from keras_pit.deployment.flatbuffer import File, read_graph
from keras_pit.deployment.stream_verify import streaming_file

HERE = Path(__file__).parent
NETWORK = HERE / "watch" / "model.tflite"
INPUTS = HERE / "inputs.npy"
EXERCISES = (
    "pendulum", "abduction", "forward elevation", "internal rotation", "external rotation", "trapezius extension",
    "upright row",
)  # fmt: skip


def write(network: Path, directory: Path) -> Path:
    """The bundle of a network."""
    inputs = np.load(INPUTS)
    return keras_pit.deploy(network, directory, test_data=inputs, labels=EXERCISES, name="watch", overwrite=True)


def write_stream(network: Path, directory: Path) -> Path:
    """The bundle of the same network step by step, which decides every 16 samples: some three times a second."""
    inputs = np.load(INPUTS)
    stream = streaming_file(File.of(network), 16, [inputs]).content
    return keras_pit.deploy(stream, directory, test_data=inputs, labels=EXERCISES, name="watch_stream", overwrite=True)


def pick(network: Path) -> None:
    """Leave windows for a new network in inputs.npy."""
    sys.path.insert(0, str(HERE.parent / "examples"))
    import watch

    windows = watch.load().x_test
    picked = windows[np.linspace(0, len(windows) - 1, 4).round().astype(int)]
    np.save(INPUTS, read_graph(network.read_bytes()).inputs[0].quantize(picked))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", nargs="?", type=Path, help="a .tflite file of examples/watch.py")
    new = parser.parse_args().network
    if new:
        pick(new)
    print(f"Wrote {write(new or NETWORK, HERE / 'watch')}")
    print(f"Wrote {write_stream(NETWORK, HERE / 'watch_stream')}")
