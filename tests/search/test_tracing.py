"""A search is traced once, whatever it is compiled with: that takes seconds, and TensorFlow keeps what it traced."""

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
