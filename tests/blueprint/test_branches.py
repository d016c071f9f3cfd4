"""Networks that branch: what is known before a file is made is what the file has, operators, order and arena."""

from math import prod

import keras
import numpy as np
import pytest
import tensorflow as tf
from branching import branching
from generator import random_masks
from keras import layers

import keras_pit
from keras_pit import boards
from keras_pit.blueprint import Blueprint
from keras_pit.costs import steps
from keras_pit.costs.arena import arena
from keras_pit.costs.schedule import arranged
from keras_pit.deployment.flatbuffer import read_program
from keras_pit.lowering import lower

CORES = ("cortex-m4", "cortex-m55", "cortex-m0+")
COUNT, SLOW = 3, 500
FLOATS = (108, 185)
"""Seeds of networks in which the converter leaves floats behind."""


def pytest_generate_tests(metafunc):
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(SLOW if metafunc.config.option.runslow else COUNT))


def converted(model):
    """The program of the file."""
    x = np.random.default_rng(1).normal(size=(4, *model.input_shape[1:])).astype("float32")
    return read_program(keras_pit.to_tflite(model, x, verify=False))


def names(program):
    return [op.name for op in program.operators]


def test_the_arena_is_known_before_there_is_a_file(seed):
    keras.utils.set_random_seed(seed)
    model = branching(seed)
    if seed in FLOATS:
        with pytest.raises(keras_pit.DeploymentError, match="float"):
            converted(model)
        return
    before, file = Blueprint.of(model).program(), converted(model)
    assert names(before) == names(file)
    assert [arena(before, core) for core in CORES] == [arena(file, core) for core in CORES]
    assert arranged(file) == arranged(before) or arena(arranged(file)).head == arena(file).head


def test_a_search_is_never_below_what_it_exports(seed):
    """Where all orders are compared, it is the same."""
    keras.utils.set_random_seed(seed)
    search, rng = keras_pit.convert(branching(seed, 2)), np.random.default_rng(seed)
    for density in (None, 0.5):
        random_masks(search, rng, density)
        soft = search.blueprint.program(search.reader())
        exact = Blueprint.of(keras_pit.export(search)).program()
        stretches = soft.stretches
        is_small = all(one.is_whole for one in stretches) and prod(len(one.orders) for one in stretches) <= steps.ALL
        for core in CORES:
            known, file = float(arena(soft, core).total), arena(exact, core).total
            assert known == pytest.approx(file, rel=1e-6) if is_small else known >= file * (1 - 1e-6)


def shortcut():
    """A wide shortcut beside a convolution that needs scratch memory."""
    inputs = keras.Input((100, 4))
    y = layers.Conv1D(16, 5, padding="same", activation="swish")(inputs)
    x = layers.Add()([layers.Conv1D(16, 1)(inputs), y])
    return keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling1D()(x)))


def test_a_target_holds_for_the_file():
    model = shortcut()
    ram, bound = keras_pit.cost(model, "ram"), 5000
    assert ram == arena(converted(model)).needed
    search = keras_pit.convert(model, target={"ram": bound})
    search.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(64, 100, 4)).astype("float32")
    search.fit(x, np.zeros((64, 5)), 8, epochs=3, verbose=0)
    slim = keras_pit.export(search)
    found = keras_pit.costs.ram(converted(slim), boards.get("nano33ble"))
    assert 0.8 * bound <= found <= bound < ram
    assert found == keras_pit.cost(slim, "ram") == keras_pit.cost(search, "ram")


# -- scales -----------------------------------------------------------------------------------------------------------


def conv(x, activation=None):
    return layers.Conv2D(8, 3, padding="same", activation=activation)(x)


def joined(*tensors):
    return layers.Concatenate()(list(tensors))


def pooled(x):
    return layers.MaxPooling2D(2, 1, "same")(x)


def twice(x):
    shared = conv(x)
    return layers.Add()([conv(joined(pooled(shared), conv(x))), conv(joined(conv(x), pooled(shared)))])


SCALES = {
    "fixed": (lambda x: conv(joined(conv(x, "tanh"), conv(x))), 1),
    "fixed and pooled": (lambda x: conv(joined(pooled(conv(x, "tanh")), conv(x))), 1),
    "fixed, both": (lambda x: conv(layers.Maximum()([conv(x, "sigmoid"), conv(x, "tanh")])), 2),
    "fixed, with a constant": (lambda x: conv(keras.ops.maximum(conv(x, "tanh"), 0.1)), 1),
    "fixed, pooled alone": (lambda x: conv(pooled(conv(x, "tanh"))), 0),
    "joined by two": (twice, 1),
    "nested": (lambda x: conv(joined(pooled(joined(conv(x), conv(x))), conv(x))), 0),
    "the input": (lambda x: layers.Add()([conv(joined(x, conv(x))), conv(joined(conv(x), x))]), 0),
}


