"""What moves the masks of a search for a target: the gradient of the whole loss, in steps that keep its magnitudes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from small import LOSS, network, samples

import keras_pit
from keras_pit.search import descent
from keras_pit.search.descent import Descent


def masks(values) -> list[keras.Variable]:
    return [keras.Variable(part, dtype="float32") for part in values]


def after(
    gradients, before=(0.5, 0.5, 0.5, 0.5), optimizer=(0.0, 0.0, 0.0, 0.0), unit=1.0, trainable=True
) -> np.ndarray:
    """How far masks move, in learning rates, with these gradients one after the other."""
    variables = masks([before[:2], before[2:]])
    variables[1].trainable = trainable
    moves = Descent(variables)
    for gradient in gradients:
        with tf.GradientTape() as tape:
            loss = ops.sum(moves.tapped(ops.concatenate(variables)) * np.array(gradient, "float32"))
        tape.gradient(loss, variables)
        moved = moves.moved(np.array(before, "float32"), np.array(optimizer, "float32"), 0.001, unit)
    return (ops.convert_to_numpy(moved) - np.array(before)) / 0.001


GRADIENT = np.array([3.0, -1.0, 0.0, 1.0])


def test_steps_keep_the_magnitudes_of_the_gradient():
    scale = np.sqrt((GRADIENT**2).mean())
    np.testing.assert_allclose(after([GRADIENT]), -descent.RATE * 0.1 * GRADIENT / scale, rtol=1e-4, atol=1e-4)
    velocity, square = 0.1 * 0.9 * GRADIENT + 0.1 * 2 * GRADIENT, scale**2 * (0.99 + 0.01 * 4)
    expected = -descent.RATE * velocity / np.sqrt(square)
    np.testing.assert_allclose(after([GRADIENT, 2 * GRADIENT]), expected, rtol=1e-4, atol=1e-4)


def test_the_scale_of_a_loss_does_not_count():
    np.testing.assert_allclose(after([1e4 * GRADIENT], unit=1e4), after([GRADIENT]), atol=1e-4)
    np.testing.assert_allclose(after([1e-3 * GRADIENT]), after([GRADIENT]), atol=1e-3)


def test_without_a_gradient_nothing_moves():
    np.testing.assert_array_equal(after([0 * GRADIENT]), np.zeros(4))


def test_a_step_that_overflows_is_left_out():
    with_gap = after([GRADIENT, [np.inf, 0, 0, 0]])
    expected = 0.9 * np.array(after([GRADIENT]))
    np.testing.assert_allclose(with_gap, expected, atol=1e-3)


def test_what_is_not_a_number_stays_none():
    assert np.isnan(after([GRADIENT], optimizer=(np.nan, 0, 0, 0))).tolist() == [True, False, False, False]


def test_masks_that_are_not_trained_stay():
    assert (after([GRADIENT], trainable=False) != 0).tolist() == [True, True, False, False]


@pytest.mark.parametrize("how", [{}, {"run_eagerly": True}, {"jit_compile": True}], ids=["graph", "eager", "xla"])
def test_the_gradient_is_that_of_the_whole_loss(how):
    x, y = samples()
    search = keras_pit.convert(network(), target=1_000)
    search.compile("sgd", LOSS, **{"jit_compile": False, **how})
    with tf.GradientTape() as tape:
        loss = search.compute_loss(x[:32], y[:32], search(x[:32], training=True))
    expected = np.concatenate(tape.gradient(loss, keras_pit.mask_variables(search)))
    search.train_on_batch(x[:32], y[:32])
    scale = float(search.controller.descent.variables[1])
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(search.controller.descent.variables[0], 0.1 * expected, rtol=1e-3, atol=1e-6)
    assert scale == pytest.approx(float((expected**2).mean()), rel=1e-3)


def test_a_strength_leaves_masks_to_the_optimizer():
    assert keras_pit.convert(network(), strength=2.0).controller.descent is None


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    model = network()
    model = keras.models.clone_model(
        model, clone_function=lambda layer: type(layer).from_config({**layer.get_config(), "dtype": policy})
    )
    search = keras_pit.convert(model, target=800)
    search.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)), LOSS, jit_compile=False)
    search.fit(*samples(), 32, 6, verbose=0)
    scale = float(search.controller.descent.variables[1])
    assert 0 < scale < 10
    assert keras_pit.cost(keras_pit.export(search)) <= 800
