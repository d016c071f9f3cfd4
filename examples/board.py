"""From a board to a network that fits it: the search is told what the board has, and nothing else.

The data and the seed are those of `watch.py`, but the seed is half as wide again: too large and too slow for a small
STM32L4 with 256 kB of flash and 64 kB of RAM, of which TFLite-Micro and the application need their share, too, and
which shall answer in 50 milliseconds. One `fit` searches the network that does; a bundle of C++ sources comes out.

    python examples/board.py [--seed 0] [--latency 50] [--output out/board]

Writes the model (slim.keras, slim.tflite), what it takes of the board (fit.json), and the sources (firmware/).
"""

import argparse
import json
import pathlib

import keras
from networks import tcn
from watch import EXERCISES, SEARCH_EPOCHS, WINDOW, Data, accuracy, console, load, micro_row, train

import keras_pit
from keras_pit import boards

BOARD = boards.Board(
    "stm32l431", "a board with an STM32L431RC", "STM32L431RC", "cortex-m4", 80, 256 * 1024, 64 * 1024, "ST DS11453"
)
SEED_EPOCHS, FINE_TUNE_EPOCHS = 16, 16


def search_for(board: boards.Board, model: keras.Model, data: Data, latency: float) -> keras.Model:
    """The network that fits the board."""
    search = keras_pit.convert(model, target=board.target(latency=latency))
    train(search, data, SEARCH_EPOCHS, "search", decay=False)
    slim = keras_pit.export(search)
    train(slim, data, FINE_TUNE_EPOCHS, "fine-tune")
    return slim


def main(seed: int, latency: float, output: pathlib.Path) -> None:
    """The whole way."""
    output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(seed)
    board = boards.register(BOARD)
    data = load()
    model = tcn(WINDOW, channels=48, dropout=0.1)
    train(model, data, SEED_EPOCHS, "seed")
    console.print(keras_pit.fits(model, board, latency=latency))

    slim = search_for(board, model, data, latency)
    slim.save(output / "slim.keras")
    tflite = keras_pit.to_tflite(slim, data.x_train[::10])
    (output / "slim.tflite").write_bytes(tflite)
    fit = keras_pit.fits(tflite, board, latency=latency)
    console.print(fit)
    row = micro_row("slim", slim, tflite, data)
    console.print(f"accuracy: seed {accuracy(model, data):.2%}, slim int8 on TFLite-Micro {row.accuracy:.2%}")
    result = {**fit.as_dict(), "accuracy": {"seed": accuracy(model, data), "slim": row.accuracy}}
    (output / "fit.json").write_text(json.dumps(result, indent=2) + "\n")

    firmware = output / "firmware"
    keras_pit.deploy(tflite, firmware, test_data=data.x_test, labels=EXERCISES, name="watch", overwrite=True)
    console.print(f"Everything is in {output}/, the C++ sources in {firmware}/")
    if not fit:
        raise SystemExit("The network does not fit the board.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="random seed of the whole run")
    parser.add_argument("--latency", type=float, default=50.0, help="milliseconds that one inference may take")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("out/board"))
    arguments = parser.parse_args()
    main(arguments.seed, arguments.latency, arguments.output)
