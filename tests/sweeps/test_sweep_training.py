"""How stages are trained and measured: optimizer, learning rate, loss and metrics are those of the seed."""

import keras
import numpy as np
import pytest
from keras import layers
from sweeps.tiny import LOSS, data, network

import keras_pit
from keras_pit.search.rates import HIGHEST, rise
from keras_pit.sweeps.measure import evaluate, score
from keras_pit.sweeps.plan import Epochs, even_bounds, given_bounds, random_seeds
from keras_pit.sweeps.samples import Samples, spread
from keras_pit.sweeps.training import CosineDecay, Progress, compile_as


def test_compiled_as_the_seed_is():
    schedules = keras.optimizers.schedules
    warm = schedules.CosineDecay(0.0, 40, warmup_target=0.02, warmup_steps=10)
    for rate, expected in ((0.03, 0.03), (schedules.CosineDecay(0.01, 50), 0.01), (warm, 0.02)):
        seed, model = network(), network()
        seed.compile(keras.optimizers.SGD(rate, momentum=0.5, clipnorm=1.0), LOSS, metrics=["accuracy", "mae"])
        compile_as(model, seed)
        assert float(model.optimizer.learning_rate) == pytest.approx(expected, rel=1e-3)
        assert (model.optimizer.momentum, model.optimizer.clipnorm) == (0.5, 1.0)
        assert model.get_compile_config()["metrics"] == seed.get_compile_config()["metrics"]
        assert not model.jit_compile


def test_a_smaller_network_is_fine_tuned_at_a_higher_rate():
    """A search is not: it raises the rate by itself, when its weights settle."""
    seed = network()
    size = keras_pit.cost(seed)
    seed.compile(keras.optimizers.Adam(0.03), LOSS)
    search = keras_pit.convert(seed, "size", target=0.5 * size)
    compile_as(search, seed)
    assert float(search.optimizer.learning_rate) == pytest.approx(0.03)
    search.fit(*data(), epochs=4, verbose=0)
    slim = keras_pit.export(search)
    compile_as(slim, seed)
    expected = (size / keras_pit.cost(slim)) ** 0.5
    assert 1.4 < expected < 2
    assert float(slim.optimizer.learning_rate) == pytest.approx(0.03 * expected)


def test_how_much_a_rate_rises():
    assert rise(400, 100) == 2
    assert rise(100_000, 100) == rise(100, 0) == HIGHEST
    assert rise(100, 100) == rise(100, 101) == rise(0, 0) == 1
    adam, sgd = keras.optimizers.AdamW(), keras.optimizers.SGD(momentum=0.9)
    assert (rise(400, 100, adam), rise(400, 100, sgd)) == (2, 1)
    of_half = keras.optimizers.LossScaleOptimizer
    assert (rise(400, 100, of_half(adam)), rise(400, 100, of_half(sgd))) == (2, 1)


def test_the_learning_rate_comes_down():
    model = network()
    model.compile(keras.optimizers.SGD(0.1), LOSS, run_eagerly=True)
    rates = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: rates.append(float(model.optimizer.learning_rate))
    )
    progress = Progress()
    model.fit(*data(), batch_size=16, epochs=2, verbose=0, callbacks=[CosineDecay(), watch, progress])
    np.testing.assert_allclose(rates, [0.05 * (1 + np.cos(np.pi * step / 8)) for step in range(8)], rtol=1e-5)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)
    assert len(progress.seconds) == 2


def test_scores_are_those_of_evaluate():
    """Of several outputs, with weights; whatever has computed them."""
    x = inputs = keras.Input((6,), name="x")
    one = layers.Dense(3, activation="softmax", name="kind")(x)
    two = layers.Dense(1, name="level")(x)
    model = keras.Model(inputs, [one, two])
    losses = {"kind": "sparse_categorical_crossentropy", "level": "mse"}
    model.compile("sgd", losses, metrics={"kind": ["accuracy"], "level": ["mae"]}, run_eagerly=True)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 6)).astype("float32"), {"kind": rng.integers(3, size=20), "level": rng.normal(size=20)}
    expected = model.evaluate(x, y, batch_size=20, verbose=0, return_dict=True)
    found = evaluate(model, Samples.of((x, y)))
    assert found.keys() == expected.keys()
    assert all(found[name] == pytest.approx(expected[name], rel=1e-5) for name in expected)
    plain = network()
    weights = np.arange(64.0)
    expected = plain.evaluate(*data(), sample_weight=weights, batch_size=64, verbose=0, return_dict=True)
    found = evaluate(plain, Samples.of((*data(), weights)))
    assert found == pytest.approx(expected, rel=1e-5)


def test_what_is_not_compiled_has_no_score():
    model = network()
    plain = keras.Model(model.inputs, model.outputs, name="plain")
    with pytest.raises(ValueError, match="'plain' is not compiled, so there is nothing to measure it by"):
        score(plain, [np.zeros((64, 2), "float32")], Samples.of(data()))


def test_samples():
    x, y = data(10)
    assert len(Samples.of((x, y))) == 10
    with pytest.raises(ValueError, match=r"the same number of samples, at least one, in all parts; received \[9, 10\]"):
        Samples.of((x, y[:9]))
    with pytest.raises(ValueError, match="received 1 parts"):
        Samples.of((x,))
    np.testing.assert_array_equal(spread(np.arange(10), 4), [0, 3, 6, 9])
    np.testing.assert_array_equal(spread({"a": np.arange(3)}, 200)["a"], [0, 1, 2])


def test_epochs():
    assert Epochs.of(None, None, None, None, True) == Epochs(30, 6, 8)
    assert Epochs.of(None, None, None, 20, True) == Epochs(20, 4, 5)
    assert Epochs.of(40, None, 7, 20, False) == Epochs(40, 30, 7)
    assert Epochs.of(1, None, None, None, True) == Epochs(1, 2, 2)


def test_bounds():
    model = network()
    two = even_bounds(model, ["size", "macs"], 2, {})
    assert [list(bound) for bound in two] == [["size", "macs"]] * 2 and two[0]["macs"] > two[1]["macs"]
    costs = {"size": 38, "macs": 100}
    given = given_bounds([{"size": 9}, 30, {"size": 19, "macs": 10}], "size", costs.__getitem__)
    assert given == ({"size": 30.0}, {"size": 9.0}, {"size": 19.0, "macs": 10.0})
    (board,) = given_bounds(["nano33ble"], "size", lambda name: 1e6)
    assert board.keys() == {"flash", "ram:nano33ble"}
    inputs = keras.Input((4,))
    fixed = keras.Model(inputs, layers.Dense(2)(inputs), name="fixed")
    error = pytest.raises(ValueError, match="No search can lower the size of model 'fixed'")
    with pytest.warns(UserWarning, match="Nothing can be searched"), error:
        even_bounds(fixed, "size", 2, {})


def test_random_seeds():
    assert random_seeds(3) == (0, 1, 2) and random_seeds([7, 5]) == (7, 5)
    for seeds in (0, [], [1, 1]):
        with pytest.raises(ValueError, match="`seeds` must be"):
            random_seeds(seeds)
    with pytest.raises(TypeError, match="`seeds` must be"):
        random_seeds("three")
