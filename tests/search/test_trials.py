"""Branches are tried, one at a time: one stays off if the loss has risen by less than the price of what it costs."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from search.test_sums import in_a_row, searched, sums

import keras_pit
from keras_pit.search.trials import ELSEWHERE, Trials

COSTS = np.array([0.1, 0.1, 0.2, 0.3, 0.4], "float32")
"""Of two channels and three branches."""


def unknown():
    """Trials of which the usual loss is not known yet."""
    return Trials([2, 3], [False, True], lambda values: ops.sum(ops.where(values > 0.5, COSTS, 0.0)))


def begun():
    """Trials in which the second of three branches has just been switched off; the usual loss is 1."""
    trials = unknown()
    move(trials, 0.6, 0.6, 0.6, steps=ELSEWHERE)
    np.testing.assert_allclose(move(trials, 0.49, 0.48, 0.6), [0.502, 0.4, 0.6], atol=1e-6)
    return trials


def move(trials, *values, loss=1.0, steps=1, pace=0.0, left=1.0):
    """What becomes of the branches as the optimizer left them, after so many steps."""
    for _ in range(steps):
        trials.hear(loss)
        all_values = ops.convert_to_numpy(trials.step(np.array([0.6, 0.4, *values], "float32"), pace, left))
        np.testing.assert_array_equal(all_values[:2], np.array([0.6, 0.4], "float32"))
    return all_values[2:]


def test_a_trial_waits_until_the_usual_loss_is_known():
    np.testing.assert_allclose(move(unknown(), 0.4, 0.5, 0.6), [0.502, 0.502, 0.6], atol=1e-6)


def test_only_the_lowest_is_tried():
    np.testing.assert_allclose(move(begun(), 0.3, 0.41, 0.45), [0.502, 0.4, 0.502], atol=1e-6)


@pytest.mark.parametrize(("risen", "left"), [(0.29, 0.4), (0.31, 0.6), (-0.5, 0.4), (np.nan, 0.6)])
def test_what_the_network_does_without_stays_off(risen, left):
    """The loss may rise by the price; only that of the second half counts, in which the network is used to it."""
    trials = begun()
    move(trials, 0.502, 0.41, 0.6, loss=9.0, steps=ELSEWHERE // 2)
    assert move(trials, 0.502, 0.41, 0.6, loss=1 + risen, steps=ELSEWHERE // 2 - 1)[1] == np.float32(0.4)
    assert move(trials, 0.502, 0.41, 0.6, loss=1 + risen)[1] == np.float32(left)


def test_what_is_gone_stays_off_and_the_next_is_tried():
    trials = begun()
    move(trials, 0.49, 0.41, 0.6, steps=ELSEWHERE)
    for _ in range(5):
        np.testing.assert_allclose(move(trials, 0.49, 0.6, 0.6), [0.4, 0.4, 0.6], atol=1e-6)


def test_what_is_needed_is_tried_again_later():
    trials = begun()
    move(trials, 0.55, 0.41, 0.6, loss=2.0, steps=ELSEWHERE)
    np.testing.assert_allclose(move(trials, 0.55, 0.5, 0.6), [0.55, 0.502, 0.6], atol=1e-6)
    move(trials, 0.55, 0.5, 0.6, steps=ELSEWHERE)
    np.testing.assert_allclose(move(trials, 0.55, 0.5, 0.6), [0.55, 0.4, 0.6], atol=1e-6)


@pytest.mark.parametrize(("pace", "steps"), [(1e-3, 50), (7e-4, 71), (1e-1, 20)])
def test_a_trial_takes_its_share_of_a_fit(pace, steps):
    trials = unknown()
    move(trials, 0.6, 0.6, 0.6, steps=steps, pace=pace)
    np.testing.assert_allclose(move(trials, 0.4, 0.6, 0.6, pace=pace, left=0.99 * steps * pace), [0.502, 0.6, 0.6])
    np.testing.assert_allclose(move(trials, 0.4, 0.6, 0.6, pace=pace, left=1.01 * steps * pace), [0.4, 0.6, 0.6])
    assert move(trials, 0.4, 0.6, 0.6, loss=9.0, pace=pace, steps=steps - 1)[0] == np.float32(0.4)
    assert move(trials, 0.4, 0.6, 0.6, loss=9.0, pace=pace)[0] == np.float32(0.6)


def deltas(search):
    return np.array([float(one.delta.numpy()[0]) for one in sums(search)], "float32")


def step(search, *values, loss=1.0, steps=1):
    """The branches after steps of a search, before each of which the optimizer has moved them."""
    for _ in range(steps):
        for one, value in zip(sums(search), values, strict=True):
            one.delta.assign([value])
        search.controller.trials.hear(loss)
        search.controller.step()
    return deltas(search)


def on_trial(**arguments):
    """A search in which the second of three branches has just been switched off for its trial."""
    search = searched(in_a_row, regularizer="size", **arguments)
    step(search, 0.6, 0.6, 0.6, steps=ELSEWHERE)
    np.testing.assert_allclose(step(search, 0.49, 0.48, 0.6), [0.502, 0.4, 0.6], atol=1e-6)
    return search


def cost_of_the_seed():
    return keras_pit.cost(searched(in_a_row, regularizer="size"), "size")


@pytest.mark.parametrize("part", [0.99, 1.01])
def test_the_price_is_that_of_the_cost(part):
    search = on_trial(strength=4.0)
    price = 4.0 * (1 - keras_pit.cost(search) / cost_of_the_seed())
    step(search, 0.502, 0.41, 0.6, loss=1 + part * price, steps=ELSEWHERE)
    assert deltas(search)[1] == np.float32(0.4 if part < 1 else 0.6)


def test_a_search_that_settles_keeps_the_branches_as_they_are():
    """Not as they were on average."""
    search = on_trial()
    search.settle()
    np.testing.assert_array_equal(deltas(search) > 0.5, [True, False, True])


def test_a_trial_goes_on_after_saving(tmp_path):
    search = on_trial()
    step(search, 0.55, 0.41, 0.6, steps=ELSEWHERE - 1)
    search.save(tmp_path / "search.keras")
    loaded = keras.models.load_model(tmp_path / "search.keras")
    for one, loss, expected in ((search, 1.0, 0.4), (loaded, 99.0, 0.6)):
        assert step(one, 0.55, 0.41, 0.6, loss=loss)[1] == np.float32(expected)


def test_the_loss_has_to_be_heard():
    search = searched(in_a_row, regularizer="size")
    with pytest.raises(ValueError, match=r"search\.compute_loss.*search\.controller\.trials\.hear"):
        search.controller.step()
    search.compile("adam", "mse")
    search.compute_loss(y=np.zeros((1, 3)), y_pred=np.ones((1, 3)))
    search.controller.step()


def least(*, branches):
    """The cost with everything off, or everything but the branches."""
    search = searched(in_a_row, regularizer="size")
    for mask in keras_pit.mask_variables(search):
        mask.assign(np.full(mask.shape, 0.6 if branches and mask.name == "delta" else 0.4))
    return keras_pit.cost(search, "size")


def test_a_bound_that_leaves_no_choice_takes_them_all_the_same():
    """Where channels and taps alone do not reach it, branches go without a trial, and do not come back."""
    bound = (least(branches=True) + least(branches=False)) // 2
    search = searched(in_a_row, target={"size": bound})
    search.controller.progress.assign(0.6)
    gone = step(search, 0.6, 0.6, 0.6) < 0.5
    assert gone.any()
    for _ in range(5):
        assert (step(search, 0.6, 0.6, 0.6)[gone] < 0.5).all()
        assert keras_pit.cost(search, "size") <= bound < least(branches=True)


def test_a_shift_spares_branches_that_are_off():
    """A search that has become too cheap switches on channels, not what is gone."""
    search = searched(in_a_row, target={"size": 0.6 * cost_of_the_seed()})
    search.controller.trials.lose(np.where(search.controller.trials.branches, [0.4], 0.6))
    search.controller.progress.assign(0.6)
    search.controller.pace.assign(0.01)
    for _ in range(5):
        assert (step(search, 0.6, 0.6, 0.6) < 0.5).all()
    search.settle()
    assert (deltas(search) < 0.5).all()


@pytest.mark.parametrize("target", [None, 0.4])
def test_a_search_drops_what_does_nothing_and_keeps_what_is_needed(target):
    """Of two branches, one has what the labels are made of; the other one's units are dead."""
    x = np.random.default_rng(0).normal(size=(512, 8)).astype("float32")
    y = np.abs(x).sum(-1, keepdims=True)
    inputs = z = keras.Input((8,))
    for name in ("idle", "needed"):
        inner = layers.Dense(32, activation="relu", name=f"{name}_in")(z)
        z = layers.Add(name=name)([z, layers.Dense(8, name=f"{name}_out")(inner)])
    seed = keras.Model(inputs, layers.Dense(1, name="out")(z))
    seed.get_layer("idle_in").set_weights([np.zeros((8, 32)), np.full(32, -1.0)])
    seed.compile(keras.optimizers.Adam(0.01), "mse")
    seed.fit(x, y, epochs=20, verbose=0)
    target = target and target * keras_pit.cost(seed)
    search = keras_pit.convert(seed, "size", target=target, search=("channels", "branches"))
    search.compile(keras.optimizers.Adam(0.01), "mse")
    search.fit(x, y, epochs=40, verbose=0)
    kept = {layer.name: layer.kept_branches().tolist() for layer in sums(search)}
    assert kept == {"idle": [False], "needed": [True]}
