"""Inputs that are searched: sensor axes that are not needed go, and the exported model does not ask for them."""

import keras
import numpy as np
import pytest
from generator import randomize, read
from keras import layers

import keras_pit
from keras_pit.blueprint import Blueprint

X = np.random.default_rng(0).normal(size=(8, 32, 6)).astype("float32")


def network(make=lambda x: layers.Conv1D(8, 3, padding="causal", activation="relu", name="conv")(x), shape=(32, 6)):
    inputs = keras.Input(shape, name="signal")
    x = layers.BatchNormalization()(layers.Conv1D(8, 3, name="second")(make(inputs)))
    model = keras.Model(inputs, layers.Dense(3, name="out")(layers.GlobalAveragePooling1D()(x)), name="net")
    randomize(model, np.random.default_rng(0))
    return model


def searched(model, off=(), **arguments):
    search = keras_pit.convert(model, search=("channels", "kernel", "inputs"), **arguments)
    (owner,) = [layer for layer in search.layers if isinstance(layer, keras_pit.layers.PITInput)]
    if owner.alpha is not None:
        owner.alpha.assign([0.4 if place in off else 0.6 for place in range(owner.alpha.shape[0])])
    return search


def test_the_exported_model_takes_what_is_read():
    search = searched(network(), off=(1, 4, 5))
    slim = keras_pit.export(search)
    assert slim.input_shape == (None, 32, 3)
    assert slim.get_layer("conv").kernel.shape == (3, 3, 8)
    assert slim(X[..., [0, 2, 3]]).numpy() == pytest.approx(search(X).numpy(), rel=1e-5, abs=1e-5)
    (found,) = keras_pit.summary(search).inputs
    assert (found.name, found.channels, found.read, found.frozen) == ("signal", 6, (0, 2, 3), None)
    assert "signal (Input)" in str(keras_pit.summary(search))
    assert keras_pit.summary(search).as_dict()["inputs"][0]["read"] == (0, 2, 3)


def test_inputs_stay_unless_they_are_searched():
    search = keras_pit.convert(network())
    assert keras_pit.summary(search).inputs == ()
    assert not any(isinstance(layer, keras_pit.layers.PITInput) for layer in search.layers)


def test_an_input_keeps_its_strongest_channel():
    search = searched(network(), off=range(6))
    assert keras_pit.export(search).input_shape == (None, 32, 1)


@pytest.mark.parametrize("metric", ["size", "macs", "flash", "ram", "latency"])
def test_costs_count_what_is_read(metric):
    search = searched(network(), off=(1, 4, 5), regularizer=metric)
    slim = keras_pit.export(search)
    exact = keras_pit.cost(slim, metric)
    assert keras_pit.cost(search, metric) == exact <= keras_pit.cost(network(), metric)
    assert exact * (1 - 1e-6) <= float(keras_pit.soft_cost(search, metric)) <= 1.03 * exact + 400


def test_the_program_of_a_search_reads_as_few():
    search = searched(network(), off=(1, 4, 5), regularizer="ram")
    shapes = []
    for program in (search.blueprint.program(search.reader()), Blueprint.of(keras_pit.export(search)).program()):
        (number,) = program.inputs
        shapes.append([float(size) for size in program.tensors[number].shape])
    assert shapes[0] == shapes[1] == [1, 1, 32, 3]


REASONS = {
    "an operation that is not followed": (
        lambda x: layers.LSTM(4, return_sequences=True, name="lstm")(x), (32, 6), "float32", "meets LSTM 'lstm'"
    ),
    "numbers of words": (
        lambda x: layers.Embedding(9, 4)(x), (32,), "int32", "is an input of int32"
    ),
    "an output": (lambda x: x, (32, 6), "float32", None),
}  # fmt: skip


@pytest.mark.parametrize("name", REASONS)
@pytest.mark.filterwarnings("ignore:The macs of model")
def test_what_keeps_an_input_is_told(name):
    make, shape, dtype, reason = REASONS[name]
    inputs = keras.Input(shape, dtype=dtype, name="signal")
    x = layers.Conv1D(4, 3)(layers.Conv1D(4, 3)(make(inputs)))
    outputs = [layers.GlobalAveragePooling1D()(x), inputs] if reason is None else layers.GlobalAveragePooling1D()(x)
    search = searched(keras.Model(inputs, outputs, name="net"))
    (found,) = keras_pit.summary(search).inputs
    assert (reason or "reaches the output") in found.frozen
    assert found.read == tuple(range(shape[-1]))


def test_inputs_that_are_added_lose_channels_together():
    one, two = keras.Input((16, 3), name="one"), keras.Input((16, 3), name="two")
    x = layers.Conv1D(4, 3)(layers.Add()([one, two]))
    model = keras.Model([one, two], layers.Dense(2)(layers.Flatten()(x)))
    search = keras_pit.convert(model, search=("channels", "inputs"))
    owner = next(layer for layer in search.layers if getattr(layer, "alpha", None) is not None)
    owner.alpha.assign([0.6, 0.4, 0.6])
    assert [each.read for each in keras_pit.summary(search).inputs] == [(0, 2), (0, 2)]
    x = [np.random.default_rng(place).normal(size=(4, 16, 3)).astype("float32") for place in range(2)]
    slim = keras_pit.export(search)
    assert slim(read(search, x)).numpy() == pytest.approx(search(x).numpy(), rel=1e-5, abs=1e-5)


def test_excluded_inputs_stay():
    search = keras_pit.convert(network(), search=("channels", "inputs"), exclude="signal")
    assert keras_pit.summary(search).inputs == ()


def test_a_search_of_inputs_is_saved(tmp_path):
    search = searched(network(), off=(0, 3))
    search.save(tmp_path / "search.keras")
    again = keras.models.load_model(tmp_path / "search.keras")
    assert keras_pit.summary(again) == keras_pit.summary(search)
    assert again(X).numpy() == pytest.approx(search(X).numpy(), rel=1e-6)


def test_noise_goes_and_signal_stays():
    """Two of six axes say what class it is; a bound on the size leaves no room for the others."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 256)
    x = rng.normal(size=(256, 16, 6)).astype("float32")
    x[:, :, 2] += 1.5 * y[:, None]
    x[:, :, 5] -= 1.5 * y[:, None]
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 6))
    hidden = layers.Conv1D(8, 3, activation="relu")(inputs)
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling1D()(hidden)))
    model.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=10, batch_size=32, verbose=0)
    search = keras_pit.convert(model, search=("inputs",), target={"size": 90})
    search.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy", metrics=["accuracy"])
    search.fit(x, y, epochs=30, batch_size=32, verbose=0)
    (found,) = keras_pit.summary(search).inputs
    assert set(found.read) <= {2, 5}
    assert found.read
    slim = keras_pit.export(search)
    slim.compile(metrics=["accuracy"], loss="sparse_categorical_crossentropy")
    assert slim.evaluate(x[..., list(found.read)], y, verbose=0)[1] > 0.95
