"""Functions of each element in 8 bits: the file's integers are those of a table, whatever the function is."""

import keras
import numpy as np
import pytest
from generator import randomize
from keras import layers, ops
from small import lively

import keras_pit
from keras_pit import boards, costs
from keras_pit.blueprint import Blueprint
from keras_pit.deployment import DeploymentError, run_litert, run_tflite_micro, to_tflite
from keras_pit.deployment.flatbuffer import read_graph, read_program
from keras_pit.lowering.functions import is_elementwise, line_of

TABLE = ["CAST", "ADD", "GATHER"]


def own(x):
    return x * ops.sigmoid(1.702 * x)


FUNCTIONS = {
    "gelu": (layers.Activation("gelu"), TABLE),
    "softplus": (layers.Activation("softplus"), TABLE),
    "mish": (layers.Activation("mish"), TABLE),
    "selu": (layers.Activation("selu"), TABLE),
    "exponential": (layers.Activation("exponential"), TABLE),
    "tanh_shrink": (layers.Activation("tanh_shrink"), TABLE),
    "own": (layers.Activation(own), TABLE),
    "operation": (lambda x: ops.log(ops.exp(x) + 1.0), TABLE + TABLE),
    "elu": (layers.ELU(), ["ELU"]),
    "other elu": (layers.ELU(0.5), TABLE),
}


def alone(function):
    inputs = keras.Input((64,))
    return keras.Model(inputs, function(inputs))


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "operation"])
def test_integers_are_those_of_the_function(name):
    """All 256 of them, on both runtimes; ELU's own table may round a half the other way."""
    function, expected = FUNCTIONS[name]
    x = np.linspace(-4, 4, 256, dtype="float32").reshape(4, 64)
    tflite = to_tflite(alone(function), x)
    graph = read_graph(tflite)
    assert [op.name for op in graph.ops] == expected
    integers = np.arange(-128, 128, dtype="int8").reshape(4, 64)
    reals = np.asarray(function(ops.convert_to_tensor(graph.inputs[0].dequantize(integers))))
    wanted = graph.outputs[0].quantize(reals).astype(int)
    for run in (run_tflite_micro, run_litert):
        found = run(tflite, integers).outputs[0].astype(int)
        assert np.abs(found - wanted).max() <= (1 if expected == ["ELU"] else 0)


def sample(build, shape=(16, 4), count=40):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape, name="signal")
    model, rng = keras.Model(inputs, build(inputs), name="net"), np.random.default_rng(0)
    randomize(model, rng)
    return model, lively(rng, count, shape)


def tangled(x):
    """A function of an input, of a function, of what others read, and as an output."""
    first = layers.Activation("gelu")(x)
    second = layers.Activation("mish")(first)
    return [second, layers.Add()([first, layers.ELU()(x)]), layers.Activation("gelu")(layers.Conv1D(3, 1)(second))]


def test_functions_stand_anywhere():
    model, x = sample(tangled)
    results = run_litert(to_tflite(model, x), x).dequantized
    for result, expected in zip(results, model.predict(x, verbose=0), strict=True):
        assert np.abs(result.reshape(expected.shape) - expected).max() < 0.04 * np.ptp(expected)


def normalized(layer):
    def build(x):
        x = layer(layers.Conv1D(8, 3, name="conv")(x))
        return layers.Dense(2)(layers.Flatten()(layers.Conv1D(4, 3, activation="relu")(x)))

    return build


NORMALIZATIONS = {
    "layer": layers.LayerNormalization,
    "time": lambda: layers.LayerNormalization(axis=1),
    "rms": layers.RMSNormalization,
    "groups": lambda: layers.GroupNormalization(2),
    "instance": lambda: layers.GroupNormalization(-1),
}


def mixer(x):
    x = layers.Conv1D(8, 1)(x)
    y = layers.Dense(16, activation="gelu")(layers.LayerNormalization()(x))
    y = layers.GroupNormalization(4)(layers.Add()([x, layers.Dense(8, activation="elu")(y)]))
    return layers.Dense(3)(layers.GlobalAveragePooling1D()(y))


