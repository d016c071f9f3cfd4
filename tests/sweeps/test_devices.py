"""One search on several devices: `tf.distribute.MirroredStrategy`, on two logical devices of the processor."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]

# Devices are divided before TensorFlow has used any, so this is a process of its own.
PROGRAM = """
import contextlib
import json
import sys

import tensorflow as tf

(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

import keras
import keras_pit
from keras import layers
from keras_pit.search.variables import number
from small import LOSS, samples

x, y = samples()
seed = None


def trained(scope, target):
    global seed
    keras.utils.set_random_seed(0)
    with scope:
        inputs = keras.Input((32, 3))
        z = layers.Conv1D(6, 5, padding="causal", activation="relu", name="conv0")(inputs)
        z = layers.Conv1D(6, 5, padding="causal", activation="relu", name="conv1")(z)
        z = layers.Add(name="sum")([z, layers.Conv1D(6, 5, padding="causal", name="conv2")(z)])
        z = layers.GlobalAveragePooling1D(name="pool")(z)
        model = keras.Model(inputs, layers.Dense(3, name="out")(z))
        seed = seed or model.get_weights()
        model.set_weights(seed)
        search = keras_pit.convert(model, "size", target=target, search=("channels", "kernel", "dilation", "branches"))
        search.compile(keras.optimizers.Adam(0.01), LOSS, jit_compile=False)
    search.fit(x, y, batch_size=32, epochs=4, shuffle=False, verbose=0)
    copies = [
        [copy.numpy().tolist() for copy in getattr(mask.value, "values", [mask.value])]
        for mask in keras_pit.mask_variables(search)
    ]
    slim = keras_pit.export(search)
    error = float(abs(slim.predict(x, verbose=0) - search.predict(x, verbose=0)).max())
    return {"copies": copies, "cost": keras_pit.cost(search), "outputs": slim.predict(x[:8], verbose=0).tolist(),
            "error": error, "loss": number(search.controller.trials._usual), "settled": search.controller.fixed}


found = []
for target in (120,):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    found.append([trained(contextlib.nullcontext(), target), trained(strategy.scope(), target)])
print(json.dumps(found))
"""


def test_two_devices_search_as_one():
    command = [sys.executable, "-c", PROGRAM]
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "PATH": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    for one, two in json.loads(result.stdout.splitlines()[-1]):
        assert all(len(copies) == 1 for copies in one["copies"]) and all(len(copies) == 2 for copies in two["copies"])
        assert all(copies[0] == copies[1] for copies in two["copies"])
        for (single,), (double, _) in zip(one["copies"], two["copies"], strict=True):
            np.testing.assert_allclose(single, double, atol=1e-3)
        assert one["cost"] == two["cost"] and one["settled"] and two["settled"]
        assert two["error"] < 1e-5
        # That of the task, in which a trial of a branch shows, is that of all samples.
        assert 0.05 < one["loss"] == pytest.approx(two["loss"], rel=0.01)
        np.testing.assert_allclose(one["outputs"], two["outputs"], atol=1e-3)
    assert json.loads(result.stdout.splitlines()[-1])[0][1]["cost"] <= 120
