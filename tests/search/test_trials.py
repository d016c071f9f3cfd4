"""Branches are tried once: what the task wants back stays, whatever the price."""

import keras
import numpy as np
from search.test_sums import in_a_row, searched, sums

import keras_pit


def deltas(search):
    return np.array([float(one.delta.numpy()[0]) for one in sums(search)], "float32")


def move(search, *values):
    """What the optimizer does to the branches, and the step of the search after it."""
    for one, value in zip(sums(search), values, strict=True):
        one.delta.assign([value])
    search.controller.step()
    return deltas(search)


def test_what_comes_back_stays():
    search = searched(in_a_row, regularizer="size")
    alphas = [layer.alpha.numpy() for layer in search.search_layers if layer.alpha is not None]
    np.testing.assert_allclose(move(search, 0.49, 0.6, 0.52), [0.45, 0.6, 0.52], atol=1e-6)
    np.testing.assert_allclose(move(search, 0.47, 0.6, 0.49), [0.47, 0.6, 0.45], atol=1e-6)
    np.testing.assert_allclose(move(search, 0.51, 0.58, 0.46), [0.6, 0.58, 0.46], atol=1e-6)
    for value in (0.54, 0.51, 0.53):
        np.testing.assert_allclose(move(search, value, 0.58, 0.46), [0.6, 0.58, 0.46], atol=1e-6)
    for one, alpha in zip([x for x in search.search_layers if x.alpha is not None], alphas, strict=True):
        np.testing.assert_array_equal(one.alpha, alpha)


def test_what_has_passed_is_saved(tmp_path):
    search = searched(in_a_row, regularizer="size")
    move(search, 0.49, 0.6, 0.6)
    move(search, 0.51, 0.6, 0.6)
    search.save(tmp_path / "search.keras")
    loaded = keras.models.load_model(tmp_path / "search.keras")
    np.testing.assert_allclose(move(loaded, 0.54, 0.54, 0.6), [0.6, 0.54, 0.6], atol=1e-6)


def least(*, branches):
    """The cost with everything off, or everything but the branches."""
    search = searched(in_a_row, regularizer="size")
    for mask in keras_pit.mask_variables(search):
        mask.assign(np.full(mask.shape, 0.6 if branches and mask.name == "delta" else 0.4))
    return keras_pit.cost(search, "size")


def test_a_bound_that_leaves_no_choice_takes_them_all_the_same():
    """What has passed goes where channels and taps alone do not reach the bound."""
    bound = (least(branches=True) + least(branches=False)) // 2
    search = searched(in_a_row, target={"size": bound})
    move(search, 0.49, 0.49, 0.49)
    assert (move(search, 0.51, 0.51, 0.51) > 0.55).all()
    search.controller.progress.assign(0.6)
    for _ in range(5):
        search.controller.step()
        assert keras_pit.cost(search, "size") <= bound < least(branches=True)
        assert (deltas(search) < 0.5).any()


def test_a_shift_spares_branches_that_are_off():
    """A search that has become too cheap switches on channels, not what is on trial."""
    search = searched(in_a_row, target={"size": 0.6 * cost_of_the_seed()}, off=["sum_a", "sum_b"])
    search.controller.progress.assign(0.6)
    search.controller.pace.assign(0.01)
    for _ in range(5):
        search.controller.step()
    assert (deltas(search) > 0.5).tolist() == [False, False, True]


def cost_of_the_seed():
    return keras_pit.cost(searched(in_a_row, regularizer="size"), "size")
