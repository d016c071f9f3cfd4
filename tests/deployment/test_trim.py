"""Trimmed files: smaller, bit-equal on both runtimes, and nothing left that no kernel reads."""

import copy
import zipfile
from functools import cache
from pathlib import Path

import flatbuffers
import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from keras import layers
from untrimmed import naive, untrimmed

from keras_pit.deployment import DeploymentError, run_litert, run_tflite_micro, to_tflite, trim
from keras_pit.deployment.flatbuffer import read_graph, unpack
from keras_pit.deployment.packing import Parts, pack

MEASURED = Path(__file__).resolve().parents[1] / "data/cortex_m_nets.zip"


def tcn():
    x = inputs = keras.Input((64, 4))
    for dilation in (1, 2, 4):
        x = layers.Conv1D(8, 3, padding="causal", dilation_rate=dilation)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(x))


def residual():
    x = inputs = keras.Input((8, 8, 4))
    y = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    x = layers.Add()([x, y])
    x = layers.Concatenate()([x, layers.Conv2D(6, 1)(x)])
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.MaxPooling2D()(x))))


def separable():
    return keras.Sequential(
        [
            layers.Input((12, 12, 3)),
            layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
            layers.DepthwiseConv2D(3, padding="same", activation="relu"),
            layers.Conv2D(12, 1, activation="relu"),
            layers.AveragePooling2D(6),
            layers.Flatten(),
            layers.Dense(4, activation="sigmoid"),
        ]
    )


def transposed():
    return keras.Sequential([layers.Input((4, 4, 2)), layers.Conv2DTranspose(3, 3, strides=2)])


def flattened_twice():
    """What Flatten makes is an output as well: its operator has to stay."""
    inputs = keras.Input((4, 4, 2))
    flat = layers.Flatten()(inputs)
    return keras.Model(inputs, [layers.Dense(3)(flat), flat])


def dense_in_time():
    """Dense along the last axis keeps the axes in front of it."""
    x = inputs = keras.Input((6, 4))
    x = layers.Dense(5, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))


def two_inputs():
    inputs = [keras.Input((8,)), keras.Input((8,))]
    return keras.Model(inputs, layers.Dense(3)(layers.Multiply()(inputs)))


NETWORKS = (tcn, residual, separable, transposed, flattened_twice, dense_in_time, two_inputs)
FILES = [(network, "int8") for network in NETWORKS] + [(residual, "int16x8"), (tcn, None)]


@cache
def converted(network, quantization):
    """The file of a network as the converter leaves it, and samples."""
    keras.utils.set_random_seed(0)
    model = network()
    rng = np.random.default_rng(0)
    samples = [rng.normal(size=(16, *tensor.shape[1:])).astype("float32") for tensor in model.inputs]
    return untrimmed(model, samples, quantization), samples


def ids(row):
    return f"{row[0].__name__}-{row[1]}"


@pytest.mark.parametrize("row", FILES, ids=ids)
def test_outputs_are_bit_equal(row):
    tflite, samples = converted(*row)
    trimmed = trim(tflite)
    for run in (run_tflite_micro, run_litert):
        for expected, received in zip(run(tflite, samples).outputs, run(trimmed, samples).outputs, strict=True):
            np.testing.assert_array_equal(received, expected)


@pytest.mark.parametrize("row", FILES, ids=ids)
def test_a_trimmed_file_is_trimmed_already(row):
    trimmed = trim(converted(*row)[0])
    assert trim(trimmed) == trimmed


@pytest.mark.parametrize("row", FILES, ids=ids)
def test_nothing_is_left_that_no_kernel_reads(row):
    model = unpack(trim(converted(*row)[0]))
    assert model.description is None and model.metadata is None and model.signatureDefs is None
    contents = [b"" if buffer.data is None else bytes(buffer.data) for buffer in model.buffers]
    assert len(set(contents)) == len(contents)
    codes = [(max(code.builtinCode, code.deprecatedBuiltinCode), code.version) for code in model.operatorCodes]
    assert len(set(codes)) == len(codes)
    (subgraph,) = model.subgraphs
    assert subgraph.name is None
    assert {tensor.name for tensor in subgraph.tensors} == {None}
    assert {tensor.buffer for tensor in subgraph.tensors} | {0} == set(range(len(contents)))
    assert {op.opcodeIndex for op in subgraph.operators} == set(range(len(codes)))
    read = {int(i) for op in subgraph.operators for i in (*op.inputs, *op.outputs)}
    assert read - {-1} == set(range(len(subgraph.tensors)))
    for tensor in subgraph.tensors:
        assert tensor.shapeSignature is None
        assert tensor.quantization is None or (tensor.quantization.min is None and tensor.quantization.max is None)