@pytest.mark.parametrize("name", SCALES)
def test_numbers_brought_to_another_scale_count(name):
    function, count = SCALES[name]
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, function(inputs))
    before, file = Blueprint.of(model).program(), converted(model)
    assert names(before).count("QUANTIZE") == names(file).count("QUANTIZE") == count
    assert sorted(names(before)) == sorted(names(file))
    assert arena(before) == arena(file)


def by_three():
    """Joined by three, in ranges that the numbers decide."""
    inputs = keras.Input((8, 8, 3))
    a = conv(inputs)
    b = conv(a)
    c = conv(joined(a, b))
    return keras.Model(inputs, conv(joined(a, b, c, conv(joined(a, b, c)))))


@pytest.mark.parametrize("small", [(), (2,), (3,), (2, 3), (1, 2, 3)])
def test_scales_that_may_be_equal_count_as_different(small):
    """What is so small that it does not widen the range of what joins it leaves equal scales, and less QUANTIZE."""
    model = by_three()
    convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
    for place in small:
        convolutions[place].kernel.assign(1e-3 * convolutions[place].kernel)
    before, file = Blueprint.of(model).program(), converted(model)
    assert names(before).count("QUANTIZE") == 5 >= names(file).count("QUANTIZE")
    assert names(file).count("QUANTIZE") < 5 or not small
    rest = [[name for name in names(program) if name != "QUANTIZE"] for program in (before, file)]
    assert sorted(rest[0]) == sorted(rest[1])
    for core in CORES:
        known, found = arena(before, core), arena(file, core)
        assert known.total >= found.total and known.needed >= found.needed


# -- channels first ---------------------------------------------------------------------------------------------------

FIRST = {"data_format": "channels_first"}
"""Nowhere below are there as many channels as columns: then Keras itself adds the bias along the wrong axis."""


def norm(x):
    return layers.ReLU()(layers.BatchNormalization(axis=1)(x))


def plain(x):
    x = layers.MaxPooling2D(2, **FIRST)(norm(layers.Conv2D(8, 3, padding="same", **FIRST)(x)))
    return layers.GlobalAveragePooling2D(**FIRST)(norm(layers.Conv2D(12, 3, **FIRST)(x)))


def residual(x):
    x = layers.Conv2D(8, 3, padding="same", **FIRST)(x)
    x = norm(layers.Add()([x, norm(layers.Conv2D(8, 3, padding="same", **FIRST)(x))]))
    x = layers.Cropping2D(1, **FIRST)(layers.ZeroPadding2D(2, **FIRST)(x))
    x = layers.Concatenate(axis=1)([x, layers.Conv2D(5, 1, activation="sigmoid", **FIRST)(x)])
    x = layers.SeparableConv2D(6, 3, **FIRST)(layers.DepthwiseConv2D(3, **FIRST)(x))
    x = layers.PReLU(alpha_initializer="random_uniform", shared_axes=[2, 3])(layers.UpSampling2D(2, **FIRST)(x))
    return layers.GlobalMaxPooling2D(**FIRST)(layers.Conv2DTranspose(4, 3, strides=2, **FIRST)(x))


def flattened(x):
    x = layers.AveragePooling2D(2, **FIRST)(layers.Conv2D(8, 3, activation="swish", **FIRST)(x))
    return layers.Flatten(**FIRST)(layers.Conv2D(4, 3, activation="hard_sigmoid", **FIRST)(x))


def squeezed(x):
    x = layers.Conv2D(8, 3, **FIRST)(x)
    weights = layers.GlobalAveragePooling2D(keepdims=True, **FIRST)(x)
    weights = layers.Conv2D(8, 1, activation="sigmoid", **FIRST)(weights)
    return layers.Flatten()(layers.Conv2D(2, 3, **FIRST)(layers.Multiply()([x, weights])))


def one_dimensional(x):
    x = layers.Reshape((4, 108))(x)
    x = layers.MaxPooling1D(2, **FIRST)(layers.Conv1D(8, 3, activation="relu", **FIRST)(x))
    x = layers.LeakyReLU()(layers.BatchNormalization(axis=1)(layers.Conv1D(8, 3, dilation_rate=2, **FIRST)(x)))
    return layers.GlobalAveragePooling1D(**FIRST)(layers.SeparableConv1D(6, 3, **FIRST)(x))


CHANNELS_FIRST = {f.__name__: f for f in (plain, residual, flattened, squeezed, one_dimensional)}


