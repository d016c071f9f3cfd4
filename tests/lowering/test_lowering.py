"""Lowering: a network in the form of a microcontroller computes what the Keras model does, in the operators it should.

`FORMS` is a table of small graphs and the operators that each becomes, fused activations and folded layers left out;
then the networks of the examples, random ones, and exported ones, whose weights and statistics are all random.
"""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from generator import arguments, data, random_masks, random_network, randomize
from keras import layers, ops
from packaging.version import Version
from small import lively, randomized

import keras_pit
from examples.networks import NETWORKS
from keras_pit.deployment import DeploymentError, to_tflite, verify
from keras_pit.deployment.flatbuffer import read_graph
from keras_pit.lowering import Network, form, lower
from keras_pit.lowering.operators import Activation, Binary, Function, Input, Pool

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*You are using a softmax over axis:UserWarning"),
    pytest.mark.filterwarnings("ignore:Nothing can be searched:UserWarning"),
]

SEQUENCE, IMAGE, VECTOR = (12, 4), (8, 6, 4), (5,)


def kinds(network: Network) -> list[str]:
    """The operators in the order in which they run."""
    named = (Activation, Binary, Function, Pool)
    return [
        node.operator.kind if isinstance(node.operator, named) else type(node.operator).__name__
        for node in network.nodes()
        if not isinstance(node.operator, Input)
    ]


def evaluate(network: Network, samples: list[np.ndarray]) -> list[np.ndarray]:
    """The outputs, in the shapes of the network, with the samples in front."""
    import tensorflow as tf

    feeds = [tf.constant(x.reshape(-1, *node.shape[1:])) for x, node in zip(samples, network.inputs, strict=True)]
    return [np.asarray(y) for y in network.evaluate(lambda node, *x: node.operator.compute(*x), feeds)]


def error(model: keras.Model, network: Network, inputs: object) -> float:
    """The largest difference to the model, relative to the largest output."""
    expected = [np.asarray(y) for y in keras.tree.flatten(model(inputs, training=False))]
    results = evaluate(network, [np.asarray(x) for x in keras.tree.flatten(inputs)])
    return max(
        float(np.abs(x - y.reshape(x.shape)).max() / max(np.abs(x).max(), 1e-3))
        for x, y in zip(expected, results, strict=True)
    )


# -- small graphs -----------------------------------------------------------------------------------------------------


def bn(**options):
    return layers.BatchNormalization(**options)


def conv(filters=3, taps=3, **options):
    return layers.Conv1D(filters, taps, **{"padding": "same", **options})


def conv2d(filters=3, taps=3, **options):
    return layers.Conv2D(filters, taps, **{"padding": "same", **options})


def chain(*parts):
    def build(x):
        for part in parts:
            x = part(x)
        return x

    return build


def residual(x):
    y = bn()(layers.Add()([conv(4)(x), conv(4, 1)(x)]))
    return ops.relu(y)


def dense_block(x):
    x = layers.Concatenate()([x, conv()(x)])
    return conv()(layers.ReLU()(bn()(x)))


def attention(x):
    weights = layers.Softmax(axis=1)(layers.Dense(1)(x))
    return layers.Flatten()(layers.Dot(axes=1)([weights, x]))


def shared_padding(x):
    x = conv(4, 1)(x)
    left, right = conv(3, 3, padding="causal")(x), conv(3, 3, padding="causal")(x)
    return layers.Concatenate()([left, right])


def crop(x, before, after):
    return layers.Cropping1D((before, after))(x)


