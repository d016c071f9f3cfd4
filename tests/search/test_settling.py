"""The end of a search: one architecture, the mean of what was searched, with statistics of its own."""

import keras
import numpy as np
import pytest
from keras import layers
from small import LOSS, network, samples, states

import keras_pit
from keras_pit.search import settling
from keras_pit.search.rates import HIGHEST

MODES = [{"strength": 4.0}, {"target": 800.0}]


def compiled(model=None, rate=0.01, **arguments) -> keras_pit.SearchModel:
    keras.utils.set_random_seed(0)
    search = keras_pit.convert(model or network(), **(arguments or {"strength": 4.0}))
    search.compile(keras.optimizers.Adam(rate), LOSS, jit_compile=False)
    return search


def masks(search) -> np.ndarray:
    return np.concatenate([mask.numpy() for mask in keras_pit.mask_variables(search)])


class Record(keras.callbacks.Callback):
    """The masks after each step."""

    def on_train_begin(self, logs=None):
        self.masks = []

    def on_train_batch_end(self, batch, logs=None):
        self.masks.append(masks(self.model))

    @property
    def switches(self) -> np.ndarray:
        """How many switched in each step but the first."""
        return np.diff(np.array(self.masks) > 0.5, axis=0).sum(1)


HOW = {"graph": {}, "eager": {"run_eagerly": True}, "xla": {"jit_compile": True}}


@pytest.mark.parametrize(
    ("mode", "how"),
    [(MODES[0], "graph"), *((MODES[1], how) for how in HOW)],
    ids=["strength-graph", *(f"target-{how}" for how in HOW)],
)
def test_the_last_fifth_of_a_fit_has_one_architecture(mode, how):
    search, record = compiled(**mode), Record()
    search.compile(keras.optimizers.Adam(0.01), LOSS, **{"jit_compile": False, **HOW[how]})
    search.fit(*samples(), 32, 10, verbose=0, callbacks=[record])
    steps = len(record.masks)
    assert record.switches[: int(settling.FREEZE * steps)].sum() > 0
    assert record.switches[int(settling.FREEZE * steps) :].sum() == 0
    assert search.controller.fixed


def test_what_is_fixed_is_the_mean_of_the_search():
    search, record = compiled(), Record()
    search.fit(*samples(), 32, 10, verbose=0, callbacks=[record])
    rate, mean, weight = 1 / len(record.masks) / settling.WINDOW, 0.0, 0.0
    for values in record.masks[: int(settling.FREEZE * len(record.masks))]:
        mean, weight = mean + rate * (values - mean), weight + rate * (1 - weight)
    np.testing.assert_allclose(record.masks[-1], mean / weight, atol=1e-4)
    assert (record.masks[-1] != record.masks[int(settling.FREEZE * len(record.masks)) - 1]).any()


def test_a_second_fit_searches_on_and_settles_again():
    search, record = compiled(), Record()
    search.fit(*samples(), 32, 5, verbose=0)
    first = masks(search)
    search.fit(*samples(), 32, 5, verbose=0, callbacks=[record])
    assert (record.masks[0] != first).any()
    assert record.switches[-7:].sum() == 0


def normed() -> keras.Model:
    """Batch norm first: its statistics are those of the data."""
    inputs = keras.Input((32, 3))
    x = layers.BatchNormalization(name="first")(inputs)
    x = layers.Conv1D(8, 5, activation="relu", name="conv")(x)
    x = layers.BatchNormalization(name="second", trainable=False)(x)
    return keras.Model(inputs, layers.Dense(3, name="out")(layers.GlobalAveragePooling1D(name="pool")(x)))


class Rates(keras.callbacks.Callback):
    """The learning rate of each step."""

    def on_train_begin(self, logs=None):
        self.rates = []

    def on_train_batch_end(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))