@pytest.mark.parametrize("row", FILES, ids=ids)
def test_constants_are_aligned(row):
    model = schema.Model.GetRootAs(trim(converted(*row)[0]), 0)
    for number in range(1, model.BuffersLength()):
        table = model.Buffers(number)._tab
        assert table.Vector(table.Offset(4)) % 16 == 0


def plain(tree):
    """A tree of the schema's objects as one of lists and dictionaries."""
    if isinstance(tree, list):
        return [plain(one) for one in tree]
    if hasattr(tree, "__dict__"):
        return {name: plain(value) for name, value in vars(tree).items()}
    return tree.tolist() if isinstance(tree, np.ndarray) else tree


@pytest.mark.parametrize("row", FILES, ids=ids)
def test_a_packed_file_holds_the_same(row):
    """Also names, metadata and all else that is in a file before trimming."""
    tflite, _ = converted(*row)
    packed = pack(unpack(tflite), schema, b"TFL3")
    assert len(packed) < len(tflite)
    assert plain(unpack(packed)) == plain(unpack(tflite))


@pytest.mark.parametrize("row", FILES, ids=ids)
def test_parts_leave_no_gaps(row):
    trimmed = trim(converted(*row)[0])
    parts = Parts(schema)
    parts.add(unpack(trimmed))
    sizes = [8, sum(map(len, parts.vtables)), *(len(part.content) for part in parts.parts)]
    assert 0 <= len(trimmed) - sum(size + -size % 4 for size in sizes) <= 4


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (residual, ["CONV_2D", "ADD", "CONV_2D", "CONCATENATION", "MAX_POOL_2D", "FULLY_CONNECTED"]),
        (flattened_twice, ["FULLY_CONNECTED", "RESHAPE"]),
    ],
)
def test_reshapes_go_where_a_dense_layer_reads_them(network, expected):
    assert [op.name for op in read_graph(trim(converted(network, "int8")[0])).ops] == expected


@pytest.mark.parametrize(("network", "most"), [(tcn, 0.55), (residual, 0.75), (separable, 0.75)])
def test_a_fraction_of_the_usual_route(network, most):
    samples = converted(network, "int8")[1]
    assert len(to_tflite(network(), samples, verify=False)) <= most * len(naive(network(), samples))


def test_inputs_and_outputs_keep_order_and_quantization():
    for row in FILES:
        whole, trimmed = read_graph(converted(*row)[0]), read_graph(trim(converted(*row)[0]))
        for side in ("inputs", "outputs"):
            facts = [[(t.shape, t.dtype, t.scale, t.zero_point) for t in getattr(g, side)] for g in (whole, trimmed)]
            assert facts[0] == facts[1]


def test_bias_keeps_its_quantization_only_where_a_kernel_reads_it():
    model = unpack(trim(converted(separable, "int8")[0]))
    (subgraph,) = model.subgraphs
    assert all(tensor.quantization is None for tensor in subgraph.tensors if tensor.type == schema.TensorType.INT32)


def test_what_is_added_goes_again():
    """A second copy of a constant, an unused tensor and operator code, texts: the file trims to the same bytes."""
    tflite, _ = converted(tcn, "int8")
    model = unpack(tflite)
    (subgraph,) = model.subgraphs
    weights = subgraph.tensors[subgraph.operators[-2].inputs[1]]
    model.buffers.append(copy.copy(model.buffers[weights.buffer]))
    weights.buffer = len(model.buffers) - 1
    subgraph.tensors.append(copy.copy(weights))
    model.operatorCodes.append(copy.copy(model.operatorCodes[0]))
    model.description, subgraph.name = "a long description", "main"
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    assert trim(bytes(builder.Output())) == trim(tflite)


def test_a_graph_without_names_tells_places_by_number():
    graph = read_graph(trim(converted(residual, "int8")[0]))
    assert graph.place(graph.ops[0]).startswith("tensor 0 -> tensor ")


def test_what_is_no_file_is_refused():
    with pytest.raises(DeploymentError, match=r"Expected the content of a \.tflite file"):
        trim(b"something else")


def test_measured_networks():
    with zipfile.ZipFile(MEASURED) as archive:
        names = archive.namelist()
        for name in names[:: len(names) // 6]:
            tflite = archive.read(name)
            (tensor,) = read_graph(tflite).inputs
            samples = np.random.default_rng(0).integers(-128, 128, (4, *tensor.shape[1:])).astype("int8")
            trimmed = trim(tflite)
            assert len(trimmed) < 0.9 * len(tflite)
            for run in (run_tflite_micro, run_litert):
                np.testing.assert_array_equal(run(trimmed, samples).outputs[0], run(tflite, samples).outputs[0])
