"""Costs of the streaming form while a network is searched: exact for what is exported, with a gradient (law 3)."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from generator import randomize
from keras import layers
from random_streams import random_residual, random_stream

import keras_pit

COSTS = ("streaming_ram", "streaming_latency")


def chain(x):
    for filters, size in ((12, 9), (8, 5), (8, 3)):
        x = layers.Conv1D(filters, size, padding="causal")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    return layers.Dense(3)(layers.GlobalAveragePooling1D()(x))


def residual(x):
    x = layers.Conv1D(8, 5, padding="causal", activation="relu")(x)
    y = layers.Conv1D(8, 9, padding="causal", activation="relu")(x)
    x = layers.Add()([x, y])
    x = layers.Conv1D(6, 7, strides=2, padding="causal", activation="relu")(x)
    return layers.Dense(3, activation="softmax")(layers.Flatten()(layers.MaxPooling1D(2)(x)))


def unpadded(x):
    x = layers.Conv1D(8, 5, activation="relu")(x)
    x = layers.DepthwiseConv1D(5, activation="relu")(x)
    return layers.Dense(3)(layers.GlobalAveragePooling1D()(layers.Conv1D(8, 3, activation="relu")(x)))


def side_by_side(x):
    """Buffers that are shared while kernels are equally long."""
    x = layers.Conv1D(8, 3, padding="causal", activation="relu")(x)
    ways = [layers.Conv1D(4, 5, padding="causal", activation="relu")(x) for _ in range(3)]
    x = layers.Conv1D(6, 3, padding="causal")(layers.Concatenate()(ways))
    return layers.Dense(3)(layers.GlobalAveragePooling1D()(x))


def ahead(x):
    """Kernels that look ahead, behind which zeros are seen."""
    for filters, size in ((12, 9), (8, 5), (8, 4)):
        x = layers.Conv1D(filters, size, padding="same")(x)
        x = layers.Activation("tanh")(layers.BatchNormalization()(x))
    return layers.Dense(3)(layers.GlobalAveragePooling1D()(x))


def ahead_residual(x):
    """One way waits for the other one, and both for a third."""
    x = first = layers.Conv1D(8, 5, padding="same", activation="relu")(x)
    y = layers.Conv1D(8, 9, padding="same", activation="relu")(x)
    y = layers.Conv1D(8, 3, padding="same")(y)
    x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.Concatenate()([x, layers.Conv1D(6, 7, padding="same", activation="relu")(x), first])
    return layers.Dense(3, activation="softmax")(layers.Flatten()(layers.Conv1D(5, 3, padding="causal")(x)))


def ahead_strided(x):
    """Behind strides, how far a layer looks ahead decides at which steps it runs."""
    x = layers.Conv1D(8, 9, padding="same", activation="relu")(x)
    x = layers.Conv1D(8, 7, strides=2, padding="same", activation="relu")(x)
    y = layers.DepthwiseConv1D(3, padding="same", activation="relu")(x)
    x = layers.Add()([layers.Conv1D(8, 5, padding="same")(x), y])
    x = layers.Conv1D(6, 3, strides=2, activation="relu")(layers.MaxPooling1D(2)(x))
    return layers.Dense(3)(layers.GlobalAveragePooling1D()(x))


def ahead_with_head(x):
    """Squeeze-and-excitation over the window of what has looked ahead."""
    x = layers.Conv1D(8, 5, padding="same", activation="relu")(x)
    y = layers.Conv1D(8, 5, padding="same", activation="relu")(x)
    scale = layers.Dense(8, activation="sigmoid")(layers.GlobalAveragePooling1D(keepdims=True)(y))
    x = layers.Add()([layers.Multiply()([y, scale]), x])
    return layers.Dense(3)(layers.GlobalAveragePooling1D()(x))


def ahead_sliced(x):
    """Every second step of what has looked ahead."""
    x = layers.Conv1D(8, 5, padding="same", activation="relu")(x)
    x = layers.Conv1D(6, 3, padding="same", activation="relu")(x[:, ::2])
    return layers.Dense(3)(layers.GlobalAveragePooling1D()(x[:, 4:]))


def norm_last(x):
    """Where a kernel sees no zeros, it takes over the normalization before it."""
    for filters, size in ((8, 5), (8, 5), (6, 3)):
        x = layers.Conv1D(filters, size, padding="causal", activation="relu")(layers.BatchNormalization()(x))
    return layers.Dense(3)(layers.GlobalAveragePooling1D()(x))


def grouped(x):
    """In groups, which become depthwise convolutions."""
    x = layers.Conv1D(8, 3, padding="causal", activation="relu")(x)
    x = layers.Conv1D(8, 5, padding="causal", groups=4, activation="relu")(x)
    x = layers.Conv1D(16, 3, padding="same", groups=8, activation="relu")(x)
    x = layers.Conv1D(4, 3, strides=2, groups=2, activation="relu")(x)
    return layers.Dense(3)(layers.GlobalAveragePooling1D()(x))


def blocks(x, padding="causal"):
    """Residual blocks in a row, one of them with a stride and a projection."""
    x = layers.Conv1D(6, 3, padding=padding, activation="relu")(x)
    for filters, strides in ((6, 1), (8, 2), (8, 1)):
        y = layers.Conv1D(4, 5, strides=strides, padding=padding, activation="relu")(x)
        y = layers.Conv1D(filters, 3, padding=padding)(y)
        short = x if strides == 1 else layers.Conv1D(filters, 1, strides=strides, padding=padding)(x)
        x = layers.ReLU()(layers.Add()([short, y]))
    return layers.Dense(3)(layers.GlobalAveragePooling1D()(x))


def blocks_ahead(x):
    """The longer a branch looks ahead, the longer its shortcut waits."""
    return blocks(x, "same")


def block_in_a_block(x):
    """And a window of all steps that the head and a kernel read."""
    x = layers.Conv1D(6, 3, padding="causal", activation="relu")(x)
    y = layers.Conv1D(4, 5, padding="same", activation="relu")(x)
    z = layers.Conv1D(4, 3, padding="causal", activation="relu")(layers.Conv1D(3, 3, padding="same")(y))
    y = layers.Conv1D(6, 3, padding="same")(layers.Add()([y, z]))
    x = layers.Add()([x, y])
    return layers.Dense(3)(layers.Concatenate()([layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)]))


def strides_within(x):
    """What runs at every second step goes with its branch."""
    x = layers.Conv1D(6, 3, padding="same", activation="relu")(x)
    y = layers.Conv1D(4, 3, strides=2, padding="same", activation="relu")(x)
    y = layers.Conv1D(6, 3, strides=2, padding="same")(y)
    x = layers.Add()([y, layers.Conv1D(6, 3, strides=4, padding="same")(x)])
    return layers.Dense(3)(layers.GlobalAveragePooling1D()(layers.Conv1D(6, 3, padding="same")(x)))


BRANCHED = [blocks, blocks_ahead, block_in_a_block, strides_within]
BUILDS = [
    chain, residual, unpadded, side_by_side, ahead, ahead_residual, ahead_strided, ahead_with_head, ahead_sliced,
    norm_last, grouped,
]  # fmt: skip


EVERYTHING = ("channels", "kernel", "dilation", "branches")


def searched(build, **arguments):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((48, 4))
    model = keras.Model(inputs, build(inputs))
    randomize(model, np.random.default_rng(0))  # a bias of zeros is left out of a file
    return keras_pit.convert(model, list(COSTS), **arguments)


def shuffle(search, rng):
    for variable in keras_pit.mask_variables(search):
        share = rng.uniform(0.2, 1)
        variable.assign(np.where(rng.random(variable.shape) < share, 0.6, 0.4))


def check(search, states, rng, costs, above=1.0):
    """What is searched, and told while it is, costs what is exported; or up to so many times as much."""
    for state in range(states):
        if state:
            shuffle(search, rng)
        slim = keras_pit.export(search)
        for name, soft in zip(costs, map(float, search.costs(costs, search.reader())), strict=True):
            exact = keras_pit.cost(slim, name)
            assert state or keras_pit.cost(search, name) == exact
            assert (1 - 1e-5) * exact <= soft <= (1 + 1e-5) * exact * above, (name, state)


def check_random(seed):
    """The costs of the window, too."""
    costs = [*COSTS, "ram", "latency"]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Nothing can be searched")  # in one of a few hundred
        search = keras_pit.convert(random_stream(seed), costs)
    check(search, 3, np.random.default_rng(seed), costs)


def check_random_branches(seed, states=3, above=1.15):
    """What the file folds where a branch has gone, and the order of operators, may cost less."""
    costs = [*COSTS, "ram", "latency"]
    search = keras_pit.convert(random_residual(seed), costs, search=EVERYTHING)
    check(search, states, np.random.default_rng(seed), costs, above)


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__)
def test_exact_for_what_is_exported(build):
    check(searched(build), 4, np.random.default_rng(0), COSTS)


@pytest.mark.parametrize("build", BRANCHED, ids=lambda build: build.__name__)
def test_exact_where_branches_may_go(build):
    search = searched(build, search=EVERYTHING)
    sums = [layer for layer in search.search_layers if layer.delta is not None]
    assert sums
    check(search, 4, np.random.default_rng(0), COSTS)
    for layer in sums:
        layer.delta.assign(np.full(layer.delta.shape, 0.4))
    check(search, 1, np.random.default_rng(0), COSTS)


@pytest.mark.parametrize(("number", "states"), [(10, 4), (20, 2), (38, 3)])
def test_random_networks_with_branches(number, states):
    """A shortcut that takes over a ReLU, one of several groups of channels, one whose scale is fixed."""
    check_random_branches(number, states, above=1.0)


def test_new_random_networks_with_branches(request):
    check_random_branches(request.config.option.fresh_seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200))
def test_200_random_networks_with_branches(seed):
    check_random_branches(seed)


def test_windows_in_a_branch_are_refused():
    """Behind squeeze-and-excitation all layers run on windows, and step by step when it has gone."""

    def excited(x):
        x = layers.Conv1D(6, 3, padding="causal", activation="relu")(x)
        y = layers.Conv1D(6, 3, padding="causal", activation="relu")(layers.Conv1D(6, 3, padding="causal")(x))
        scale = layers.Dense(6, activation="sigmoid")(layers.GlobalAveragePooling1D(keepdims=True)(y))
        x = layers.Add(name="sum")([x, layers.Multiply()([y, scale])])
        x = layers.Conv1D(6, 3, padding="causal", name="after")(x)
        return layers.Dense(3)(layers.GlobalAveragePooling1D()(x))

    with pytest.raises(ValueError, match=r"layer 'after' .* runs on whole windows while a branch before it is there"):
        keras_pit.soft_cost(searched(excited, search=EVERYTHING), "streaming_ram")


def test_padding_around_a_branch_is_refused():
    """Where the branch has gone, both lots of zeros are in front of one layer, which is one operator in either case."""

    def padded(x):
        x = layers.ZeroPadding1D((2, 0))(layers.Conv1D(4, 3, padding="causal")(x))
        x = layers.Add(name="sum")([x, layers.Conv1D(4, 1, activation="relu")(x)])
        x = layers.Conv1D(4, 3, name="after")(layers.ZeroPadding1D((1, 0))(x))
        return layers.Dense(3)(layers.GlobalAveragePooling1D()(x))

    with pytest.raises(ValueError, match=r"layer 'after' \(PAD\) reads padding in front of a branch or behind it"):
        keras_pit.soft_cost(searched(padded, search=("channels", "branches")), "streaming_latency")


@pytest.mark.parametrize("number", [4, 6, 35, 96, 111, 114, 128, 140, 221])
def test_random_networks(number):
    """Kernels in groups that become depthwise, behind strides, on whole windows, and that look back."""
    check_random(number)


@pytest.mark.parametrize("number", range(2))
def test_new_random_networks(number, request):
    """Others in each run."""
    check_random(request.config.option.fresh_seed + 7919 * number)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(400))
def test_400_random_networks(seed):
    check_random(seed)


@pytest.mark.parametrize("name", COSTS)
def test_gradient_by_channels_receptive_field_and_dilation(name):
    search = searched(chain)
    masks = keras_pit.mask_variables(search)
    with tf.GradientTape() as tape:
        cost = keras_pit.soft_cost(search, name)
    slopes = dict(zip((mask.path for mask in masks), tape.gradient(cost, masks), strict=True))
    for kind in ("alpha", "beta", "gamma"):
        found = [float(tf.reduce_max(slope)) for path, slope in slopes.items() if kind in path and slope is not None]
        assert max(found) > 0, kind


def test_one_fit_ends_at_the_bound():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((48, 4))
    model = keras.Model(inputs, chain(inputs))
    bound = 0.8 * keras_pit.cost(model, "streaming_latency")
    search = keras_pit.convert(model, target={"streaming_latency": bound})
    search.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    rng = np.random.default_rng(0)
    search.fit(rng.normal(size=(64, 48, 4)), rng.integers(3, size=64), epochs=20, batch_size=32, verbose=0)
    assert 0.85 * bound <= keras_pit.cost(keras_pit.export(search), "streaming_latency") <= bound