@pytest.mark.parametrize("name", CHANNELS_FIRST)
def test_channels_first_costs_what_the_file_does(name):
    inputs = keras.Input((3, 12, 12))
    model = keras.Model(inputs, layers.Dense(4)(CHANNELS_FIRST[name](inputs)))
    for weight in model.weights:
        if weight.name in ("bias", "beta"):
            weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    before, file = Blueprint.of(model).program(), converted(model)
    assert sorted(names(before)) == sorted(names(file))
    assert arena(before) == arena(file)
    # Only the input has its channels first.
    assert names(file).count("TRANSPOSE") == 1


def test_moved_axes_compute_the_same():
    inputs = keras.Input((3, 12, 12))
    model = keras.Model(inputs, [layers.Dense(4)(function(inputs)) for function in CHANNELS_FIRST.values()])
    x = tf.random.normal((2, 3, 12, 12)).numpy()
    network = lower(model)
    for sample, *expected in zip(x, *(output.numpy() for output in model(x)), strict=True):
        found = network.evaluate(lambda node, *v: node.operator.compute(*v), [tf.reshape(sample, (1, 3, 12, 12))])
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(np.ravel(one), np.ravel(other), rtol=1e-4, atol=1e-4)


# -- one operator each ------------------------------------------------------------------------------------------------

ops = keras.ops
KNOWN = {
    "abs": lambda x: conv(ops.abs(conv(x))),
    "rsqrt": lambda x: conv(ops.rsqrt(ops.relu(conv(x)) + 0.5)),
    "log softmax": lambda x: ops.log_softmax(layers.Dense(5)(layers.Flatten()(conv(x)))),
    "max of channels": lambda x: conv(ops.max(conv(x), axis=-1, keepdims=True)),
    "min of everything": lambda x: layers.Dense(3)(ops.reshape(ops.min(conv(x), axis=(1, 2, 3)), (-1, 1))),
    "mean of a vector": lambda x: layers.Dense(3)(ops.mean(layers.Flatten()(conv(x)), axis=1, keepdims=True)),
    "resizing": lambda x: conv(layers.Resizing(5, 7)(conv(x))),
    "resizing, nearest": lambda x: conv(layers.Resizing(5, 7, interpolation="nearest")(conv(x))),
    "resizing, cropped": lambda x: conv(layers.Resizing(4, 8, crop_to_aspect_ratio=True)(conv(x))),
    "center crop": lambda x: conv(layers.CenterCrop(5, 6)(conv(x))),
    "center crop, larger": lambda x: conv(layers.CenterCrop(12, 6)(conv(x))),
    "crop images": lambda x: conv(ops.image.crop_images(conv(x), 1, 2, target_height=5, target_width=5)),
    "pad images": lambda x: conv(ops.image.pad_images(conv(x), 1, 2, target_height=12, target_width=12)),
    "roll": lambda x: conv(ops.roll(conv(x), 3, axis=1)),
    "take": lambda x: conv(ops.take(conv(x), [0, 2, 5], axis=-1)),
    "flip": lambda x: conv(conv(x)[:, ::-1]),
    "max pool": lambda x: conv(ops.max_pool(conv(x), 2)),
}


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_one_operator_is_known(name):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, KNOWN[name](inputs))
    x = np.random.default_rng(1).normal(size=(2, 8, 8, 3)).astype("float32")
    network = lower(model)
    for sample, expected in zip(x, model(x).numpy(), strict=True):
        (found,) = network.evaluate(lambda node, *v: node.operator.compute(*v), [tf.constant(sample[None])])
        np.testing.assert_allclose(np.ravel(found), np.ravel(expected), rtol=1e-4, atol=1e-4)
    before, file = Blueprint.of(model).program(), converted(model)
    assert names(before) == names(file)
    assert [arena(before, core) for core in CORES] == [arena(file, core) for core in CORES]


@pytest.mark.parametrize("joins", ["none", "Add", "Concatenate"])
def test_embedding_of_integers_is_known(joins):
    inputs = keras.Input((6,), dtype="int32")
    tables = [layers.Embedding(20, 8)(inputs) for _ in range(1 if joins == "none" else 2)]
    x = tables[0] if joins == "none" else getattr(layers, joins)()(tables)
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.Conv1D(4, 3)(x))))
    tflite = keras_pit.to_tflite(model, np.arange(60, dtype="int32").reshape(10, 6) % 20)
    before, file = Blueprint.of(model).program(), read_program(tflite)
    assert names(before) == names(file)
    assert arena(before) == arena(file)
    assert keras_pit.cost(model, "flash") == pytest.approx(len(tflite), rel=0.03)
