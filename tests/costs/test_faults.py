"""What libraries of kernels compute wrongly is known, avoided where a file is made, and told of others' files."""

import re
import warnings

import keras
import numpy as np
import pytest
from keras import layers
from test_kernels import activation, call

import keras_pit
from keras_pit import boards
from keras_pit.costs import cores
from keras_pit.costs.faults import FAULTS, faults
from keras_pit.costs.operators import Operator, Tensor
from keras_pit.costs.program import Program
from keras_pit.deployment import DeploymentError
from keras_pit.deployment.flatbuffer import read_program

X = np.random.default_rng(0).normal(size=(8, 12, 3)).astype("float32")


def transposed(channels=3, width=1, stride=(1, 2), height=1, rows=1):
    tensors = (
        Tensor((4,), "int32", True),
        Tensor((5, height, width, channels), constant=True, channels=5),
        activation(1, rows, 12, channels),
        activation(1, rows * stride[0], 12 * stride[1], 5),
    )
    op = Operator("TRANSPOSE_CONV", (0, 1, 2), (3,), stride)
    return Program((op,), tensors, (2,), (3,))


@pytest.mark.parametrize(
    ("program", "overruns"),
    [
        (transposed(), True),
        (transposed(channels=16), True),
        (transposed(channels=17), False),
        (transposed(channels=17, width=2, stride=(1, 3)), True),
        (transposed(width=2), False),
        (transposed(width=3, stride=(1, 4)), True),
        (transposed(stride=(2, 2), rows=3), False),
        (transposed(height=3, stride=(2, 3), rows=4, width=2), True),
        (transposed(stride=(1, 1)), False),
    ],
)
def test_a_transposed_convolution_that_overruns_its_scratch_memory(program, overruns):
    (op,) = program.operators
    down, across = op.stride
    kernel_width = program.tensors[1].shape[2]
    asked = 11 * across + max(kernel_width, down)
    written = 11 * across + max(kernel_width, across)
    scatters = program.tensors[2].shape[3] <= 16 or max(op.stride) > 2
    assert overruns == (scatters and written > asked)
    found = faults(program, "CMSIS-NN")
    assert [one.place for one in found] == ["TRANSPOSE_CONV 0"] * overruns
    assert all(one.fault.corrupts for one in found)
    assert faults(program, "ESP-NN") == []


def test_every_row_of_the_table_is_complete():
    libraries = {cores.get(name).library for name in cores.names()}
    for fault in FAULTS:
        assert fault.library in libraries
        assert fault.problem and fault.cure and fault.source


def upsampling(width, stride, padding="valid", filters=4):
    inputs = keras.Input((12, 3))
    x = layers.Conv1DTranspose(filters, width, strides=stride, padding=padding, name="up")(inputs)
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("width", "stride"), [(1, 2), (2, 3), (3, 4), (3, 2), (2, 2)])
def test_files_made_here_do_not_use_it(width, stride, padding):
    model = upsampling(width, stride, padding)
    tflite = keras_pit.to_tflite(model, X)
    program = read_program(tflite)
    (op,) = (op for op in program.operators if op.name == "TRANSPOSE_CONV")
    assert program.tensors[op.inputs[1]].shape[2] == max(width, stride)
    assert faults(program, "CMSIS-NN") == []
    # What is known before the file is made is the same network.
    assert keras_pit.fits(model, "nano33ble").ram.used == keras_pit.fits(tflite, "nano33ble").ram.used


def test_widened_filters_compute_the_same():
    # Of two dimensions, of which only one is too narrow.
    inputs = keras.Input((3, 4, 2))
    x = layers.Conv2DTranspose(3, (2, 1), strides=(1, 3), activation="relu")(inputs)
    model = keras.Model(inputs, x)
    x = np.random.default_rng(1).normal(size=(2, 3, 4, 2)).astype("float32")
    network = keras_pit.lowering.lower(model)
    values = network.evaluate(lambda node, *values: node.operator.compute(*values), [keras.ops.convert_to_tensor(x)])
    np.testing.assert_allclose(values[0], model(x), atol=1e-6)


