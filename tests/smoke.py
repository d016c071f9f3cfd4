"""From a model to a bundle where the package alone is installed, by the command line: `python smoke.py FOLDER`."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np


def main(folder: Path) -> None:
    """Train a model, then call the installed `keras-pit`."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=128)
    x = (rng.normal(size=(128, 16, 3)) + y[:, None, None]).astype("float32")
    inputs = keras.Input((16, 3))
    hidden = keras.layers.Conv1D(8, 5, padding="causal", activation="relu")(inputs)
    outputs = keras.layers.Dense(2, activation="softmax")(keras.layers.GlobalAveragePooling1D()(hidden))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=2, verbose=0)
    model.save(folder / "model.keras")
    np.savez(folder / "data.npz", x=x, y=y)
    command = Path(sys.executable).with_name("keras-pit")
    for line in (
        "summary model.keras",
        "search model.keras --data data.npz --cost macs --target 1500 --out run --epochs 4 --fine-tune 2",
        "verify run/slim.tflite --data data.npz",
        "report run",
        "deploy run/slim.tflite --out firmware",
    ):
        subprocess.run([command, *line.split()], cwd=folder, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