@pytest.mark.parametrize("name", [*NORMALIZATIONS, "mixer"])
def test_normalization_of_each_sample(name):
    """Of integers alone, close to the floats; the estimate before there is a file is that of the file."""
    model, x = sample(mixer if name == "mixer" else normalized(NORMALIZATIONS[name]()))
    tflite = to_tflite(model, x)
    expected = model.predict(x, verbose=0)
    result = run_litert(tflite, x).dequantized[0].reshape(expected.shape)
    assert np.sqrt(np.mean((result - expected) ** 2)) < 0.12 * expected.std()
    before, after = Blueprint.of(model).program(), read_program(tflite)
    assert [op.name for op in before.operators] == [op.name for op in after.operators]
    board = boards.get("nano33ble")
    assert costs.ram(before, board) == costs.ram(after, board)
    assert costs.latency(before, board) == costs.latency(after, board)
    # Biases of zeros are one part of the file, and values decide which zero points are equal.
    assert -48 <= costs.flash(before, board) - len(tflite) <= 0.06 * len(tflite)


@pytest.mark.parametrize("name", ["gelu", "elu", "mixer"])
def test_tables_of_what_training_rounded(name):
    build = mixer if name == "mixer" else normalized(FUNCTIONS[name][0])
    model, x = sample(build)
    qat = keras_pit.quantize_aware(model, x)
    rounded = qat.predict(x, verbose=0)
    tflite = to_tflite(qat, x)
    names = [op.name for op in read_graph(tflite).ops]
    assert sorted(names) == sorted(op.name for op in read_graph(to_tflite(model, x, verify=False)).ops)
    result = run_litert(tflite, x).dequantized[0].reshape(rounded.shape)
    assert np.sqrt(np.mean((result - rounded) ** 2)) < 0.06 * rounded.std()


LAMBDAS = {
    "a table": (lambda x: ops.log1p(ops.abs(x)), TABLE),
    "its operator": (keras.activations.tanh, ["TANH"]),
    "scale and offset": (lambda x: (x - 3.0) / 2.0, []),
    "sums": (lambda x: x + ops.sum(x, axis=1, keepdims=True), None),
}


@pytest.mark.parametrize("name", LAMBDAS)
def test_lambdas_of_each_element_are_known(name):
    """Between two convolutions: scale and offset go into the second one, what is no such function is not known."""
    function, expected = LAMBDAS[name]
    model, x = sample(lambda x: layers.Conv1D(3, 1)(layers.Lambda(function, name="own")(layers.Conv1D(4, 3)(x))))
    if expected is None:
        with pytest.raises(ValueError, match=r"layer 'own' \(Lambda\)"):
            Blueprint.of(model)
        return
    tflite = to_tflite(model, x)
    before, after = Blueprint.of(model).program(), read_program(tflite)
    assert [op.name for op in before.operators] == [op.name for op in after.operators]
    assert [op.name for op in after.operators] == ["CONV_2D", *expected, "CONV_2D"]
    wanted = model.predict(x, verbose=0)
    found = run_litert(tflite, x).dequantized[0].reshape(wanted.shape)
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 0.06 * wanted.std()


ACROSS = {
    "softmax": ops.softmax,
    "sums": lambda x: ops.cumsum(x, axis=1),
    "places": lambda x: x * np.arange(4, dtype="float32"),
    "mean": lambda x: x - ops.mean(x),
    "noise": lambda x: x + keras.random.normal(x.shape),
    "shape": lambda x: x[:, :1],
}


@pytest.mark.parametrize("name", ACROSS)
def test_what_is_no_function_of_each_element(name):
    assert is_elementwise(own, (1, 3, 4))
    assert not is_elementwise(ACROSS[name], (1, 3, 4))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x / 255.0 - 1.0, (1 / 255, -1.0)),
        (lambda x: -x, (-1.0, 0.0)),
        (lambda x: ops.zeros_like(x) + 2.0, (0.0, 2.0)),
        (ops.relu6, None),
        (lambda x: ops.clip(x, -1e4, 1e4), None),
        (lambda x: x + 1e-2 * ops.sin(x), None),
        (ops.log, None),
    ],
)
def test_scale_and_offset(function, expected):
    assert line_of(function) == (expected and pytest.approx(expected, rel=1e-5))


@pytest.mark.parametrize(("layer", "kind"), [(layers.Activation("gelu", name="it"), "gelu"),
                                             (layers.LayerNormalization(name="it"), "rsqrt")])  # fmt: skip
def test_16_bits_have_no_tables(layer, kind):
    model, x = sample(normalized(layer))
    message = f"computes '{kind}' of 'it', .* no kernel of 16 bits; .*quantization='int8', or replace it: relu"
    with pytest.raises(DeploymentError, match=message):
        to_tflite(model, x, quantization="int16x8")


def test_floats_without_a_kernel_may_be_a_table():
    model, x = sample(normalized(layers.Activation("gelu", name="it")))
    with pytest.raises(DeploymentError, match=r"no kernel for GELU .*With quantization='int8' it can be a table"):
        to_tflite(model, x, quantization=None)