def strangers_file():
    """As other converters write it: the narrow filter as it is."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2 as constant

    kernel = np.random.default_rng(0).normal(size=(1, 1, 4, 3)).astype("float32")

    def function(x):
        return tf.nn.conv2d_transpose(x, kernel, (1, 1, 24, 4), (1, 2), "VALID")

    frozen = constant(tf.function(function).get_concrete_function(tf.TensorSpec((1, 1, 12, 3))))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([x[None, None]] for x in X)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return converter.convert()


def test_files_of_others_are_refused_or_told_of(tmp_path):
    tflite = strangers_file()
    advice = [one for one in keras_pit.profile(tflite).advice if one.place == "TRANSPOSE_CONV 0"]
    assert any("CMSIS-NN writes beyond its scratch memory" in one.problem for one in advice)
    assert any("keras_pit.to_tflite" in one.cure for one in advice)
    with pytest.warns(UserWarning, match=r"On board 'pico', TRANSPOSE_CONV 0: CMSIS-NN writes beyond"):
        found = keras_pit.fits(tflite, "pico")
    assert [one.place for one in found.faults] == ["TRANSPOSE_CONV 0"]
    assert "CMSIS-NN writes beyond" in " ".join(str(found).split())
    with pytest.raises(DeploymentError, match=r"cannot be deployed for core 'cortex-m4'\. TRANSPOSE_CONV 0: CMSIS-NN"):
        keras_pit.deploy(tflite, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def classifier(classes):
    inputs = keras.Input((12, 3))
    x = layers.Dense(9, activation="relu", name="hidden")(layers.Flatten()(inputs))
    return keras.Model(inputs, layers.Dense(classes, activation="softmax", name="out")(x))


def test_dense_layers_for_esp_nn_are_warned_of_and_padded(tmp_path):
    model = classifier(2)
    plain = keras_pit.to_tflite(model, X)
    with pytest.warns(UserWarning, match=r"FULLY_CONNECTED 0: ESP-NN may .* FULLY_CONNECTED 1: .*multiple of 8"):
        found = keras_pit.fits(plain, "esp32-s3")
    assert len(found.faults) == 2 and all('core="esp32-s3"' in one.cure for one in found.faults)
    with pytest.warns(UserWarning, match=r"On core 'esp32-s3', FULLY_CONNECTED 0: ESP-NN"):
        keras_pit.deploy(plain, tmp_path / "plain", core="esp32-s3")
    padded = keras_pit.to_tflite(model, X, core="esp32-s3")
    program = read_program(padded)
    dense = [op for op in program.operators if op.name == "FULLY_CONNECTED"]
    assert [program.tensors[op.inputs[1]].shape[0] for op in dense] == [16, 8]
    assert [op.activation for op in dense] == ["relu", "none"]
    assert program.tensors[program.outputs[0]].shape == (1, 2)
    assert keras_pit.fits(padded, "esp32-s3").faults == ()
    keras_pit.deploy(model, tmp_path / "padded", calibration=X, core="esp32-s3")


def test_boards_with_other_kernels_are_not_warned():
    tflite = keras_pit.to_tflite(classifier(2), X)
    for name in boards.names():
        if cores.of_board(boards.get(name)).library == "CMSIS-NN":
            reserved = boards.Reserved(0, 0)
            assert keras_pit.fits(tflite, name, reserved=reserved).faults == ()


@pytest.mark.parametrize("core", cores.names())
def test_bundles_for_every_core(tmp_path, core):
    model = keras.Sequential([layers.Input((12, 3)), layers.Flatten(), layers.Dense(8)])
    tflite = keras_pit.to_tflite(model, X, verify=False)
    directory = keras_pit.deploy(tflite, tmp_path / "bundle", core=core, margin=0.0)
    needed = keras_pit.profile(tflite).arena[core].needed
    readme = (directory / "README.md").read_text()
    assert core in readme and f"{needed:,}" in readme
    assert int(re.search(r"> 4 \? \d+ : (\d+)", (directory / "model_settings.h").read_text())[1]) >= needed


def test_the_state_of_an_svdf():
    memory = [Tensor((8, 6), constant=True), Tensor((8, 4), constant=True), Tensor((8,), "int32", True)]
    for dtype, number in (("int8", 1), ("int16", 0)):
        one = call("SVDF", [activation(1, 6), *memory, Tensor((1, 32), dtype, variable=True)], [activation(1, 8)])
        program = Program((one.op,), (*one.inputs, *one.outputs), (0,), (5,))
        assert len(faults(program, "CMSIS-NN")) == number
