"""A front without a search: a seed and two points whose files were made and measured, in a directory as a sweep has."""

import json

from sweeps.tiny import data, network

import keras_pit
from keras_pit.sweeps import measure
from keras_pit.sweeps.plan import Epochs, Plan
from keras_pit.sweeps.store import Step, Store

VALUES = {"seed-0": (0.9, 0.9), "point-0-1": (0.8, 0.75), "point-0-2": (0.7, 0.625)}
"""Accuracy in float and in int8."""


def plan(**options):
    """A plan of two points."""
    values = {"costs": ("size",), "bounds": ({"size": 60.0}, {"size": 20.0}), "seeds": (0,), "descent": True}
    values |= {"epochs": Epochs(3, 2, 1), "trained": False, "quantization": "int8", "monitor": None, "mode": "auto"}
    return Plan(**{**values, "board": "nano33ble", "options": {}, "shapes": [], **options})


def fronts(directory, values=VALUES, **options):
    """A front with given accuracies."""
    store, made = Store(directory), plan(**options)
    store.write_plan(made.as_dict())
    for (name, (in_float, in_int8)), width in zip(values.items(), (8, 5, 2), strict=True):
        step = Step.named(name)
        model = network(width)
        tflite = keras_pit.to_tflite(model, data()[0], verify=False)
        with store.making(step) as folder:
            model.save(folder / "model.keras")
            (folder / "model.tflite").write_bytes(tflite)
            figures = {"monitor": "accuracy", "higher_is_better": True, "seed": 0, "point": step.point}
            figures |= {"accuracy": in_float, "accuracy_int8": in_int8, "bound": {"size": 60} if step.point else None}
            figures |= {"costs": measure.costs_of(model, tflite, made), "layers": measure.architecture(model)}
            figures |= {"seconds": {"measure": 1.0}, "metrics": {}, "arena_here": 2000}
            (folder / "figures.json").write_text(json.dumps(figures))
    return keras_pit.Front.load(directory)
