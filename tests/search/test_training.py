"""A search trains as any Keras model does: stock `fit`, eager or compiled, in half precision, or in a loop by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_pit
from keras_pit.search.arguments import MOST_STRENGTH, MOST_WEIGHT


def small() -> keras.Model:
    x = inputs = keras.Input((16, 3))
    for index in range(2):
        x = layers.Conv1D(6, 5, padding="causal", name=f"conv{index}")(x)
        x = layers.BatchNormalization(name=f"norm{index}")(x)
        x = layers.ReLU(name=f"relu{index}")(x)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(3, name="out")(x), name="small")


@pytest.fixture
def batch() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(32, 16, 3)).astype("float32"), rng.integers(3, size=32)


LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.mark.parametrize(
    "how",
    [
        {"run_eagerly": True},
        {"jit_compile": False},
        {"jit_compile": True},
        {"jit_compile": False, "steps_per_execution": 2},
    ],
    ids=["eager", "graph", "xla", "steps"],
)
@pytest.mark.parametrize("regularizer", ["size", "macs"])
def test_logged_cost_is_that_of_the_export(how, regularizer, batch):
    search = keras_pit.convert(small(), regularizer, strength=5.0)
    search.compile(keras.optimizers.Adam(0.02), LOSS, metrics=["accuracy"], **how)
    history = search.fit(*batch, batch_size=8, epochs=3, verbose=0, validation_data=batch).history
    assert history[regularizer][-1] < keras_pit.cost(small(), regularizer)
    assert history[regularizer][-1] == keras_pit.cost(search, regularizer)
    assert history[regularizer][-1] == keras_pit.cost(keras_pit.export(search), regularizer)
    # `evaluate` returns what the user asked for, nothing more.
    assert len(search.evaluate(*batch, verbose=0)) == 2


def test_log_reaches_callbacks(tmp_path, batch):
    search = keras_pit.convert(small(), "macs", strength=5.0)
    search.compile(keras.optimizers.Adam(0.02), LOSS)
    callbacks = [
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="macs", mode="min", save_best_only=True),
    ]
    history = search.fit(*batch, epochs=3, verbose=0, callbacks=callbacks).history
    header, *rows = (tmp_path / "log.csv").read_text().splitlines()
    assert [float(row.split(",")[header.split(",").index("macs")]) for row in rows] == history["macs"]
    best = keras.models.load_model(tmp_path / "best.keras")
    assert keras_pit.cost(best, "macs") == min(history["macs"])


def test_step_is_traced_once(batch, monkeypatch):
    search = keras_pit.convert(small())
    search.compile("adam", LOSS, jit_compile=False)
    steps, step = [], search.train_step
    monkeypatch.setattr(search, "train_step", lambda data: steps.append(data) or step(data))
    search.fit(*batch, batch_size=8, epochs=2, verbose=0)
    assert len(steps) == 1


def test_layers_alone_read_the_same_masks(batch):
    search = keras_pit.convert(small())
    for variable in keras_pit.mask_variables(search):
        variable.assign(np.random.default_rng(1).uniform(size=variable.shape))
    x = batch[0]
    for layer in search.layers[1:]:
        x = layer(x)
    np.testing.assert_array_equal(x, search(batch[0]))


def test_loss_is_task_plus_relative_cost(batch):
    search = keras_pit.convert(small(), "size", strength=0.5)
    for variable in keras_pit.mask_variables(search):
        variable.assign(np.random.default_rng(1).uniform(size=variable.shape))
    search(batch[0], training=True)
    share = keras_pit.cost(search) / keras_pit.cost(small())
    assert float(sum(search.losses)) == pytest.approx(0.5 * share, rel=1e-6)


def test_cost_counts_inside_another_model(batch):
    search = keras_pit.convert(small(), strength=0.5)

    class Outer(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = search

        def call(self, x, training=False):
            return 2.0 * self.inner(x, training=training)

    outer, inputs = Outer(), keras.Input((16, 3))
    for model in (outer, keras.Model(inputs, layers.ReLU()(search(inputs)))):
        model(batch[0], training=True)
        assert [float(loss) for loss in model.losses] == pytest.approx([0.5], rel=1e-6)
        model(batch[0])
        assert model.losses == []


def test_shared_layer_pays_once():
    first, second = keras.Input((16, 3)), keras.Input((16, 3))
    shared = layers.Conv1D(4, 3, name="shared")
    x = layers.Concatenate()([shared(first), shared(second)])
    model = keras.Model([first, second], layers.Dense(2, name="out")(layers.Flatten()(x)))
    for metric in ("size", "macs"):
        search = keras_pit.convert(model, metric, strength=1.0)
        search([np.zeros((1, 16, 3)), np.zeros((1, 16, 3))], training=True)
        assert float(sum(search.losses)) == pytest.approx(1.0, rel=1e-6)
    assert keras_pit.cost(model) == model.count_params()
    assert keras_pit.cost(model, "macs") == 2 * (14 * 3 * 3 * 4) + 112 * 2


@pytest.fixture
def policy():
    """Sets the policy of all layers from then on, until the test ends."""
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("name", ["mixed_float16", "mixed_bfloat16", "float64"])
@pytest.mark.parametrize("arguments", [{"strength": 5.0}, {"target": {"latency": 0.5, "flash": 2400}}])
def test_a_search_under_another_precision(policy, batch, name, arguments):
    policy(name)
    seed = small()
    search = keras_pit.convert(seed, **arguments)
    search.compile(keras.optimizers.Adam(0.02), LOSS)
    search.fit(*batch, batch_size=4, epochs=10, verbose=0)
    slim = keras_pit.export(search)
    for cost in search.origin.costs:
        assert keras_pit.cost(slim, cost) == keras_pit.cost(search, cost) < keras_pit.cost(seed, cost)
    for cost, bound in arguments.get("target", {}).items():
        assert keras_pit.cost(slim, cost) <= bound
    outputs = [keras.ops.cast(model(batch[0]), "float32") for model in (slim, search)]
    np.testing.assert_allclose(*outputs, atol=2e-2)


def test_floats_of_another_precision_are_refused():
    keras.config.set_floatx("float64")
    try:
        with pytest.raises(ValueError, match=r"floatx\(\) is 'float64'.*set_dtype_policy"):
            keras_pit.convert(small())
    finally:
        keras.config.set_floatx("float32")


def test_half_precision_keeps_masks_and_costs_in_float32(policy, batch):
    policy("mixed_float16")
    seed = small()
    policy("float32")
    search = keras_pit.convert(seed, "macs", strength=5.0)
    assert {variable.dtype for variable in keras_pit.mask_variables(search)} == {"float32"}
    assert search.layers[1].compute_dtype == "float16"
    search(batch[0], training=True)
    assert {loss.dtype for loss in search.losses} == {tf.float32}
    search.compile(keras.optimizers.Adam(0.02), LOSS)
    history = search.fit(*batch, batch_size=4, epochs=3, verbose=0).history
    assert history["macs"][-1] == keras_pit.cost(search, "macs") < keras_pit.cost(seed, "macs")
    slim = keras_pit.export(search)
    assert slim.layers[1].compute_dtype == "float16"
    np.testing.assert_allclose(slim(batch[0]), search(batch[0]), atol=2e-3)


def test_loop_by_hand_with_two_optimizers(batch):
    x, y = batch
    search = keras_pit.convert(small(), "macs")
    masks, net = keras_pit.mask_variables(search), keras_pit.net_variables(search)
    assert {id(v) for v in masks} | {id(v) for v in net} == {id(v) for v in search.trainable_variables}
    assert not {id(v) for v in masks} & {id(v) for v in net}
    fast, slow = keras.optimizers.Adam(0.01), keras.optimizers.SGD(0.1)
    fast.build(masks)
    slow.build(net)
    before = keras_pit.cost(search, "macs")
    assert float(keras_pit.get_regularization_loss(search)) == before

    @tf.function
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = LOSS(y, search(x, training=True)) + 1e-3 * keras_pit.get_regularization_loss(search)
        gradients = tape.gradient(loss, [*masks, *net])
        fast.apply_gradients(zip(gradients[: len(masks)], masks, strict=True))
        slow.apply_gradients(zip(gradients[len(masks) :], net, strict=True))
        return loss

    losses = [float(step()) for _ in range(30)]
    assert np.isfinite(losses).all()
    assert keras_pit.cost(search, "macs") < before
    for variable in masks:
        assert variable.numpy().min() >= 0 and variable.numpy().max() <= 1


def test_pruned_channel_comes_back_when_the_task_needs_it():
    """Y = |x0| + |x1| needs several hidden channels; strong pressure leaves one, without pressure they return."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(512, 2)).astype("float32")
    y = np.abs(x).sum(axis=1, keepdims=True)
    inputs = keras.Input((2,))
    hidden = layers.Dense(8, activation="relu", name="hidden")(inputs)
    model = keras.Model(inputs, layers.Dense(1, name="out")(hidden))
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(x, y, epochs=40, verbose=0)
    search = keras_pit.convert(model, "size", strength=50.0)
    search.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mse"])
    search.fit(x, y, epochs=10, verbose=0)
    hidden = search.get_layer("hidden")
    pruned = ~hidden.kept_channels()
    assert pruned.sum() == 7
    poor = search.evaluate(x, y, verbose=0)[1]
    search.strength = 0.0
    search.fit(x, y, epochs=40, verbose=0)
    returned = pruned & hidden.kept_channels()
    assert returned.sum() >= 2
    assert search.evaluate(x, y, verbose=0)[1] < poor / 4


