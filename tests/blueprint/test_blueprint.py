"""Costs of a board, before any file is made: the blueprint is what `to_tflite` makes, also with soft sizes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from generator import arguments, describe, random_masks, random_network, randomize
from keras import layers, ops

import keras_pit
from examples import networks
from keras_pit import boards, lowering
from keras_pit.blueprint import Blueprint
from keras_pit.costs.arena import arena
from keras_pit.costs.device import flash
from keras_pit.costs.latency import instructions
from keras_pit.deployment.flatbuffer import read_program
from keras_pit.layers.reader import Reader
from keras_pit.lowering.operators import Foreign

# A channel axis of length 1 is no accident in random networks.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*You are using a softmax over axis:UserWarning"),
    pytest.mark.filterwarnings("ignore:Nothing can be searched:UserWarning"),
    pytest.mark.filterwarnings("ignore:The macs of model:UserWarning"),
]


def causal(length=64):
    x = inputs = keras.Input((length, 3))
    for dilation in (1, 2, 4):
        x = layers.Conv1D(12, 5, padding="causal", dilation_rate=dilation)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(x))


def same():
    x = inputs = keras.Input((48, 4))
    for taps, strides in ((8, 1), (7, 2), (5, 1)):
        y = layers.Conv1D(12, taps, strides=strides, padding="same", activation="relu")(x)
        x = layers.Add()([y, layers.Conv1D(12, 1, strides=strides)(x)])
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.MaxPooling1D(4)(x))))


def valid():
    x = inputs = keras.Input((60, 2))
    x = layers.Conv1D(10, 9, activation="relu")(x)
    x = layers.Conv1D(10, 5, strides=2, activation="relu")(layers.ZeroPadding1D(2)(x))
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def depthwise():
    x = inputs = keras.Input((16, 16, 2))
    for filters in (12, 20):
        x = layers.SeparableConv2D(filters, 3, padding="same")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


def branches():
    x = inputs = keras.Input((20, 20, 3))
    one = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    two = layers.Conv2D(6, 1, activation="relu")(x)
    x = layers.Concatenate()([one, two, layers.MaxPooling2D(3, 1, "same")(one)])
    x = layers.Conv2D(9, 3, strides=2)(x)
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))


def limits():
    """Of all kinds: fused, one after the other, of one side, with a constant."""
    x = inputs = keras.Input((40, 3))
    for limit in ("hard_tanh", layers.ReLU(3.0), lambda x: ops.clip(x, -2.0, 3.0), lambda x: ops.minimum(x, 2.0)):
        x = layers.Conv1D(10, 3, activation=limit if isinstance(limit, str) else None)(x)
        x = x if isinstance(limit, str) else limit(x)
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


def sharing_names():
    """Models in a model, with layers of the same name in them."""

    def block():
        inputs = keras.Input((32, 8))
        return keras.Model(inputs, layers.Conv1D(8, 3, padding="causal", activation="relu", name="conv")(inputs))

    inputs = keras.Input((32, 8))
    x = layers.Flatten()(block()(block()(inputs)))
    return keras.Model(inputs, layers.Dense(3)(x))


NETWORKS = {network.__name__: network for network in (causal, same, valid, depthwise, branches, limits, sharing_names)}
METRICS = ("ram", "latency", "ram:pico2", "latency:disco-f746ng")
CORES = ("cortex-m0+", "cortex-m4", "cortex-m55")
"""One for each set of kernels: plain C, DSP and Helium."""
FIXED, FRESH, SLOW_FRESH = 6, 3, 1000
KNOWN = 564701477, 671159165, 947487447
"""Networks that once failed: what was not measured, a TRANSPOSE of a single channel, a tap that sees padding alone."""


def pytest_generate_tests(metafunc):
    if "number" in metafunc.fixturenames:
        fresh = np.random.default_rng(metafunc.config.option.fresh_seed)
        count = SLOW_FRESH if metafunc.config.option.runslow else FRESH
        metafunc.parametrize("number", [*range(FIXED), *KNOWN, *map(int, fresh.integers(10**3, 10**9, count))])


def made(name):
    """A network with weights as after training."""
    keras.utils.set_random_seed(0)
    model, rng = NETWORKS[name](), np.random.default_rng(0)
    for weight in model.weights:
        if weight.name in ("bias", "beta", "moving_mean"):
            weight.assign(0.1 * rng.normal(size=weight.shape))
        elif weight.name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 2.0, weight.shape))
    return model


def samples(model, count=8):
    return np.random.default_rng(1).normal(size=(count, *model.input_shape[1:])).astype("float32")


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


def soft_and_exact(search, core):
    """RAM, instructions and flash of a search model by its soft sizes, and of what it exports."""
    programs = search.blueprint.program(search.reader()), Blueprint.of(keras_pit.export(search)).program()
    for program in programs:
        yield [float(arena(program, core).total), float(instructions(program, core)), float(flash(program, None))]


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


# -- gradients --------------------------------------------------------------------------------------------------------


class Relaxed(Reader):
    """Masks that are not binarised: they move from where they are as far as their variables do."""

    def __init__(self, search, moves):
        super().__init__(search.search_layers)
        self.moves = moves

    def channels(self, owner):
        return super().channels(owner) + self.moves[id(owner.alpha)]

    def taps(self, layer):
        found = super().taps(layer)
        if layer.beta is not None:
            found = found + self.moves[id(layer.beta)][list(layer.kernel_mask.lags)]
        if layer.gamma is not None:
            found = found + self.moves[id(layer.gamma)][layer.kernel_mask.levels]
        return found

    def count_channels(self, owner):
        return tf.reduce_sum(self.channels(owner))

    def count_taps(self, layer):
        return tf.reduce_sum(self.taps(layer))


def slopes(search, metrics):
    """The gradient of each metric, by mask variable."""
    variables = keras_pit.mask_variables(search)
    with tf.GradientTape(persistent=True) as tape:
        values = tf.unstack(search.costs(metrics, search.reader()))
    for value in values:
        found = tape.gradient(value, [variable.value for variable in variables], unconnected_gradients="zero")
        yield {id(v): tf.convert_to_tensor(slope).numpy() for v, slope in zip(variables, found, strict=True)}


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_of_sums_are_those_of_relaxed_masks(name):
    search, rng = keras_pit.convert(made(name)), np.random.default_rng(5)
    random_masks(search, rng, 0.6)
    metrics, variables, step = ("size", "macs"), keras_pit.mask_variables(search), 0.5
    found = list(slopes(search, metrics))
    for moved in variables:
        direction = rng.uniform(0.5, 1.5, moved.shape).astype("float32")
        ends = []
        for sign in (step, -step):
            moves = {id(v): np.zeros(v.shape, "float32") for v in variables} | {id(moved): sign * direction}
            ends.append(search.costs(metrics, Relaxed(search, moves)).numpy().astype("float64"))
        for slope, more, less in zip(found, *ends, strict=True):
            assert slope[id(moved)] @ direction == pytest.approx((more - less) / (2 * step), rel=1e-3)


@pytest.mark.parametrize("name", NETWORKS)
def test_more_never_costs_less(name):
    metrics = ("size", "macs", "flash", "ram", "latency")
    search = keras_pit.convert(made(name))
    for density in (1.0, None):
        random_masks(search, np.random.default_rng(3), density)
        for metric, slope in zip(metrics, slopes(search, metrics), strict=True):
            assert all((values >= 0).all() for values in slope.values())
            if metric != "ram":
                assert all(values.max() > 0 for values in slope.values())


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("kind", ["alpha", "beta", "gamma"])
def test_gradients_of_a_board_are_what_a_switch_saves(kind, core):
    """Costs have stairs, of up to 16 channels: the gradient is their slope."""
    inputs = x = keras.Input((64, 16))
    for taps in (17, 15):
        x = layers.Conv1D(64, taps, padding="causal", activation="relu")(x)
    model = keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling1D()(x)))
    randomize(model, np.random.default_rng(0))
    search = keras_pit.convert(model)
    variable = getattr(search.search_layers[1 if kind == "alpha" else 0], kind)
    places = np.arange(variable.shape[0])
    # Helium takes another path for any dilation: from 2 to 4.
    already = places < (1 if kind == "gamma" else 0)
    off = {"alpha": places >= 48, "beta": places >= 9, "gamma": places == 1}[kind]
    variable.assign(np.where(already, 0.4, 0.6))
    with tf.GradientTape(persistent=True) as tape:
        program = search.blueprint.program(search.reader())
        before = [arena(program, core).total, instructions(program, core), flash(program, None)]
    found = [tape.gradient(value, variable.value).numpy() for value in before]
    variable.assign(np.where(already | off, 0.4, 0.6))
    after, _ = soft_and_exact(search, core)
    for slope, one, other in zip(found, before, after, strict=True):
        assert slope[off].sum() == pytest.approx(float(one) - other, rel=0.05, abs=1)


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
