"""Branches that are searched: what a shortcut goes round vanishes, with the addition."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from generator import randomize
from keras import layers, ops

import keras_pit

EVERYTHING = ("channels", "kernel", "dilation", "branches")
X = np.random.default_rng(0).normal(size=(8, 24, 6)).astype("float32")


def conv(x, width=6, **options):
    return layers.Conv1D(width, 3, padding="same", **options)(x)


def branch(x, name):
    """Two convolutions; the last one, a batch norm, adds a constant of its own."""
    y = layers.ReLU(name=f"{name}_relu")(conv(x, 8, name=f"{name}_in"))
    return layers.BatchNormalization(name=f"{name}_norm")(conv(y, name=f"{name}_out"))


def residual(x):
    return layers.Add(name="sum")([x, branch(x, "a")])


def network(make=residual):
    inputs = keras.Input((24, 6), name="signal")
    x = layers.GlobalAveragePooling1D(name="pool")(conv(make(conv(inputs, name="stem")), 5, name="last"))
    model = keras.Model(inputs, layers.Dense(3, name="out")(x), name="net")
    randomize(model, np.random.default_rng(0))
    return model


def searched(make=residual, off=(), **arguments):
    """A search model in which the additions of some names have no branches."""
    search = keras_pit.convert(network(make), **{"search": EVERYTHING, **arguments})
    for one in sums(search):
        one.delta.assign([0.4 if one.name in off or (one.name, p) in off else 0.6 for p in one.places])
    return search


def sums(search):
    return [layer for layer in search.search_layers if isinstance(layer, keras_pit.layers.PITAdd)]


def names(model):
    return {layer.name for layer in model._flatten_layers() if not isinstance(layer, layers.InputLayer)}


def test_the_exported_model_has_neither_the_branch_nor_the_addition():
    search = searched(off=["sum"])
    slim = keras_pit.export(search)
    assert names(slim) == names(network()) - {"sum", "a_in", "a_relu", "a_out", "a_norm"}
    np.testing.assert_allclose(slim(X), search(X), rtol=1e-5, atol=1e-6)


def test_what_is_off_adds_exactly_nothing():
    """Not even the constant that its batch norm adds, whatever the weights."""
    search = searched(off=["sum"])
    before = search(X).numpy()
    search.get_layer("a_norm").beta.assign(np.full(6, 1e3))
    assert np.array_equal(search(X), before)
    search.get_layer("sum").delta.assign([0.6])
    assert not np.allclose(search(X), before)


@pytest.mark.parametrize("metric", ["size", "macs", "flash", "ram", "latency"])
def test_what_is_off_costs_nothing(metric):
    search = searched(off=["sum"], regularizer=metric)
    slim = keras_pit.export(search)
    exact = keras_pit.cost(slim, metric)
    assert keras_pit.cost(search, metric) == exact < keras_pit.cost(network(), metric)
    assert exact * (1 - 1e-6) <= float(keras_pit.soft_cost(search, metric)) <= 1.03 * exact + 400
    for mask in [search.get_layer("a_in").alpha, search.get_layer("a_in").beta]:
        mask.assign(np.full(mask.shape, 0.4))
    assert keras_pit.cost(search, metric) == exact


def pooled_twice(x):
    """Poolings that are joined have one scale, and a sigmoid has its own: without the branch, there is a QUANTIZE."""
    x = residual(layers.Activation("sigmoid")(x))
    return layers.Concatenate()([layers.AveragePooling1D(2)(x), layers.MaxPooling1D(2)(x)])


def pooled_and_read(x):
    """So there is where the branch is one of two, and where the shortcut is joined with others anyway."""
    x = layers.Activation("tanh")(x)
    both = layers.Add(name="sum")([branch(x, "a"), x, branch(x, "b")])
    return layers.Concatenate()([layers.MaxPooling1D(2)(both), conv(layers.AveragePooling1D(2)(x), 4)])


def joined_as_a_whole(x):
    """A block within a block."""
    x = layers.Activation("tanh")(x)
    y = layers.Activation("sigmoid")(conv(x))
    x = layers.Add(name="sum")([x, layers.Add(name="inner")([y, branch(y, "a")])])
    return layers.Concatenate()([x, conv(x, 2)])


@pytest.mark.parametrize("make", [pooled_twice, pooled_and_read, joined_as_a_whole], ids=lambda make: make.__name__)
def test_what_is_brought_to_another_scale_when_a_branch_is_off(make):
    costs = ["ram", "latency"]
    search = searched(make, regularizer=costs)
    masks = [one.delta for one in sums(search)]
    for state in itertools.product((0.6, 0.4), repeat=sum(mask.shape[0] for mask in masks)):
        values = iter(state)
        for mask in masks:
            mask.assign([next(values) for _ in range(mask.shape[0])])
        slim = keras_pit.export(search)
        for name in costs:
            exact = keras_pit.cost(slim, name)
            assert exact * (1 - 1e-6) <= float(keras_pit.soft_cost(search, name)) <= exact * 1.01, (state, name)


@pytest.mark.parametrize("off", [(), ("sum",)])
def test_a_mask_feels_what_its_branch_costs(off):
    search = searched(off=off)
    with tf.GradientTape() as tape:
        size = keras_pit.soft_cost(search, "size")
    inner, mask = tape.gradient(size, [search.get_layer("a_in").alpha, search.get_layer("sum").delta])
    assert mask.numpy() == pytest.approx([3 * 6 * 8 + 8 + 3 * 8 * 6 + 6])
    assert np.all(inner.numpy() == 0) if off else np.all(inner.numpy() > 0)


@pytest.mark.parametrize("metric", ["size", "macs", "flash", "latency"])
@pytest.mark.parametrize("state", [0.6, 0.4])
def test_the_slope_is_what_switching_brings(metric, state):
    search = searched(regularizer=metric)
    mask, costs = search.get_layer("sum").delta, {}
    for value in (0.6, 0.4):
        mask.assign([value])
        with tf.GradientTape() as tape:
            costs[value] = keras_pit.soft_cost(search, metric)
        if value == state:
            slope = float(tape.gradient(costs[value], mask)[0])
    assert slope == pytest.approx(float(costs[0.6] - costs[0.4]), rel=0.02)


def test_a_branch_that_is_off_can_come_back():
    search = searched(off=["sum"])
    with tf.GradientTape() as tape:
        loss = ops.sum(search(X, training=True)[:, 0])
    assert abs(float(tape.gradient(loss, search.get_layer("sum").delta)[0])) > 1e-3


def three(x):
    return layers.Add(name="sum")([branch(x, "a"), x, branch(x, "b")])


def projected(x):
    return layers.ReLU(name="relu")(layers.Add(name="sum")([conv(x, name="short"), branch(x, "a")]))


def within(x):
    y = conv(x, name="before")
    y = layers.Add(name="inner")([y, branch(y, "a")])
    return layers.Add(name="outer")([conv(y, name="behind"), x])


def in_a_model(x):
    inputs = keras.Input(x.shape[1:])
    block = keras.Model(inputs, residual(inputs), name="block")
    return block(block(x))


def around_a_model(x):
    inputs = keras.Input(x.shape[1:])
    return layers.Add(name="sum")([x, keras.Model(inputs, branch(inputs, "a"), name="block")(x)])


def by_an_operator(x):
    y = branch(x, "a")
    return ops.add(x, y)


def in_a_row(x):
    for name in "abc":
        x = layers.Add(name=f"sum_{name}")([x, branch(x, name)])
    return x


A, B = ({f"{name}_{part}" for part in ("in", "relu", "out", "norm")} for name in "ab")
CASES = {
    "one of two branches": (three, [("sum", 2)], B),
    "two branches": (three, ["sum"], {"sum", *A, *B}),
    "round a projection": (projected, ["sum"], {"sum", *A}),
    "a branch in a branch": (within, ["inner"], {"inner", *A}),
    "a branch with one inside": (within, ["outer"], {"outer", "inner", "before", "behind", *A}),
    "in a model called twice": (in_a_model, ["sum"], {"sum", *A}),
    "a model": (around_a_model, ["sum"], {"sum", "block", *A}),
    "blocks in a row": (in_a_row, ["sum_a", "sum_b"], {"sum_a", "sum_b", *A, *B}),
}


@pytest.mark.parametrize("name", CASES)
def test_what_vanishes(name):
    make, off, gone = CASES[name]
    search = searched(make, off)
    slim = keras_pit.export(search)
    assert names(network(make)) - names(slim) == gone
    np.testing.assert_allclose(slim(X), search(X), rtol=1e-5, atol=1e-6)
    for metric in ("size", "macs"):
        exact = keras_pit.cost(slim, metric)
        assert keras_pit.cost(search, metric) == exact == pytest.approx(float(keras_pit.soft_cost(search, metric)))


def test_operators_add_branches_too():
    search = searched(by_an_operator)
    (one,) = sums(search)
    np.testing.assert_allclose(search(X), network(by_an_operator)(X), rtol=1e-5, atol=1e-6)
    one.delta.assign([0.4])
    slim = keras_pit.export(search)
    np.testing.assert_allclose(slim(X), search(X), rtol=1e-5, atol=1e-6)
    assert A.isdisjoint(names(slim))


def shared(x):
    layer = layers.Conv1D(6, 3, padding="same", name="shared")
    return layers.Add(name="sum")([x, layer(conv(layer(x), name="a"))])


def test_a_layer_that_is_shared_within_a_branch_vanishes():
    slim = keras_pit.export(searched(shared, ["sum"]))
    assert not {"shared", "a", "sum"} & names(slim)


def shared_with_the_rest(x):
    layer = layers.Conv1D(6, 3, padding="same", name="shared")
    return layers.Add(name="sum")([(y := layer(x)), layer(y)])


def added_twice(x):
    add = layers.Add(name="sum")
    return add([x, conv(add([x, conv(x)]))])


def of_two_inputs(x):
    return layers.Add(name="sum")([conv(x), conv(x)])


def broadcast(x):
    return layers.Add(name="sum")([layers.GlobalAveragePooling1D(keepdims=True)(x), conv(x)])


REASONS = {
    "shared": (shared_with_the_rest, {}, "shares layer 'shared' with what stays"),
    "added twice": (added_twice, {}, "is called several times"),
    "no shortcut": (of_two_inputs, {}, "has no operand that is a shortcut"),
    "a shortcut of one step": (broadcast, {}, "has no operand that is a shortcut"),
    "the addition excluded": (residual, {"exclude": "sum"}, "is excluded"),
    "a layer excluded": (residual, {"exclude": "a_in"}, "adds what layer 'a_in' makes, which is excluded"),
}


@pytest.mark.parametrize("name", REASONS)
def test_what_keeps_a_branch_is_told(name):
    make, arguments, reason = REASONS[name]
    search = searched(make, **arguments)
    assert sums(search) == []
    (found,) = keras_pit.summary(search).branches
    assert (found.sum, found.layers, found.on) == ("sum", (), True)
    assert reason in found.kept


def test_a_layer_that_is_not_trained_keeps_its_branch():
    model = network()
    model.get_layer("a_out").trainable = False
    (found,) = keras_pit.summary(keras_pit.convert(model, search=EVERYTHING)).branches
    assert found.kept == "adds what layer 'a_out' makes, which belongs to a layer with trainable=False"


def test_branches_stay_unless_they_are_searched():
    search = keras_pit.convert(network())
    assert keras_pit.summary(search).branches == ()
    assert sums(search) == []


def test_the_summary_tells_which_branches_are_on():
    report = keras_pit.summary(searched(three, off=[("sum", 2)]))
    assert [(each.layers, each.on) for each in report.branches] == [
        (("a_in", "a_relu", "a_out", "a_norm"), True),
        (("b_in", "b_relu", "b_out", "b_norm"), False),
    ]
    assert "branch: b_in" in str(report)
    after = {each.name: each.after for each in report.layers}
    assert (after["b_in"].channels, after["b_in"].kernel, after["b_in"].size, after["b_out"].macs) == (0, (0,), 0, 0)
    assert report.architecture()["b_in"] == {"channels": 0, "span": 0, "dilation": 1}
    assert report.total("after", "size") == keras_pit.cost(keras_pit.export(searched(three, [("sum", 2)])), "size")
    assert report.as_dict()["branches"][1]["on"] is False


def test_channels_that_must_stay_do_not_keep_a_branch():
    """Added to the input, all channels of the sum stay; the branch goes all the same."""
    inputs = keras.Input((24, 6))
    model = keras.Model(inputs, layers.Flatten()(layers.Dense(2)(residual(inputs))))
    search = keras_pit.convert(model, search=EVERYTHING)
    search.get_layer("sum").delta.assign([0.4])
    slim = keras_pit.export(search)
    assert names(slim).isdisjoint(A)
    np.testing.assert_allclose(slim(X), search(X), rtol=1e-5, atol=1e-6)


def test_a_sum_may_be_the_output():
    inputs = keras.Input((24, 6))
    stem = conv(inputs)
    model = keras.Model(inputs, layers.Add(name="sum")([stem, branch(stem, "a")]))
    for metric in ("ram", "flash", "latency"):
        search = keras_pit.convert(model, metric, search=EVERYTHING)
        for state in (0.6, 0.4):
            search.get_layer("sum").delta.assign([state])
            slim = keras_pit.export(search)
            np.testing.assert_allclose(slim(X), search(X), rtol=1e-5, atol=1e-6)
            assert float(keras_pit.soft_cost(search, metric)) >= keras_pit.cost(slim, metric) * (1 - 1e-6)


def test_a_target_takes_depth_that_is_not_needed():
    """A line is drawn by the shortcut alone; the bound leaves no room for both branches."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 24, 6)).astype("float32")
    y = x.mean(axis=1) @ rng.normal(size=(6, 3)).astype("float32")
    keras.utils.set_random_seed(0)
    model = network(in_a_row)
    model.compile(keras.optimizers.Adam(0.003), "mse")
    model.fit(x, y, 32, 20, verbose=0)
    search = keras_pit.convert(model, search=("branches",), target={"size": 600})
    search.compile(keras.optimizers.Adam(0.003), "mse")
    search.fit(x, y, 32, 30, verbose=0)
    assert keras_pit.cost(search, "size") <= 600
    assert sum(each.on for each in keras_pit.summary(search).branches) == 1
    assert search.evaluate(x, y, verbose=0) < 0.3 * float(np.var(y))
