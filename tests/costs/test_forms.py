"""Operators of one form are asked about together: what comes out is what each of them gives by itself."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_pit
from keras_pit.costs.forms import of_each
from keras_pit.costs.latency import operator_instructions
from keras_pit.costs.scratch import requests

QUESTIONS = {
    **{core: lambda call, core=core: operator_instructions(call, core) for core in ("cortex-m4", "cortex-m55")},
    "cortex-m0+": lambda call: operator_instructions(call, "cortex-m0+"),
    **{kernels: lambda call, kernels=kernels: requests(call, kernels) for kernels in ("plain", "dsp", "helium")},
}


def sequences():
    """Kernels of several lengths and strides; the input of the last ones is one element long."""
    x = inputs = keras.Input((24, 3))
    for filters, size, stride in ((6, 5, 1), (4, 5, 1), (8, 3, 2), (4, 3, 2), (8, 1, 1), (4, 1, 1)):
        x = layers.Conv1D(filters, size, strides=stride, padding="causal", activation="relu")(x)
    x = layers.SeparableConv1D(8, 3, padding="same")(layers.MaxPooling1D(2)(x))
    x = layers.Conv1D(8, 3, groups=2)(x)
    x = layers.Flatten()(layers.Conv1D(4, 1)(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Dense(5)(x)))


def images():
    x = inputs = keras.Input((12, 12, 2))
    for filters, size, stride in ((6, 3, 1), (8, 3, 2), (8, (1, 3), 1), (6, 1, 1), (4, 1, 2)):
        y = layers.Conv2D(filters, size, strides=stride, padding="same")(x)
        x = layers.DepthwiseConv2D(3, padding="same")(layers.Activation("tanh")(y))
    x = layers.Concatenate()([layers.AveragePooling2D(2)(x), layers.MaxPooling2D(2)(x)])
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("network", [sequences, images])
def test_together_as_one_by_one(network, question):
    search = keras_pit.convert(network(), regularizer="latency")
    ask, rng = QUESTIONS[question], np.random.default_rng(3)
    masks = keras_pit.mask_variables(search)

    @tf.function(autograph=False)
    def both():
        with tf.GradientTape(persistent=True) as tape:
            calls = list(search.blueprint.program(search.reader()).calls())
            found = [list(map(flat, made)) for made in (of_each(calls, ask), map(ask, calls))]
            sums = [tf.add_n([value for values in made for value in values]) for made in found]
        slopes = [tape.gradient(one, masks, unconnected_gradients="zero") for one in sums]
        return found, slopes

    def flat(made):
        return [tf.cast(value, "float32") for value in (made if isinstance(made, list) else [made])]

    for _ in range(5):
        for mask in masks:
            mask.assign(rng.uniform(0.4, 0.6, mask.shape))
        (together, alone), (slopes, expected) = both()
        assert [list(map(float, values)) for values in together] == [
            pytest.approx(list(map(float, values)), rel=1e-6) for values in alone
        ]
        for mine, wanted in zip(slopes, expected, strict=True):
            np.testing.assert_allclose(mine, wanted, rtol=1e-4, atol=1e-3)


def test_numbers_stay_as_they_are():
    calls = list(keras_pit.blueprint.Blueprint.of(images()).program().calls())
    found = of_each(calls, lambda call: call.result.elements)
    assert found == [call.result.elements for call in calls]
    assert all(type(value) is int for value in found)


def chain(depth):
    x = inputs = keras.Input((32, 4))
    for _ in range(depth):
        x = layers.Conv1D(8, 3, padding="causal", activation="relu")(x)
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))


def test_a_form_is_asked_about_once():
    def asked(depth):
        search, calls = keras_pit.convert(chain(depth), regularizer="latency"), []
        of_each(search.blueprint.program(search.reader()).calls(), lambda call: calls.append(call) or 0)
        return len(calls)

    assert asked(4) == asked(8)


@pytest.mark.parametrize(("metric", "most"), [("latency", 40), ("ram", 60)])
def test_operations_of_a_cost_grow_by_few_a_layer(metric, most):
    """To trace and to start them takes longer than to run them: a few dozen of a layer, not hundreds."""

    def operations(depth):
        search = keras_pit.convert(chain(depth), metric)
        cost = tf.function(lambda: keras_pit.soft_cost(search, metric), autograph=False)
        return len(cost.get_concrete_function().graph.get_operations())

    assert (operations(12) - operations(4)) / 8 < most
