"""A tiny sweep that several tests run, in as little time as possible, and executors for it."""

import multiprocessing
import os
import signal
from pathlib import Path

import keras
import numpy as np
from keras import layers

import keras_pit

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
FAST = {"points": 2, "epochs": 4, "search_epochs": 2, "fine_tune_epochs": 1, "verbose": False}


def network(width: int = 4) -> keras.Model:
    """Of 12 samples of 2 axes, eager, as tracing takes longer than training."""
    x = inputs = keras.Input((12, 2))
    x = layers.Conv1D(width, 3, padding="causal", activation="relu", name="conv")(x)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    model = keras.Model(inputs, layers.Dense(2, name="out")(x), name="tiny")
    model.compile("sgd", LOSS, metrics=["accuracy"], run_eagerly=True)
    return model


def data(samples: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Which of two offsets noise has."""
    y = np.arange(samples) % 2
    x = np.random.default_rng(0).normal(size=(samples, 12, 2)) + y[:, None, None]
    return x.astype("float32"), y


def train(model, stage):
    """A step in place of an epoch, and in place of a search what comes first."""
    if not isinstance(model, keras_pit.SearchModel):
        return model.fit(*data(), epochs=1, batch_size=64, verbose=0, callbacks=list(stage.callbacks))
    entries = [(mask, index) for mask in keras_pit.mask_variables(model) for index in range(mask.shape[0])]
    for mask, index in entries:
        if all(keras_pit.cost(model, name) <= most for name, most in stage.bound.items()):
            break
        values = keras.ops.convert_to_numpy(mask).copy()
        values[index] = 0.4
        mask.assign(values)
    return {"switched": [1.0]}


class Here:
    """An executor that works at once, in this process."""

    def submit(self, function, *arguments):
        return Done(function(*arguments))


class Done:
    def __init__(self, value):
        self.value = value

    def result(self):
        return self.value


def sweep(directory, model=None, **options):
    """A sweep in this process without int8 files."""
    keras.utils.set_random_seed(0)
    given = {"executor": Here(), "quantization": None, "train": train, **FAST, **options}
    return keras_pit.sweep(model or network(), validation_data=data(), directory=directory, **given)


def forks():
    """Processes that have the imports behind them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["keras_pit"])
    return context


def logged(directory, log):
    """A sweep in a process of its own, which writes down what it trains."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for number in (1, 2):
        os.dup2(file, number)

    def training(model, stage):
        os.write(file, f"{stage.kind} {stage.point}\n".encode())
        return train(model, stage)

    sweep(directory, train=training)


def dying(model, stage):
    """Training that kills its process in the search for the second bound, and fails for the first."""
    if (stage.kind, stage.point) == ("search", 2):
        os.kill(os.getpid(), signal.SIGKILL)
    if (stage.kind, stage.point) == ("fine-tune", 1):
        raise ArithmeticError("not today")
    return train(model, stage)


def dying_once(model, stage):
    """Training that kills its process in the first try of the search for the second bound."""
    mark = Path(os.environ["KERAS_PIT_TEST_MARK"])
    if (stage.kind, stage.point) == ("search", 2) and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return train(model, stage)
