"""Searches of branches: their soft programs are those of what they export, with operators that are not there.

Where a branch that is off leaves an affine or an activation behind that the exported network folds away, costs are from
above.
"""

from collections import Counter

import keras
import numpy as np
import pytest
from branching import residual
from generator import random_masks

import keras_pit
from keras_pit.blueprint import Blueprint
from keras_pit.costs.arena import arena
from keras_pit.costs.program import in_numbers
from keras_pit.costs.schedule import arranged
from keras_pit.layers import PITAdd

CORES = ("cortex-m4", "cortex-m55", "cortex-m0+")
COUNT, SLOW = 6, 300


def pytest_generate_tests(metafunc):
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(SLOW if metafunc.config.option.runslow else COUNT))


def searched(seed, search):
    keras.utils.set_random_seed(seed)
    return keras_pit.convert(residual(seed), "latency", search=search)


def operators(program):
    return Counter(op.name for op in program.operators)


def test_a_search_of_branches_is_never_below_what_it_exports(seed):
    search = ("branches",) if seed % 2 else ("channels", "kernel", "dilation", "branches")
    search, rng = searched(seed, search), np.random.default_rng(seed)
    for density in (None, 0.5):
        random_masks(search, rng, density)
        slim = keras_pit.export(search)
        soft, exact = search.blueprint.program(search.reader()), Blueprint.of(slim).program()
        assert not operators(exact) - operators(in_numbers(soft))
        for core in CORES:
            assert float(arena(soft, core).total) >= arena(exact, core).total * (1 - 1e-6)
        latency, flash = (
            float(keras_pit.soft_cost(search, metric)) / keras_pit.cost(slim, metric) for metric in ("latency", "flash")
        )
        # An operator that is folded away in the exported network is all that there may be more.
        assert 1 - 1e-6 <= latency <= 1.25
        # In a file, equal lists of numbers are one: some bytes, by how tensors happen to be numbered.
        assert 0.995 <= flash <= 1.4


@pytest.mark.parametrize("on", [True, False])
def test_all_branches_at_once(on, seed):
    """With all of them, the program of the seed; without, one that has no ADD."""
    search = searched(seed, ("branches",))
    sums = [layer for layer in search.search_layers if isinstance(layer, PITAdd)]
    for layer in sums:
        layer.delta.assign([0.6 if on else 0.4] * len(layer.places))
    soft = in_numbers(search.blueprint.program(search.reader()))
    exact = Blueprint.of(keras_pit.export(search)).program()
    assert operators(soft)["ADD"] == operators(exact)["ADD"]
    assert bool(operators(soft)["ADD"]) == (on and bool(sums))
    if on:
        assert operators(soft) == operators(exact)
        assert arena(arranged(soft)).head == arena(exact).head