@pytest.mark.parametrize("share", [0.6, 0.02])
def test_weights_settle_with_a_rate_that_rises_and_falls(share):
    """It rises with how much narrower the network is, but not beyond all bounds."""
    size = keras_pit.cost(network())
    search, rates = compiled(regularizer="size", target=round(share * size)), Rates()
    for _ in range(2):
        search.fit(*samples(), 32, 10, verbose=0, callbacks=[rates])
        rise = min(np.sqrt(size / keras_pit.cost(search)), HIGHEST)
        assert rise == HIGHEST if share < 0.1 else 1.2 < rise < 1.6
        left = 1 - np.arange(len(rates.rates)) / len(rates.rates)
        settles = left < 1 - settling.FREEZE - 1e-6
        expected = 0.01 * np.maximum(rise * left / (1 - settling.FREEZE), settling.SLOWEST)
        np.testing.assert_allclose(np.array(rates.rates)[settles], expected[settles], rtol=1e-4)
        np.testing.assert_allclose(np.array(rates.rates)[left > 1 - settling.FREEZE + 1e-6], 0.01, rtol=1e-4)
        assert float(search.optimizer.learning_rate) == pytest.approx(0.01)


def test_a_rate_that_others_set_falls_too():
    search, rates = compiled(), Rates()
    halved = keras.callbacks.LearningRateScheduler(lambda epoch: 0.01 if epoch < 9 else 0.005)
    search.fit(*samples(), 32, 10, verbose=0, callbacks=[rates, halved])
    assert float(search.optimizer.learning_rate) == pytest.approx(0.005)
    assert 0.005 < max(rates.rates[-6:]) <= 0.005 * 0.55 * HIGHEST


def test_a_schedule_is_left_alone():
    search = compiled()
    search.compile(keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.9)), LOSS)
    rates = Rates()
    search.fit(*samples(), 32, 5, verbose=0, callbacks=[rates])
    np.testing.assert_allclose(rates.rates, 0.01 * 0.9 ** (np.arange(1, len(rates.rates) + 1) / 10), rtol=1e-4)


def test_a_fit_after_one_that_was_broken_off_has_its_rate():
    class Crash(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 8:
                raise RuntimeError("power cut")

    search, rates = compiled(), Rates()
    with pytest.raises(RuntimeError, match="power cut"):
        search.fit(*samples(), 32, 10, verbose=0, callbacks=[Crash()])
    left = float(search.optimizer.learning_rate)
    assert left != pytest.approx(0.01)
    search.fit(*samples(), 32, 2, verbose=0, callbacks=[rates])
    assert rates.rates[0] == pytest.approx(0.01)
    search.controller.rates.assign([0.01, left])  # as a checkpoint of that moment has it, and an optimizer of its own
    search.compile(keras.optimizers.Adam(0.02), LOSS, jit_compile=False)
    search.fit(*samples(), 32, 2, verbose=0, callbacks=[rates])
    assert rates.rates[0] == pytest.approx(0.02)
    assert float(search.optimizer.learning_rate) == pytest.approx(0.02)


@pytest.mark.parametrize("how", [{}, {"run_eagerly": True}, {"jit_compile": True}], ids=["graph", "eager", "xla"])
def test_statistics_are_the_mean_over_the_fixed_architecture(how):
    rng = np.random.default_rng(0)
    x, y = rng.normal(rng.normal(size=(192, 1, 1)), 1.0, (192, 32, 3)).astype("float32"), np.zeros(192, int)
    search = compiled(normed())
    search.compile("sgd", LOSS, **{"jit_compile": False, **how})
    norm, seen = search.get_layer("first"), []
    search.fit(x, y, 8, 1, shuffle=False, verbose=0, callbacks=[
        keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(norm.moving_mean.numpy()))
    ])  # fmt: skip
    batches = x.reshape(24, 8 * 32, 3).mean(1)
    fixed = int(settling.FREEZE * 24) + 1  # the step after which the architecture is fixed
    for step in range(fixed, 24):
        np.testing.assert_allclose(seen[step], batches[fixed : step + 1].mean(0), rtol=1e-4, atol=1e-6)
    assert np.abs(seen[fixed - 1] - batches[:fixed].mean(0)).max() > 0.01
    np.testing.assert_array_equal(search.get_layer("second").moving_mean, np.zeros(8))
    assert norm.momentum == 0.99


