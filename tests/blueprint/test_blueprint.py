"""Costs of a board, before any file is made: the blueprint is what `to_tflite` makes, also with soft sizes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from costed import CORES, NETWORKS, made, samples, soft_and_exact, valid
from generator import arguments, describe, random_masks, random_network, randomize
from keras import layers, ops

import keras_pit
from examples import networks
from keras_pit import boards, lowering
from keras_pit.blueprint import Blueprint
from keras_pit.deployment.flatbuffer import read_program
from keras_pit.lowering.operators import Foreign

# A channel axis of length 1 is no accident in random networks.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*You are using a softmax over axis:UserWarning"),
    pytest.mark.filterwarnings("ignore:Nothing can be searched:UserWarning"),
    pytest.mark.filterwarnings("ignore:The macs of model:UserWarning"),
]

METRICS = ("ram", "latency", "ram:pico2", "latency:disco-f746ng")
FIXED, FRESH, SLOW_FRESH = 6, 3, 1000
KNOWN = 564701477, 671159165, 947487447, 758940076
"""Networks that once failed: what was not measured, a TRANSPOSE of a single channel, a tap that sees padding alone, a
scale below 0 in front of a maximum."""


def pytest_generate_tests(metafunc):
    if "number" in metafunc.fixturenames:
        fresh = np.random.default_rng(metafunc.config.option.fresh_seed)
        count = SLOW_FRESH if metafunc.config.option.runslow else FRESH
        metafunc.parametrize("number", [*range(FIXED), *KNOWN, *map(int, fresh.integers(10**3, 10**9, count))])


def listed(program):
    """Operators with all that decides what they cost."""
    return [
        (op.name, tuple(op.stride), tuple(op.dilation), op.padding, op.activation, program.tensors[op.outputs[0]].shape)
        for op in program.operators
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_blueprint_is_what_the_file_holds(name):
    model = made(name)
    tflite = keras_pit.to_tflite(model, samples(model), verify=False)
    found, expected = Blueprint.of(model).program(), read_program(tflite)
    assert sorted(listed(found)) == sorted(listed(expected))
    assert keras_pit.cost(model, "flash") == pytest.approx(len(tflite), rel=0.02)
    for metric in METRICS:
        board = boards.get(metric.partition(":")[2] or keras_pit.costs.registry.BOARD)
        function = getattr(keras_pit.costs, metric.partition(":")[0])
        assert keras_pit.cost(model, metric) == pytest.approx(function(expected, board), rel=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_soft_costs_are_those_of_the_exported_model(name):
    search = keras_pit.convert(made(name), {"latency": 1.0})
    names = [*METRICS, "flash"]
    soft = tf.function(lambda: search.costs(names, search.reader()), autograph=False)
    for seed, density in enumerate((None, 0.3, 0.9)):
        random_masks(search, np.random.default_rng(seed), density)
        slim = keras_pit.export(search)
        *now, flash = soft().numpy()
        exact = [keras_pit.cost(slim, metric) for metric in METRICS]
        assert now[::2] == pytest.approx(exact[::2], rel=1e-6)
        assert now[1::2] == pytest.approx(exact[1::2], rel=1e-5)
        assert [keras_pit.cost(search, metric) for metric in METRICS] == exact
        exact = keras_pit.cost(slim, "flash")
        assert exact <= flash <= 1.03 * exact + 400


def sparse_kernels(search, rng):
    """All channels, and few taps of each kernel."""
    for variable in keras_pit.mask_variables(search):
        on = np.ones(variable.shape, bool) if variable.name == "alpha" else rng.random(variable.shape) < 0.1
        variable.assign(np.where(on, 0.6, 0.4))


MANY_ORDERS = {"tc_resnet14"}
"""Not all of their orders are compared in each step: on cores that none is chosen for, RAM is from above."""


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_soft_costs_of_known_networks(name):
    rng = np.random.default_rng(len(name))
    model = networks.NETWORKS[name].build()
    randomize(model, rng)
    search = keras_pit.convert(model)
    place = list(networks.NETWORKS).index(name)
    (random_masks, sparse_kernels)[place % 2](search, rng)
    soft, exact = soft_and_exact(search, CORES[place % 3])
    if name in MANY_ORDERS:
        assert exact[0] <= soft[0] <= 1.05 * exact[0]
        ((on_m4, *_), (file, *_)) = soft_and_exact(search, "cortex-m4")
        assert on_m4 == pytest.approx(file, rel=1e-6)
    else:
        assert soft[0] == pytest.approx(exact[0], rel=1e-6)
    assert soft[1] == pytest.approx(exact[1], rel=1e-5)
    assert exact[2] <= soft[2] <= 1.03 * exact[2] + 400
    slim = keras_pit.export(search)
    for metric in ("ram", "latency", "flash", "size", "macs"):
        assert keras_pit.cost(search, metric) == keras_pit.cost(slim, metric)


def test_soft_costs_of_random_networks(number, monkeypatch):
    """They may be above: an operation that is taken as it is keeps its channels, a slice of what is whole is there.

    Most random networks have unknown operations. Those are refused; here they are let through, for all around them.
    """
    rng, model = np.random.default_rng(number), random_network(number)
    if any(isinstance(node.operator, Foreign) for node in lowering.lower(model).nodes()):
        with pytest.raises(ValueError, match="are not known before it is converted, because of"):
            Blueprint.of(model)
        monkeypatch.setattr("keras_pit.blueprint.blueprint.refuse_unknown", lambda *_: None)
    search = keras_pit.convert(model, **arguments(model, np.random.default_rng(number)))
    for change in (random_masks, sparse_kernels):
        change(search, rng)
        soft, exact = soft_and_exact(search, CORES[number % len(CORES)])
        assert all(one >= other * (1 - 1e-6) for one, other in zip(soft, exact, strict=True)), describe(model)
        if number in (*range(FIXED), *KNOWN):
            assert soft[1] == pytest.approx(exact[1], rel=1e-5)


def along_depth():
    """Depthwise kernels with holes: taps on the padding count by how far apart they are."""
    inputs = keras.Input((40, 4))
    x = layers.SeparableConv1D(8, 9, padding="same", activation="relu")(layers.Conv1D(6, 1)(inputs))
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


def across_time():
    """Normalized over time: two TRANSPOSE, of which RESHAPE are left where a single channel is."""
    inputs = keras.Input((12, 4))
    x = layers.Softmax(axis=1)(layers.Conv1D(6, 3, padding="same")(inputs))
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalMaxPooling1D()(layers.Conv1D(4, 3)(x))))


@pytest.mark.parametrize("build", [along_depth, across_time, valid])
@pytest.mark.parametrize("core", CORES)
def test_soft_costs_with_few_channels_and_taps(build, core):
    keras.utils.set_random_seed(0)
    model, rng = build(), np.random.default_rng(1)
    randomize(model, rng)
    search = keras_pit.convert(model)
    for density in (0.0, 0.1, 0.4):
        random_masks(search, rng, density)
        soft, exact = soft_and_exact(search, core)
        assert soft[0] == pytest.approx(exact[0], rel=1e-6)
        assert soft[1] == pytest.approx(exact[1], rel=1e-5)


def before_a_maximum(x, factor):
    x = layers.BatchNormalization(name="norm")(layers.Conv1D(8, 3, activation="relu")(x))
    return layers.GlobalMaxPooling1D()(x), {"gamma": factor * np.linspace(0.5, 1.5, 8)}


def of_raw_units(x, factor):
    x = layers.BatchNormalization(name="norm")(x)
    return layers.GlobalAveragePooling1D()(layers.Conv1D(8, 3)(x)), {"moving_mean": factor * np.linspace(50, 60, 4)}


@pytest.mark.parametrize(("build", "factors"), [(before_a_maximum, (1, -1)), (of_raw_units, (1e-3, 1))])
def test_values_of_weights_decide_what_folds(build, factors):
    """A scale passes a maximum if it is positive, weights take an offset if it is near; else it is an operator."""
    found = []
    for factor in factors:
        inputs = keras.Input((32, 4))
        x, values = build(inputs, factor)
        model = keras.Model(inputs, layers.Dense(3)(x))
        randomize(model, np.random.default_rng(0))
        for name, value in values.items():
            getattr(model.get_layer("norm"), name).assign(value)
        search = keras_pit.convert(model)
        for density in (0.5, 1.0):
            random_masks(search, np.random.default_rng(1), density)
            soft, exact = soft_and_exact(search, "cortex-m4")
            assert soft[:2] == pytest.approx(exact[:2], rel=1e-5)
        found.append(exact[1])
    assert found[0] < found[1]


@pytest.mark.parametrize("name", ["causal", "same", "depthwise", "ecgtcn_seed", "tcn"])
def test_flash_is_the_length_of_the_file(name):
    model = made(name) if name in NETWORKS else networks.NETWORKS[name].build()
    if name not in NETWORKS:
        randomize(model, np.random.default_rng(0))
    search = keras_pit.convert(model)
    random_masks(search, np.random.default_rng(2), 0.6)
    slim = keras_pit.export(search)
    length = len(keras_pit.to_tflite(slim, samples(slim), verify=False))
    assert keras_pit.cost(search, "flash") == pytest.approx(length, rel=0.02)


def twins():
    """Two convolutions that need the same padding share a PAD; batch norm before a kernel of one tap is folded."""
    inputs = keras.Input((32, 4))
    x = layers.BatchNormalization()(layers.Conv1D(8, 3, padding="same", activation="relu")(inputs))
    x = layers.Add()([layers.Conv1D(8, taps, padding="causal")(x) for taps in (4, 5)])
    x = layers.BatchNormalization()(layers.ReLU()(x))
    x = layers.Conv1D(6, 7, padding="same", activation="relu")(x)
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


@pytest.mark.parametrize("core", CORES)
def test_soft_costs_in_every_state_of_a_kernel(core):
    keras.utils.set_random_seed(0)
    model = twins()
    randomize(model, np.random.default_rng(0))
    search = keras_pit.convert(model)
    _, one, two, last = [layer for layer in search.search_layers if layer.beta is not None]
    for reach, other, end in [(0, 0, 0), (0, 2, 3), (2, 2, 0), (3, 3, 2), (3, 4, 1), (1, 0, 3)]:
        for layer, lag in zip((one, two, last), (reach, other, end), strict=True):
            layer.beta.assign(np.where(np.arange(layer.beta.shape[0]) <= lag, 0.6, 0.4))
        (ram, count, _), (exact_ram, exact_count, _) = soft_and_exact(search, core)
        assert ram == pytest.approx(exact_ram, rel=1e-6)
        assert count == pytest.approx(exact_count, rel=1e-5)


# -- what is not known beforehand ------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable("tests")
class Block(layers.Layer):
    """A custom layer with a convolution in it."""

    def build(self, shape):
        self.conv = layers.Conv1D(shape[-1], 3, padding="same")
        self.conv.build(shape)

    def call(self, x):
        return self.conv(x)


def attended(x):
    return layers.MultiHeadAttention(2, 4, name="it")(x, x)


def running(x):
    return ops.cumsum(x, axis=1)


UNKNOWN = {
    "attention": (attended, r"layer 'it' \(MultiHeadAttention\)"),
    "gru": (layers.GRU(6, return_sequences=True, name="it"), r"layer 'it' \(GRU\)"),
    "custom": (Block(name="it"), r"layer 'it' \(Block\)"),
    "sums": (
        layers.Conv1D(4, 1, activation=running, name="it"),
        r"the activation running of layer 'it' \(Conv1D\)",
    ),
    "cumsum": (lambda x: keras.ops.cumsum(x, axis=1), r"operation 'cumsum"),
}


def assert_unknown(model, message):
    """No cost of a board is given."""
    for metric in ("flash", "ram", "latency"):
        with pytest.raises(ValueError, match=message):
            keras_pit.cost(model, metric)
    with pytest.raises(ValueError, match=message):
        keras_pit.fits(model, "pico")


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_operators_are_refused(name):
    unknown, message = UNKNOWN[name]
    x = inputs = keras.Input((16, 3))
    x = unknown(layers.Conv1D(4, 3, name="conv")(x))
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)), name="net")
    message = f"of model 'net' are not known before it is converted, because of {message}.*keras_pit.to_tflite"
    assert_unknown(model, message)
    with pytest.raises(ValueError, match=message):
        keras_pit.convert(model, target="nano33ble")
    search = keras_pit.convert(model, "macs")
    assert "conv" in str(keras_pit.summary(search))
    with pytest.raises(ValueError, match=message):
        keras_pit.cost(search, "flash")


def test_open_lengths_are_refused():
    inputs = keras.Input((None, 6), name="signal")
    x = layers.GlobalAveragePooling1D()(layers.Conv1D(4, 3)(inputs))
    model = keras.Model(inputs, layers.Dense(2)(x), name="net")
    message = r"Input 'signal' of model 'net' has the shape \(None, 6\): .*keras\.Input\(\(128, 6\)\)"
    assert_unknown(model, message)
    with pytest.raises(ValueError, match=message):
        keras_pit.cost(keras_pit.convert(model, "size"), "ram")


def test_biases_that_are_trained_from_zero_count():
    inputs = keras.Input((8,))
    search = keras_pit.convert(keras.Model(inputs, layers.Dense(4)(layers.Dense(16, activation="relu")(inputs))))
    before = float(keras_pit.soft_cost(search, "flash"))
    for layer in search.search_layers:
        layer.bias.assign(np.arange(1.0, 1 + layer.units))
    assert float(keras_pit.soft_cost(search, "flash")) == before >= keras_pit.cost(search, "flash")


# -- in a search -------------------------------------------------------------------------------------------------------


def test_exact_costs_are_in_the_logs():
    """With XLA, as Keras trains on a GPU; without it: `test_branches`, for a target."""
    search = keras_pit.convert(made("causal"), {"flash": 1.0, "ram": 1.0, "latency": 1.0}, strength=30.0)
    search.compile(keras.optimizers.Adam(5e-3), "sparse_categorical_crossentropy", jit_compile=True)
    x = samples(search, 64)
    history = search.fit(x, np.zeros(64), 8, epochs=16, verbose=0).history
    slim = keras_pit.export(search)
    for metric in ("flash", "ram", "latency"):
        assert history[metric][-1] == keras_pit.cost(slim, metric)
        assert history[metric][-1] < history[metric][0]


@pytest.mark.filterwarnings("ignore:The target is met")
def test_a_board_is_a_target():
    board = boards.Board("tiny", "Tiny", "X", "cortex-m4", 64, 170_000, 40_000, "none")
    assert not keras_pit.fits(made("causal"), board, reserved=boards.Reserved(169_000, 0))
    reserved = boards.Reserved(165_000, 34_000)
    assert board.target(latency=5, reserved=reserved) == {"flash": 5000, "ram:tiny": 6000, "latency:tiny": 5}
    search = keras_pit.convert(made("causal"), target="nano33ble")
    assert set(search.origin.costs) == {"flash", "ram:nano33ble"}


def test_a_cost_of_a_layer_has_no_board():
    with pytest.raises(ValueError, match="Unknown cost 'size:pico'"):
        keras_pit.cost(made("causal"), "size:pico")
    with pytest.raises(ValueError, match="Unknown board 'pic'"):
        keras_pit.cost(made("causal"), "ram:pic")