def test_masks_move_with_sgd_and_adam(batch):
    for optimizer in (
        keras.optimizers.Adam(1e-3),
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.optimizers.RMSprop(1e-3),
    ):
        search = keras_pit.convert(small(), "macs", strength=3.0)
        search.compile(optimizer, LOSS)
        history = search.fit(*batch, batch_size=4, epochs=30, verbose=0).history
        assert history["macs"][-1] < 0.7 * keras_pit.cost(small(), "macs"), optimizer.name


def test_strength_is_checked_and_takes_effect(batch):
    search = keras_pit.convert(small(), "macs", strength=2.0)
    assert search.strength == 2.0
    search.strength = 0.25
    search(batch[0], training=True)
    assert float(sum(search.losses)) == pytest.approx(0.25, rel=1e-6)


@pytest.mark.parametrize("target", [None, 300.0])
def test_evaluation_is_the_loss_of_the_task_in_all_modes(target, batch):
    seed = small()
    seed.compile("adam", LOSS)
    search = keras_pit.convert(seed, target=target)
    search.compile(keras.optimizers.SGD(0.0), LOSS)
    assert search.evaluate(*batch, verbose=0) == pytest.approx(seed.evaluate(*batch, verbose=0), rel=1e-5)
    history = search.fit(*batch, validation_data=batch, epochs=1, verbose=0).history
    assert history["val_loss"][0] == pytest.approx(search.evaluate(*batch, verbose=0), rel=1e-6)
    search(batch[0], training=True)
    assert len(search.losses) == 1
    search(batch[0])
    assert search.losses == []


