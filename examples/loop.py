"""A search in a training loop of one's own, as in the papers: an optimizer for the weights, one for the masks.

The data: 1,797 handwritten digits of 8 x 8 pixels, which come with the package scikit-learn. The seed: two convolutions
of 32 channels. Each step adds the cost of the network, in its own unit, to the loss of the task. After two thirds of
the steps the architecture is settled, and the rest trains the weights that are left. The slim network is compared with
the search model, converted to int8 and run on TFLite-Micro.

    python examples/loop.py [--seed 0] [--epochs 30] [--factor 1e-6] [--output out/loop]

Writes the model (slim.keras, slim.tflite) and the table (table.json).
"""

import argparse
import json
import pathlib
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from rich.console import Console
from sklearn.datasets import load_digits

import keras_pit
from keras_pit.deployment import run_tflite_micro

BATCH = 64
console = Console()
task_loss = keras.losses.SparseCategoricalCrossentropy()


@dataclass(frozen=True)
class Data:
    """Images of shape (count, 8, 8, 1) between 0 and 1, and their digits; the last quarter is held out."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def load() -> Data:
    x, y = load_digits(return_X_y=True)
    x, cut = (x / 16).reshape(-1, 8, 8, 1).astype("float32"), 3 * len(x) // 4
    return Data(x[:cut], y[:cut], x[cut:], y[cut:])


def network(channels: int = 32) -> keras.Model:
    x = inputs = keras.Input((8, 8, 1), name="image")
    for index in range(2):
        x = layers.Conv2D(channels, 3, padding="same", use_bias=False, name=f"conv{index}")(x)
        x = layers.ReLU(name=f"relu{index}")(layers.BatchNormalization(momentum=0.9, name=f"norm{index}")(x))
        x = layers.MaxPooling2D(name=f"pool{index}")(x)
    return keras.Model(inputs, layers.Dense(10, "softmax", name="out")(layers.Flatten(name="flat")(x)), name="digits")


def batches(data: Data, epochs: int) -> tf.data.Dataset:
    """The training data in a new order in each epoch."""
    samples = tf.data.Dataset.from_tensor_slices((data.x_train, data.y_train))
    return samples.shuffle(len(data.x_train), seed=0).batch(BATCH, drop_remainder=True).repeat(epochs)


def train(model: keras.Model, data: Data, epochs: int, factor: float = 0.0) -> None:
    """Train a plain model, or a search model, whose cost times `factor` is part of the loss."""
    searching = isinstance(model, keras_pit.SearchModel)
    masks = keras_pit.mask_variables(model) if searching else []
    net = keras_pit.net_variables(model) if searching else model.trainable_variables
    mask_optimizer, net_optimizer = keras.optimizers.Adam(1e-2), keras.optimizers.Adam(1e-3)
    mask_optimizer.build(masks)
    net_optimizer.build(net)

    @tf.function
    def step(x: Any, y: Any, with_masks: bool) -> Any:
        with tf.GradientTape() as tape:
            loss = task_loss(y, model(x, training=True))
            if with_masks:
                loss += factor * keras_pit.get_regularization_loss(model)
        gradients = tape.gradient(loss, [*masks, *net] if with_masks else net)
        if with_masks:
            mask_optimizer.apply(gradients[: len(masks)], masks)
        net_optimizer.apply(gradients[-len(net) :], net)
        return loss

    steps = epochs * (len(data.x_train) // BATCH)
    for number, (x, y) in enumerate(batches(data, epochs)):
        if searching and number == 2 * steps // 3:
            model.settle()  # at what the masks were on average
        step(x, y, with_masks=searching and number < 2 * steps // 3)


def accuracy(outputs: np.ndarray, data: Data) -> float:
    return float((outputs.reshape(len(data.y_test), -1).argmax(-1) == data.y_test).mean())


def main(seed: int, epochs: int, factor: float, output: pathlib.Path) -> dict[str, Any]:
    """The whole way; returns the table."""
    output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(seed)
    data, model = load(), network()
    train(model, data, epochs)

    search = keras_pit.convert(model, "macs")
    train(search, data, epochs, factor)
    console.print(keras_pit.summary(search))
    slim = keras_pit.export(search)
    slim.save(output / "slim.keras")
    tflite = keras_pit.to_tflite(slim, data.x_train[::10])
    (output / "slim.tflite").write_bytes(tflite)

    found = search.predict(data.x_test, verbose=0)
    table = {
        "seed": {
            "accuracy": accuracy(model.predict(data.x_test, verbose=0), data),
            "macs": keras_pit.cost(model, "macs"),
        },
        "search": {"accuracy": accuracy(found, data), "macs": keras_pit.cost(search, "macs")},
        "slim": {
            "accuracy": accuracy(run_tflite_micro(tflite, data.x_test).outputs[0], data),
            "macs": keras_pit.cost(slim, "macs"),
            "bytes": len(tflite),
            "error of the export": float(np.abs(slim.predict(data.x_test, verbose=0) - found).max()),
        },
    }
    for name, row in table.items():
        console.print(f"{name:8}", "  ".join(f"{what} {value:,.4g}" for what, value in row.items()))
    (output / "table.json").write_text(json.dumps(table, indent=2) + "\n")
    return table


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--seed", type=int, default=0, help="random seed of the whole run")
    result.add_argument("--epochs", type=int, default=30, help="how long to search")
    result.add_argument("--factor", type=float, default=1e-6, help="loss for each multiply-accumulate")
    result.add_argument("--output", type=pathlib.Path, default=pathlib.Path("out/loop"))
    return result


if __name__ == "__main__":
    main(**vars(parser().parse_args()))