FORMS = {
    # batch normalization
    "bn behind": (SEQUENCE, chain(conv(), bn(), layers.ReLU()), "Conv relu"),
    "bn behind depthwise": (IMAGE, chain(layers.DepthwiseConv2D(3, depth_multiplier=2), bn()), "Depthwise"),
    "bn behind transposed": (SEQUENCE, chain(layers.Conv1DTranspose(3, 4, strides=2), bn()), "TransposeConv"),
    "bn behind dense": (VECTOR, chain(layers.Dense(4), bn(), layers.Dense(2)), "Dense Dense"),
    "bn behind pooling": (SEQUENCE, chain(conv(), layers.AveragePooling1D(2), bn()), "Conv average"),
    "bn behind flatten": (SEQUENCE, chain(conv(), layers.Flatten(), bn()), "Conv Reshape Depthwise Reshape"),
    "bn behind flatten and dense": (SEQUENCE, chain(conv(), layers.Flatten(), bn(), layers.Dense(2)), "Conv Dense"),
    "bn behind add": (SEQUENCE, residual, "Conv Conv add relu"),
    "bn before valid": (SEQUENCE, chain(bn(), conv(padding="valid")), "Conv"),
    "bn before same": (SEQUENCE, chain(bn(), conv()), "Depthwise Conv"),
    "bn without offset before same": (
        SEQUENCE,
        lambda x: conv()(layers.Rescaling([0.5, 2.0, -1.0, 3.0])(x)),
        "Conv",
    ),
    "bn before groups": (IMAGE, chain(bn(), layers.Conv2D(6, 2, groups=2)), "Conv"),
    "bn before depthwise": (IMAGE, chain(bn(), layers.DepthwiseConv2D(2)), "Depthwise"),
    "bn behind relu": (SEQUENCE, chain(conv(), layers.ReLU(), bn(), conv(padding="valid")), "Conv relu Conv"),
    "bn behind relu and pooling": (
        SEQUENCE,
        chain(conv(), layers.ReLU(), bn(), layers.AveragePooling1D(2), layers.Flatten(), layers.Dense(2)),
        "Conv relu average Dense",
    ),
    "bn between relu and same": (SEQUENCE, chain(conv(), layers.ReLU(), bn(), conv()), "Conv relu Depthwise Conv"),
    "bn of a dense block": (SEQUENCE, dense_block, "Conv Concat Depthwise relu Conv"),
    "bn along time": (SEQUENCE, chain(conv(), bn(axis=1)), "Conv Transpose Depthwise Transpose"),
    "bn of logits": (VECTOR, chain(layers.Dense(4), layers.ReLU(), bn()), "Dense relu Reshape Depthwise Reshape"),
    # scales and offsets
    "rescaling": (IMAGE, chain(layers.Rescaling(1 / 255, -0.5), conv2d(padding="valid")), "Conv"),
    "arithmetic": (SEQUENCE, lambda x: 1.0 - conv()(x) / 2.0, "Conv"),
    "average": (SEQUENCE, lambda x: layers.Average()([conv(4)(x), conv(4)(x)]), "Conv Conv add"),
    "vector of time": (SEQUENCE, lambda x: conv()(x) * np.ones((12, 1), "float32"), "Conv Constant multiply"),
    "raw units": (
        SEQUENCE,
        chain(layers.Normalization(mean=[1e5, 0, 0, 20], variance=[1e4, 1, 1, 9]), conv(padding="valid")),
        "Depthwise Conv",
    ),
    # functions of each element, normalization by sample
    "elu": (SEQUENCE, conv(activation="elu"), "Conv elu"),
    "gelu": (SEQUENCE, conv(activation="gelu"), "Conv gelu"),
    "absolute": (SEQUENCE, lambda x: keras.ops.abs(conv()(x)), "Conv abs"),
    "layer normalization": (
        SEQUENCE,
        chain(conv(), layers.LayerNormalization(), conv(padding="valid")),
        "Conv Conv subtract multiply Conv rsqrt multiply Conv",
    ),
    "layer normalization of a vector": (
        VECTOR,
        chain(layers.LayerNormalization(), layers.Dense(2)),
        "Dense subtract multiply Dense rsqrt multiply Dense",
    ),
    "layer normalization of a map": (
        IMAGE,
        layers.LayerNormalization(axis=(1, 2)),
        "Reduce subtract multiply Reduce rsqrt multiply Constant multiply Constant add",
    ),
    "group normalization": (
        IMAGE,
        chain(conv2d(4), layers.GroupNormalization(2), conv2d(padding="valid")),
        "Conv Reduce Conv subtract multiply Reduce Conv rsqrt multiply Conv",
    ),
    "rms normalization": (
        SEQUENCE,
        chain(layers.RMSNormalization(), conv()),
        "multiply Conv rsqrt multiply Conv",
    ),
    # padding
    "same": (SEQUENCE, conv(dilation_rate=2), "Conv"),
    "causal": (SEQUENCE, conv(padding="causal", dilation_rate=2), "Pad Conv"),
    "causal with one tap": (SEQUENCE, conv(taps=1, padding="causal"), "Conv"),
    "padding that is same": (SEQUENCE, chain(layers.ZeroPadding1D(1), conv(padding="valid")), "Conv"),
    "padding twice": (IMAGE, chain(layers.ZeroPadding2D(1), conv2d(), layers.ZeroPadding2D(2)), "Pad Conv Pad"),
    "padding and causal": (SEQUENCE, chain(layers.ZeroPadding1D((2, 1)), conv(padding="causal")), "Pad Conv"),
    "padding, then cropping": (SEQUENCE, lambda x: conv()(crop(layers.ZeroPadding1D(3)(x), 3, 2)), "Pad Conv"),
    "padding, then all cropped": (SEQUENCE, lambda x: conv()(crop(layers.ZeroPadding1D(2)(x), 2, 2)), "Conv"),
    "padding behind, cropping in front": (
        SEQUENCE, lambda x: conv()(crop(layers.ZeroPadding1D((1, 3))(x), 3, 0)), "Slice Pad Conv",
    ),
    "cropping twice": (SEQUENCE, lambda x: crop(crop(x, 1, 2), 2, 0), "Slice"),
    "more zeros than strides reach": (
        SEQUENCE,
        chain(layers.ZeroPadding1D((0, 1)), conv(taps=2, strides=2, padding="valid")),
        "Conv",
    ),
    "padding shared": (SEQUENCE, shared_padding, "Conv Pad Conv Conv Concat"),
    "padding with a value": (
        SEQUENCE,
        lambda x: conv()(ops.pad(x, ((0, 0), (1, 1), (0, 0)), constant_values=1.0)),
        "Pad Conv",
    ),
    # subsampling, as `export` writes a dilation that is a multiple of the stride
    "subsampling": (SEQUENCE, chain(layers.MaxPooling1D(1, 2), conv(padding="valid", dilation_rate=2)), "Conv"),
    "subsampling and causal": (SEQUENCE, chain(layers.MaxPooling1D(1, 2), conv(padding="causal")), "Pad Conv"),
    "subsampling of an odd length": (
        (13, 4),
        chain(layers.ZeroPadding1D((3, 0)), layers.MaxPooling1D(1, 3), conv(taps=2, padding="valid")),
        "Pad Conv",
    ),
    # what is left of such a kernel, once it is cut again
    "subsampling, cropped": (
        SEQUENCE,
        chain(layers.MaxPooling1D(1, 2), layers.Cropping1D((1, 0)), conv(padding="valid")),
        "Slice Conv",
    ),
    "padding, subsampling, cropped": (
        (13, 4),
        chain(
            layers.ZeroPadding1D((5, 2)),
            layers.MaxPooling1D(1, 2),
            layers.Cropping1D((1, 0)),
            conv(padding="valid"),
        ),
        "Pad Conv",
    ),
    "subsampling, cropped at both ends": (
        (14, 4),
        chain(
            layers.ZeroPadding1D((1, 0)),
            layers.MaxPooling1D(1, 3),
            layers.Cropping1D((1, 1)),
            conv(padding="valid"),
        ),
        "Slice Conv",
    ),
    # time as a map of one row, and other forms
    "one dimension": (
        SEQUENCE,
        chain(
            layers.SeparableConv1D(6, 3, padding="same"),
            layers.MaxPooling1D(2),
            layers.DepthwiseConv1D(3, padding="same"),
            layers.UpSampling1D(2),
            layers.Dense(2),
            layers.GlobalMaxPooling1D(),
            layers.Dense(2),
        ),
        "Depthwise Conv max Depthwise Resize Conv max Dense",
    ),
    "transposed of stride 1": (IMAGE, layers.Conv2DTranspose(3, 3, padding="same"), "Conv"),
    "transposed, valid": (SEQUENCE, layers.Conv1DTranspose(3, 4, dilation_rate=2), "Pad Conv"),
    "one channel a group": (IMAGE, layers.Conv2D(8, 3, groups=4), "Depthwise"),
    "channels first": (
        (4, 8, 6),
        lambda x: layers.Conv2D(3, 3, use_bias=False, data_format="channels_first")(x),
        "Transpose Conv Transpose",
    ),
    "mean over time": (SEQUENCE, lambda x: ops.mean(conv()(x), axis=1), "Conv average Reshape"),
    "sum over channels": (SEQUENCE, lambda x: ops.sum(conv()(x), axis=-1), "Conv Conv Reshape"),
    "smallest": (SEQUENCE, lambda x: layers.Dense(2)(ops.min(conv()(x), axis=1)), "Conv max Dense"),
    "repeated vector": (VECTOR, chain(layers.RepeatVector(6), conv()), "Resize Conv"),
    "attention": (SEQUENCE, attention, "Conv Reshape softmax MatMul Reshape"),
    "softmax over time": (SEQUENCE, layers.Softmax(axis=1), "Transpose softmax Transpose"),
    "stacked": (SEQUENCE, lambda x: ops.stack([x, conv(4)(x)], axis=-1), "Reshape Conv Reshape Concat"),
    "split": (SEQUENCE, lambda x: layers.Add()(ops.split(x, 2, axis=-1)), "Slice Slice add"),
    "slices": (SEQUENCE, lambda x: conv()(x)[:, 1:9][:, ::-2], "Conv Slice"),
    "step of time": (SEQUENCE, lambda x: conv()(x)[:, -1], "Conv Slice Reshape"),
    # reshapes
    "there and back": (SEQUENCE, chain(layers.Flatten(), layers.Reshape((12, 4)), conv()), "Conv"),
    "input with one more axis": ((8, 6), chain(layers.Reshape((8, 6, 1)), conv2d()), "Conv"),
    "permuted there and back": (
        IMAGE,
        chain(conv2d(), layers.Permute((3, 1, 2)), layers.Permute((2, 3, 1)), layers.Flatten(), layers.Dense(2)),
        "Conv Dense",
    ),
    "flatten and dropout": (
        SEQUENCE,
        chain(conv(), layers.Flatten(), layers.Dropout(0.5), layers.Dense(3, activation="relu"), layers.Dense(2)),
        "Conv Dense relu Dense",
    ),
    # activations
    "hard sigmoid": (SEQUENCE, chain(conv(activation="hard_sigmoid"), conv()), "Conv relu6 Conv"),
    "limits": (SEQUENCE, chain(conv(), layers.ReLU(6.0), conv(), layers.ReLU(2.0)), "Conv relu6 Conv clip"),
    "slopes": (SEQUENCE, chain(conv(), layers.LeakyReLU(), layers.PReLU(shared_axes=[1])), "Conv leaky_relu PReLU"),
    "squared": (SEQUENCE, lambda x: conv()(x) ** 2, "Conv multiply"),
    "threshold": (SEQUENCE, layers.ReLU(threshold=0.5), "Foreign"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_form(name):
    shape, build, expected = FORMS[name]
    inputs = keras.Input(shape, name="signal")
    model = keras.Model(inputs, build(inputs))
    rng = np.random.default_rng(0)
    randomize(model, rng)
    network = lower(model)
    assert kinds(network) == expected.split()
    assert [node.shape for node in network.outputs] == [form(model.outputs[0].shape)]
    assert error(model, network, rng.normal(size=(3, *shape)).astype("float32")) < 1e-5


def test_bn_with_negative_scale_stays_behind_max_pooling():
    inputs = keras.Input(SEQUENCE)
    norm = bn()
    model = keras.Model(inputs, norm(layers.MaxPooling1D(2)(conv()(inputs))))
    x = np.random.default_rng(0).normal(size=(3, *SEQUENCE)).astype("float32")
    norm.gamma.assign([1.0, 0.5, 2.0])
    assert kinds(lower(model)) == ["Conv", "max"]
    assert error(model, lower(model), x) < 1e-5
    norm.gamma.assign([1.0, -0.5, 2.0])
    assert kinds(lower(model)) == ["Conv", "max", "Depthwise"]
    assert error(model, lower(model), x) < 1e-5


def test_bn_stays_behind_what_others_read():
    inputs = keras.Input(SEQUENCE)
    x = conv()(inputs)
    model = keras.Model(inputs, [bn()(x), layers.ReLU()(x)])
    randomize(model, np.random.default_rng(0))
    assert kinds(lower(model)) == ["Conv", "Depthwise", "relu"]
    assert error(model, lower(model), np.ones((1, *SEQUENCE), "float32")) < 1e-5


def test_shared_layers_and_nested_models():
    inner = keras.Sequential([keras.Input(SEQUENCE), conv(4), bn(), layers.ReLU()], name="inner")
    inputs = keras.Input(SEQUENCE)
    model = keras.Model(inputs, inner(inner(inputs)))
    rng = np.random.default_rng(0)
    randomize(model, rng)
    network = lower(model)
    assert kinds(network) == ["Conv", "relu", "Conv", "relu"]
    first, second = (node.operator.kernel for node in network.nodes() if hasattr(node.operator, "kernel"))
    np.testing.assert_array_equal(first, second)
    assert error(model, network, rng.normal(size=(3, *SEQUENCE)).astype("float32")) < 1e-5


def test_logits_leave_out_the_softmax():
    inputs = keras.Input(VECTOR)
    x = layers.Dense(3, activation="softmax")(inputs)
    model = keras.Model(inputs, [layers.Dense(3, activation="softmax")(x), layers.Dense(2)(x)])
    assert kinds(lower(model)) == ["Dense", "softmax", "Dense", "softmax", "Dense"]
    assert kinds(lower(model, logits=True)) == ["Dense", "softmax", "Dense", "Dense"]


def test_pixels_are_floats_where_they_are_rescaled():
    inputs = keras.Input(IMAGE, dtype="uint8")
    inner = keras.Sequential([keras.Input(IMAGE, dtype="uint8"), layers.Rescaling(1 / 255)])
    x = layers.Flatten()(layers.Conv2D(3, 3)(layers.Add()([inner(inputs), layers.Rescaling(0.5)(inputs)])))
    model = keras.Model(inputs, layers.Dense(2)(x))
    pixels = np.random.default_rng(0).integers(0, 256, (40, *IMAGE)).astype("uint8")
    assert lower(model).inputs[0].operator.dtype == "float32"
    assert error(model, lower(model), pixels.astype("float32")) < 1e-5
    assert "CAST" not in {op.name for op in read_graph(to_tflite(model, pixels)).ops}
    doubled = keras.Model(inputs, layers.Rescaling(0.5)(inputs + inputs))  # wraps around at 256
    assert lower(doubled).inputs[0].operator.dtype == "uint8"


def test_masks_are_refused():
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(5, 4, mask_zero=True, name="words")(inputs)
    model = keras.Model(inputs, layers.GlobalAveragePooling1D()(x))
    with pytest.raises(DeploymentError, match=r"'words' \(Embedding\) makes or passes on a mask; .*mask_zero=False"):
        lower(model)


def test_training_mode_is_not_taken_for_inference():
    """Dropout that is told to drop, even in inference, drops at random as Keras would."""
    inputs = keras.Input(SEQUENCE)
    model = keras.Model(inputs, layers.Dropout(0.5)(inputs, training=True))
    (noisy,) = evaluate(lower(model), [np.ones((100, *SEQUENCE), "float32")])
    assert set(np.unique(noisy)) == {0.0, 2.0}


# -- whole networks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_network_computes_what_the_model_does(name):
    model, x = randomized(name)
    network = lower(model)
    assert error(model, network, x[:2]) < 1e-5
    assert not {"Affine", "Foreign", "multiply", "Slice", "Transpose"} & set(kinds(network))


@pytest.mark.parametrize("seed", range(30))
def test_random_network_computes_what_the_model_does(seed):
    model = random_network(seed)
    assert error(model, lower(model), data(model, np.random.default_rng(seed))) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("first", range(30, 2030, 100))
def test_many_random_networks(first):
    for seed in range(first, first + 100):
        model = random_network(seed)
        assert error(model, lower(model), data(model, np.random.default_rng(seed))) < 1e-5, f"seed {seed}"


@pytest.mark.filterwarnings("ignore:The macs of model:UserWarning")
@pytest.mark.parametrize("seed", range(20))
def test_exported_network_computes_what_the_model_does(seed):
    """Also what `export` puts in: padding, cropping and subsampling in front of shortened kernels."""
    model, rng = random_network(seed), np.random.default_rng(seed)
    search = keras_pit.convert(model, **arguments(model, rng))
    random_masks(search, rng)
    slim = keras_pit.export(search)
    assert error(slim, lower(slim), data(slim, rng)) < 1e-5


def test_model_is_left_alone():
    model, _ = randomized("ds_cnn")
    weights, nodes = model.get_weights(), [len(layer._inbound_nodes) for layer in model.layers]
    lower(model)
    assert [len(layer._inbound_nodes) for layer in model.layers] == nodes
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


# -- files ------------------------------------------------------------------------------------------------------------

CLASSIFIER = ["FULLY_CONNECTED", "SOFTMAX"]
FILES = {
    "temponet": 2 * (2 * ["CONV_2D", "DEPTHWISE_CONV_2D"] + ["CONV_2D", "AVERAGE_POOL_2D", "DEPTHWISE_CONV_2D"])
    + (2 * ["CONV_2D", "DEPTHWISE_CONV_2D"] + ["CONV_2D", "AVERAGE_POOL_2D"])
    + 3 * ["FULLY_CONNECTED"],
    "ecgtcn": ["PAD", "CONV_2D"] + 3 * (2 * ["PAD", "CONV_2D"] + ["CONV_2D", "ADD"]) + CLASSIFIER,
    "tc_resnet14": ["PAD", "CONV_2D"] + 6 * (2 * ["PAD", "CONV_2D"] + ["CONV_2D", "ADD"]) + CLASSIFIER,
    "tccnet": 3 * (2 * ["PAD", "CONV_2D"] + ["CONV_2D", "ADD"]) + ["PAD", "CONV_2D", "CONV_2D", "ADD"]
    + ["CONV_2D", "TANH", "CONV_2D", "RESHAPE", "SOFTMAX", "BATCH_MATMUL"] + CLASSIFIER,
    "tcn": 4 * ["PAD", "CONV_2D"] + ["AVERAGE_POOL_2D"] + CLASSIFIER,
    "ds_cnn": ["CONV_2D"] + 4 * ["DEPTHWISE_CONV_2D", "CONV_2D"] + ["AVERAGE_POOL_2D"] + CLASSIFIER,
    "resnet8": ["CONV_2D"] + 2 * ["CONV_2D"] + ["ADD"] + 2 * (3 * ["CONV_2D"] + ["ADD"])
    + ["AVERAGE_POOL_2D"] + CLASSIFIER,
    "mobilenet_v1_025": ["CONV_2D"] + 13 * ["DEPTHWISE_CONV_2D", "CONV_2D"] + ["AVERAGE_POOL_2D"] + CLASSIFIER,
    "autoencoder": 10 * ["FULLY_CONNECTED"],
}  # fmt: skip
"""The operators of each file, which are also those of its seed."""


@pytest.mark.parametrize("name", FILES)
def test_file_has_no_other_operators(name):
    model, x = randomized(name)
    found = [op.name for op in read_graph(to_tflite(model, x[:4], verify=False)).ops]
    assert sorted(found) == sorted(FILES[name])


# TFLite-Micro rounds FULLY_CONNECTED one step wrong in 1 of 700 elements (LiteRT is exact), which adds up along layers.
DEEP_DENSE = ("autoencoder", "temponet")


def test_files_run_alike():
    """On TFLite-Micro and LiteRT; `verify` raises where an operator alone is more than one step apart."""
    reports = {}
    for name in FILES:
        model, x = randomized(name)
        tflite = to_tflite(model, x, logits=True, verify=False)
        reports[name] = verify(tflite, lively(np.random.default_rng(1), 50, x.shape[1:]), limit=50)
    shallow = [report for name, report in reports.items() if name not in DEEP_DENSE]
    assert {report.largest for report in shallow} <= {0, 1}
    assert sum(report.different for report in shallow) <= 0.01 * sum(report.elements for report in shallow)


REFUSED = re.compile(
    r"TFLite-Micro has no kernel for (EXP|SQRT|TILE)"
    rf"|computes with floats: (SQUARE|NEG|CUMSUM|LOG{'|DIV' if Version(tf.__version__) < Version('2.18') else ''})"
    r"|has a loop or branch in '(lstm|gru|bidirectional)"
)
"""What TFLite-Micro or TFLite cannot do with integers: `cumsum`, `tile`, `logsumexp` and the like, recurrent layers;
TensorFlow 2.17 no division of two tensors."""


def deployed(seed):
    """How an int8 file compares with LiteRT; None if the model is refused for a reason above."""
    model, rng = random_network(seed), np.random.default_rng(seed)
    samples = [
        rng.integers(0, 7, (24, *tensor.shape[1:])).astype("int32")
        if tensor.dtype == "int32"
        else rng.normal(size=(24, *tensor.shape[1:])).astype("float32")
        for tensor in model.inputs
    ]
    try:
        return verify(to_tflite(model, samples, verify=False), samples)
    except DeploymentError as refusal:
        if not REFUSED.search(str(refusal)):
            raise
        return None


def check_files_of_random_networks(seeds):
    """Few outputs are a step apart. Random weights may multiply a step; then `verify` looks at each operator alone."""
    reports = [report for report in map(deployed, seeds) if report]
    print(f"{len(reports)} of {len(seeds)} random networks deployed")
    assert len(reports) >= 0.45 * len(seeds)
    calm = [report for report in reports if report.largest <= 1]
    assert len(calm) >= 0.9 * len(reports)
    assert sum(report.different for report in calm) <= 0.01 * sum(report.elements for report in calm)


def test_files_of_random_networks():
    check_files_of_random_networks(range(25))


@pytest.mark.slow
def test_files_of_many_random_networks():
    check_files_of_random_networks(range(25, 400))