def test_the_usual_average_takes_over():
    search = compiled(normed())
    norm = search.get_layer("first")
    search.settle()
    search.fit(np.ones((512, 32, 3)), np.zeros(512), 1, 1, verbose=0)
    search.fit(np.zeros((10, 32, 3)), np.zeros(10), 1, 1, verbose=0)
    np.testing.assert_allclose(norm.moving_mean, 0.99**10, rtol=1e-3)


def test_settled_by_request():
    search, record = compiled(), Record()
    search.fit(*samples(), 32, 100, verbose=0, callbacks=[
        keras.callbacks.EarlyStopping("size", mode="min", patience=0), record
    ])  # fmt: skip
    assert not search.controller.fixed
    search.settle()
    fixed = masks(search)
    assert (fixed != record.masks[-1]).any()
    search.fit(*samples(), 32, 3, verbose=0)
    np.testing.assert_array_equal(masks(search), fixed)
    search.settle(False)
    search.fit(*samples(), 32, 1, verbose=0, callbacks=[record])
    assert (record.masks[0] != fixed).any()


def test_settled_by_request_within_the_target():
    search = compiled(target=800.0)
    search.settle()  # before anything was searched: the bound itself must be met
    assert 0.97 * 800 <= keras_pit.cost(keras_pit.export(search)) <= 800


def test_loops_by_hand_settle_on_request():
    search, mask = compiled(), keras_pit.mask_variables
    rng = np.random.default_rng(0)
    for _ in range(40):
        for variable in mask(search):
            variable.assign(0.5 + rng.uniform(-0.1, 0.1, variable.shape))
        search.controller.step()
    last = masks(search)
    search.settle()
    assert 3 * np.abs(masks(search) - 0.5).mean() < np.abs(last - 0.5).mean()
    for variable in mask(search):
        variable.assign(np.full(variable.shape, 0.6))
    fixed = search.controller.architecture()
    search.controller.step()
    np.testing.assert_array_equal(masks(search) > 0.5, fixed)


def test_settled_before_the_first_step_are_the_masks_as_they_are():
    search = compiled()
    search.get_layer("conv0").alpha.assign([0.4] * 8 + [0.6] * 8)
    search.settle()
    assert keras_pit.export(search).get_layer("conv0").filters == 8


def test_nothing_to_search_settles_too():
    with pytest.warns(UserWarning, match="Nothing can be searched"):
        search = keras_pit.convert(network(), exclude=["conv0", "conv1"])
    search.compile("sgd", LOSS)
    search.settle()
    assert search.fit(*samples(), 64, 2, verbose=0).history["size"] == [keras_pit.cost(network())] * 2


@pytest.mark.parametrize(
    ("mode", "crash"), [(MODES[0], 4), (MODES[0], 7), (MODES[1], 7)], ids=["searching", "fixed", "target"]
)
def test_interrupted_before_and_after_the_architecture_is_fixed(mode, crash, tmp_path):
    """Of 8 epochs with 4 steps, the 26th step fixes: in epoch 6 (from 0)."""

    class Crash(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == crash:
                raise RuntimeError("power cut")

    options = {"batch_size": 64, "epochs": 8, "shuffle": False, "verbose": 0}
    whole, broken, again = compiled(**mode), compiled(**mode), compiled(**mode)
    whole.fit(*samples(), **options)
    with pytest.raises(RuntimeError, match="power cut"):
        broken.fit(*samples(), callbacks=[keras.callbacks.BackupAndRestore(tmp_path), Crash()], **options)
    again.fit(*samples(), callbacks=[keras.callbacks.BackupAndRestore(tmp_path)], **options)
    for one, two in zip(states(whole), states(again), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)
