"""The gradients of costs: of sums those of relaxed masks, of a board what a switch saves; more never costs less."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from costed import CORES, NETWORKS, made, soft_and_exact
from generator import random_masks, randomize
from keras import layers

import keras_pit
from keras_pit.costs.arena import arena
from keras_pit.costs.device import flash
from keras_pit.costs.latency import instructions
from keras_pit.layers.reader import Reader


class Relaxed(Reader):
    """Masks that are not binarised: they move from where they are as far as their variables do."""

    def __init__(self, search, moves):
        super().__init__(search.search_layers)
        self.moves = moves

    def channels(self, owner):
        return super().channels(owner) + self.moves[id(owner.alpha)]

    def taps(self, layer):
        found = super().taps(layer)
        if layer.beta is not None:
            found = found + self.moves[id(layer.beta)][list(layer.kernel_mask.lags)]
        if layer.gamma is not None:
            found = found + self.moves[id(layer.gamma)][layer.kernel_mask.levels]
        return found

    def count_channels(self, owner):
        return tf.reduce_sum(self.channels(owner))

    def count_taps(self, layer):
        return tf.reduce_sum(self.taps(layer))


def slopes(search, metrics):
    """The gradient of each metric, by mask variable."""
    variables = keras_pit.mask_variables(search)
    with tf.GradientTape(persistent=True) as tape:
        values = tf.unstack(search.costs(metrics, search.reader()))
    for value in values:
        found = tape.gradient(value, [variable.value for variable in variables], unconnected_gradients="zero")
        yield {id(v): tf.convert_to_tensor(slope).numpy() for v, slope in zip(variables, found, strict=True)}


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_of_sums_are_those_of_relaxed_masks(name):
    search, rng = keras_pit.convert(made(name)), np.random.default_rng(5)
    random_masks(search, rng, 0.6)
    metrics, variables, step = ("size", "macs"), keras_pit.mask_variables(search), 0.5
    found = list(slopes(search, metrics))
    for moved in variables:
        direction = rng.uniform(0.5, 1.5, moved.shape).astype("float32")
        ends = []
        for sign in (step, -step):
            moves = {id(v): np.zeros(v.shape, "float32") for v in variables} | {id(moved): sign * direction}
            ends.append(search.costs(metrics, Relaxed(search, moves)).numpy().astype("float64"))
        for slope, more, less in zip(found, *ends, strict=True):
            assert slope[id(moved)] @ direction == pytest.approx((more - less) / (2 * step), rel=1e-3)


@pytest.mark.parametrize("name", NETWORKS)
def test_more_never_costs_less(name):
    metrics = ("size", "macs", "flash", "ram", "latency")
    search = keras_pit.convert(made(name))
    for density in (1.0, None):
        random_masks(search, np.random.default_rng(3), density)
        for metric, slope in zip(metrics, slopes(search, metrics), strict=True):
            assert all((values >= 0).all() for values in slope.values())
            if metric != "ram":
                assert all(values.max() > 0 for values in slope.values())


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("kind", ["alpha", "beta", "gamma"])
def test_gradients_of_a_board_are_what_a_switch_saves(kind, core):
    """Costs have stairs, of up to 16 channels: the gradient is their slope."""
    inputs = x = keras.Input((64, 16))
    for taps in (17, 15):
        x = layers.Conv1D(64, taps, padding="causal", activation="relu")(x)
    model = keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling1D()(x)))
    randomize(model, np.random.default_rng(0))
    search = keras_pit.convert(model)
    variable = getattr(search.search_layers[1 if kind == "alpha" else 0], kind)
    places = np.arange(variable.shape[0])
    # Helium takes another path for any dilation: from 2 to 4.
    already = places < (1 if kind == "gamma" else 0)
    off = {"alpha": places >= 48, "beta": places >= 9, "gamma": places == 1}[kind]
    variable.assign(np.where(already, 0.4, 0.6))
    with tf.GradientTape(persistent=True) as tape:
        program = search.blueprint.program(search.reader())
        before = [arena(program, core).total, instructions(program, core), flash(program, None)]
    found = [tape.gradient(value, variable.value).numpy() for value in before]
    variable.assign(np.where(already | off, 0.4, 0.6))
    after, _ = soft_and_exact(search, core)
    for slope, one, other in zip(found, before, after, strict=True):
        assert slope[off].sum() == pytest.approx(float(one) - other, rel=0.05, abs=1)
