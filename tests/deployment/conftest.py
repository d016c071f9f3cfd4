"""What tests of bundles share."""

import keras
import numpy as np
import pytest
from bundled import CASES, Made

from keras_pit import deploy
from keras_pit.deployment import to_tflite
from keras_pit.deployment.flatbuffer import read_graph


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The bundle of each case, made when it is first asked for."""
    cache = {}

    def get(name):
        if name not in cache:
            case = CASES[name]
            keras.utils.set_random_seed(3)
            model = case.network()
            generator = np.random.default_rng(3)
            samples = [generator.normal(size=(9, *t.shape[1:])).astype("float32") for t in model.inputs]
            tflite = to_tflite(model, samples, quantization=case.quantization)
            directory = tmp_path_factory.mktemp(name) / "bundle"
            deploy(tflite, directory, test_data=samples, labels=case.labels, name=name)
            cache[name] = Made(name, case, tflite, read_graph(tflite), samples, directory)
        return cache[name]

    return get
