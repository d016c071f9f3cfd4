"""The whole front from one call: what accuracy there is for which size, on real data.

The data and the seed are those of `watch.py`. `keras_pit.sweep` trains the seed and visits six bounds in one descent:
at each, a copy is fine-tuned, converted to int8 and run on TFLite-Micro, on people that nothing was trained on. What is
finished is on disk at once: end the process at any moment and call again, and it goes on.

    python examples/front.py [--metric latency:nano33ble] [--points 6] [--epochs 24] [--output out/front]

Writes the table (front.json), a picture (front.png) and a page with all points, their architectures and memory, and the
boards that they fit (front.html), beside the sweep itself (sweep/).
"""

import argparse
import json
import pathlib

import keras
from networks import tcn
from watch import BATCH, WINDOW, Data, accuracy, console, load

import keras_pit

WIDTHS = 16, 8, 4


def compiled(model: keras.Model, data: Data, epochs: int) -> keras.Model:
    """A network, compiled as the sweep trains all of its stages."""
    rate = keras.optimizers.schedules.CosineDecay(1e-3, epochs * -(-len(data.x_train) // BATCH))
    optimizer = keras.optimizers.Adam(rate, clipnorm=1.0)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    return model


def add_narrow(front: keras_pit.Front, data: Data, epochs: int) -> None:
    """Points of the usual recipe beside it: narrower networks, trained as the seed is, in float."""
    for width in WIDTHS:
        model = compiled(tcn(WINDOW, channels=width, dropout=0.1), data, epochs)
        model.fit(data.x_train, data.y_train, BATCH, epochs, verbose=0)
        costs = {name: keras_pit.cost(model, name) for name in ("size", "macs", "flash", "ram", "latency")}
        front.add("narrower seed (float)", accuracy(model, data), **costs)


def main(given: argparse.Namespace) -> keras_pit.Front:
    """The whole way; returns the front."""
    keras.utils.set_random_seed(given.seed)
    given.output.mkdir(parents=True, exist_ok=True)
    data = load()
    x, y = data.x_train[:: given.every], data.y_train[:: given.every]
    front = keras_pit.sweep(
        compiled(tcn(WINDOW, dropout=0.1), data, given.epochs),
        x,
        y,
        validation_data=(data.x_test[:: given.every], data.y_test[:: given.every]),
        metric=given.metric,
        points=given.points,
        epochs=given.epochs,
        seeds=[given.seed],
        batch_size=BATCH,
        directory=given.output / "sweep",
    )
    if given.narrow:
        add_narrow(front, data, given.epochs)
    console.print(front)
    (given.output / "front.json").write_text(json.dumps(front.as_dict(), indent=2) + "\n")
    front.plot(given.output / "front.png")
    front.html(given.output / "front.html")
    best = front.best()
    console.print(f"most accurate in int8: {best.label}, {best.value:.2%}, {int(best.costs['flash']):,} B of flash")
    console.print(f"Everything is in {given.output}/; open {given.output / 'front.html'} in a browser")
    return front


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--metric", default="size", help="what is pressed down")
    result.add_argument("--points", type=int, default=6, help="how many bounds")
    result.add_argument("--epochs", type=int, default=24, help="how long the seed is trained")
    result.add_argument("--every", type=int, default=1, help="take one of so many windows")
    result.add_argument("--narrow", action="store_true", help="also train narrower networks, to compare")
    result.add_argument("--seed", type=int, default=0, help="random seed of the whole run")
    result.add_argument("--output", type=pathlib.Path, default=pathlib.Path("out/front"))
    return result


if __name__ == "__main__":
    main(parser().parse_args())