def test_the_largest_strength_that_is_taken_trains(batch):
    search = keras_pit.convert(small(), {"size": MOST_WEIGHT, "macs": MOST_WEIGHT}, strength=MOST_STRENGTH)
    search.compile(keras.optimizers.Adam(0.01, global_clipnorm=1.0), LOSS)
    search.fit(*batch, epochs=3, verbose=0)
    assert all(np.isfinite(variable.numpy()).all() for variable in [*search.variables, *search.optimizer.variables])


def test_all_masks_start_open():
    search = keras_pit.convert(small())
    variables = keras_pit.mask_variables(search)
    assert [variable.name for variable in variables] == ["alpha", "beta", "gamma"] * 2
    assert all((variable.numpy() > 0.5).all() for variable in variables)
    assert keras_pit.cost(search) == keras_pit.cost(small())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_mask_that_is_not_finite_is_reported(value):
    search = keras_pit.convert(small())
    search.get_layer("conv1").alpha.assign([0.6, 0.6, value, 0.6, 0.6, 0.6])
    for read in (keras_pit.export, keras_pit.summary, lambda model: keras_pit.cost(model)):
        with pytest.raises(
            ValueError, match=r"Layer 'conv1': mask variable alpha is not finite at \[2\].*learning rate"
        ):
            read(search)


def test_layers_placed_by_hand_are_the_ones_searched():
    inputs = keras.Input((16, 3))
    x = keras_pit.layers.PITConv1D(6, 5, padding="same", name="mine")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.Conv1D(6, 3, activation="relu", name="stock")(x)
    x = keras_pit.layers.PITDense(5, activation="relu", name="dense")(layers.Flatten()(x))
    model = keras.Model(inputs, layers.Dense(2, name="out")(x))
    with pytest.raises(
        TypeError, match=r"do not know yet who reads their channels; pass it through keras_pit\.convert"
    ):
        keras_pit.get_regularization_loss(model)
    search = keras_pit.convert(model)
    names = [variable.path for variable in keras_pit.mask_variables(search)]
    assert names == ["mine/alpha", "mine/beta", "mine/gamma", "dense/alpha"]
    rows = {layer.name: layer for layer in keras_pit.summary(search).layers}
    assert "no search layer" in rows["stock"].frozen
    rng = np.random.default_rng(0)
    for variable in keras_pit.mask_variables(search):
        variable.assign(rng.uniform(size=variable.shape))
    data = rng.normal(size=(4, 16, 3)).astype("float32")
    slim = keras_pit.export(search)
    assert type(slim.get_layer("mine")) is layers.Conv1D
    np.testing.assert_allclose(slim(data), search(data), atol=1e-5)


@pytest.mark.parametrize("metric", ["size", "flash"])
def test_masks_that_are_not_finite_end_the_search(metric, batch):
    search = keras_pit.convert(small(), metric)
    search.compile("adam", LOSS, jit_compile=False)
    layer = search.search_layers[0]
    layer.alpha.assign(np.full(layer.alpha.shape, np.nan))
    with pytest.raises(ValueError, match=rf"Layer '{layer.name}': mask variable alpha is not finite"):
        search.fit(*batch, epochs=2, verbose=0)
