"""A search is traced once, whatever it is compiled with: that takes seconds, and TensorFlow keeps what it traced."""

import keras
import pytest
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
