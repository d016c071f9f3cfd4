"""A search is traced once, whatever it is compiled with: that takes seconds, and TensorFlow keeps what it traced."""

import tempfile

import keras
import pytest
import tensorflow as tf
from small import LOSS, network, samples

import keras_pit


@pytest.mark.parametrize("arguments", [{"strength": 2.0}, {"target": {"size": 500}}], ids=lambda one: next(iter(one)))
@pytest.mark.parametrize("metrics", [None, ["accuracy"]], ids=["no_metrics", "metrics"])
def test_a_search_is_traced_once(arguments, metrics):
    search, traces = keras_pit.convert(network(), **arguments), []
    step = search.controller.step
    search.controller.step = lambda: traces.append(1) or step()
    search.compile("adam", LOSS, metrics=metrics, jit_compile=False)
    search.fit(*samples(), epochs=2, verbose=0)
    search.fit(*samples(), epochs=1, verbose=0)
    assert len(traces) == 1


def test_the_optimizer_is_there_before_callbacks_restore_its_state():
    search, built = keras_pit.convert(network(), strength=2.0), []
    search.compile("adam", LOSS, jit_compile=False)
    begin = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: built.append(search.optimizer.built))
    search.fit(*samples(), epochs=1, verbose=0, callbacks=[begin])
    assert built == [True]


def test_a_loop_in_a_function_of_tensorflow_rewrites_nothing_of_the_package(tmp_path, monkeypatch):
    """AutoGraph writes a file for each function that it rewrites; those of a search take seconds."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    search, (x, y) = keras_pit.convert(network(), search=("channels", "branches"), target={"size": 500}), samples()
    optimizer = keras.optimizers.Adam()
    optimizer.build(search.trainable_variables)
    task = keras.losses.get(LOSS)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            outputs = search(x, training=True)
            loss = search.compute_loss(y=y, y_pred=outputs) + keras_pit.get_regularization_loss(search)
            loss += keras_pit.soft_cost(search, "size")
        optimizer.apply(tape.gradient(loss, search.trainable_variables), search.trainable_variables)
        search.controller.trials.hear(tf.reduce_mean(task(y, outputs)))
        search.controller.step()

    search.compile(loss=LOSS)
    step(x, y)
    rewritten = [file.read_text() for file in tmp_path.glob("*.py")]
    assert len(rewritten) == 1
    assert "tf__step" in rewritten[0]
