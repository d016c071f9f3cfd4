"""Callbacks: schedules, the end of a search, what is saved and what is drawn."""

import keras
import numpy as np
import pytest
from small import LOSS, network, samples

import keras_pit
from keras_pit import callbacks


def compiled(**arguments) -> keras_pit.SearchModel:
    search = keras_pit.convert(network(8), **arguments)
    search.compile(keras.optimizers.Adam(0.02), LOSS, jit_compile=False)
    return search


def fit(search: keras.Model, epochs: int, *given, **options) -> dict[str, list[float]]:
    return search.fit(*samples(), batch_size=64, epochs=epochs, verbose=0, callbacks=list(given), **options).history


def masks(search: keras.Model) -> np.ndarray:
    return np.concatenate([mask.numpy() for mask in keras_pit.mask_variables(search)])


def test_strength_follows_its_schedule():
    search, seen = compiled(), []
    record = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(search.strength))
    fit(search, 4, callbacks.StrengthSchedule(lambda epoch: 0.5 * min(epoch, 2)), record)
    assert seen == [0.0, 0.5, 1.0, 1.0]


def test_masks_are_held_while_weights_warm_up():
    search, seen = compiled(strength=5.0), []
    start, kernel = masks(search), search.get_layer("conv0").kernel.numpy()
    record = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(masks(search)))
    fit(search, 3, callbacks.WarmUp(2), record)
    assert (seen[0] == start).all() and (seen[1] == start).all()
    assert (seen[2] != start).any()
    assert (search.get_layer("conv0").kernel.numpy() != kernel).any()


def test_the_budget_waits_for_the_warm_up_and_the_target_is_met():
    bound = 0.3 * keras_pit.cost(network(8))
    search, seen = compiled(target=bound), []
    record = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda e, logs: seen.append(float(search.controller.bounds.tightness))
    )
    fit(search, 10, callbacks.WarmUp(2), record)
    assert seen[:2] == [0.0, 0.0]
    assert 0 < seen[2] < 0.5 and seen[-1] == 1.0
    assert 0.85 * bound <= keras_pit.cost(keras_pit.export(search)) <= bound


def test_search_ends_when_the_architecture_has_settled():
    search = compiled(strength=0.0)
    search.compile(keras.optimizers.SGD(1e-6), LOSS)
    assert len(fit(search, 8, callbacks.StopWhenSettled(3))["loss"]) == 8  # it has not begun yet
    search.search_layers[0].alpha.assign(0.1 * np.arange(8) / 8 + 0.45)
    # Some until the running mean has followed, three without a change, then two on the architecture that is fixed.
    fixed = []
    record = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: fixed.append(search.controller.fixed))
    fit(search, 20, record, callbacks.StopWhenSettled(3, weights=2))
    assert 4 <= len(fixed) - 2 <= 10
    assert fixed == [False] * (len(fixed) - 2) + [True] * 2
    assert keras_pit.export(search).get_layer("conv0").filters == 3
    falling = compiled(target=0.2 * keras_pit.cost(network(8)))
    stopped = fit(falling, 40, callbacks.StopWhenSettled(2))["size"]
    assert 20 <= len(stopped) <= 40
    assert len(set(stopped[-2:])) == 1
    assert not falling.unmet()


def test_an_architecture_that_fit_has_fixed_is_trained_to_the_end():
    search = compiled(strength=0.0)
    search.search_layers[0].alpha.assign(0.1 * np.arange(8) / 8 + 0.45)
    assert len(fit(search, 10, callbacks.StopWhenSettled(9))["loss"]) == 10


def test_best_model_is_one_within_the_target(tmp_path):
    bound = 0.4 * keras_pit.cost(network(8))
    search = compiled(target=bound)
    path = tmp_path / "best.keras"
    history = fit(search, 10, callbacks.BestWithinTarget(path), validation_data=samples())
    best = keras.models.load_model(path)
    assert keras_pit.cost(best) <= bound
    within = [loss for loss, size in zip(history["val_loss"], history["size"], strict=True) if size <= bound]
    best.compile("sgd", LOSS)
    assert best.evaluate(*samples(), verbose=0) == pytest.approx(min(within), rel=1e-3)
    with pytest.raises(ValueError, match=r"Model 'small' has no target: convert it with `target=`"):
        fit(compiled(), 1, callbacks.BestWithinTarget(path))


def test_architecture_over_time(tmp_path):
    search, log = compiled(target=0.3 * keras_pit.cost(network(8))), callbacks.ArchitectureLog()
    with pytest.raises(ValueError, match="Nothing has been logged yet"):
        log.plot(tmp_path / "search.png")
    sizes = fit(search, 6, log)["size"]
    assert [report.total("after", "size") for report in log.reports] == sizes
    layers = log.as_dict()
    assert list(layers) == ["conv0", "conv1"]
    slim = keras_pit.export(search).get_layer("conv0")
    found = {name: values[-1] for name, values in layers["conv0"].items()}
    span = (slim.kernel_size[0] - 1) * slim.dilation_rate[0] + 1
    assert found == {"channels": slim.filters, "span": span, "dilation": slim.dilation_rate[0]}
    assert log.plot(tmp_path / "search.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: callbacks.WarmUp(-1), "`epochs` must be a whole number of at least 0, received -1"),
        (lambda: callbacks.StopWhenSettled(1, -1), "`weights` must be a whole number of at least 0, received -1"),
        (lambda: callbacks.StopWhenSettled(0), "`patience` must be a whole number of at least 1, received 0"),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_plain_models_are_refused():
    model = network(8)
    model.compile("sgd", LOSS)
    for callback in (callbacks.ArchitectureLog(), callbacks.WarmUp(1), callbacks.StopWhenSettled()):
        with pytest.raises(TypeError, match="Expected a search model, received Functional"):
            fit(model, 1, callback)
