"""What calibration data may be, and what of it is refused."""

import keras
import numpy as np
import pytest
from deployed import dataset, make, nan_at_3
from keras import layers

from keras_pit.deployment import DeploymentError, quantize, quantize_aware, to_tflite


def test_calibration_forms_give_one_file():
    model, (x,) = make("dense")
    y = np.zeros(len(x))
    expected = to_tflite(model, x, verify=False)
    for calibration in (
        [x],
        x.astype("float64"),
        {model.inputs[0].name: x},
        dataset(x),
        dataset(x).batch(7),
        dataset(x, y),
        dataset(x, y).batch(7),
        dataset(x, y, y),
    ):
        assert to_tflite(model, calibration, verify=False) == expected


def test_calibration_forms_of_two_inputs_give_one_file():
    model, (left, right) = make("two_by_two")
    y = np.zeros(len(left))
    expected = to_tflite(model, [left, right], verify=False)
    for calibration in (
        (left, right),
        {"right": right, "left": left},
        dataset(left, right),
        dataset((left, right), y).batch(7),
        dataset({"right": right, "left": left}, y),
    ):
        assert to_tflite(model, calibration, verify=False) == expected


BAD_CALIBRATION = {
    "none": (lambda x: None, r"needs calibration data, received None. .*x_train\[:200\]"),
    "sample": (lambda x: x[0], r"has shape \(8,\); expected \('samples', 8\). Add the batch axis"),
    "shape": (lambda x: x[:, :5], r"'signal' has shape \(40, 5\); expected \('samples', 8\)"),
    "targets": (lambda x: (x, x[:, 0]), "tuple of 2; expected one array per input .* 1 in all"),
    "not finite": (lambda x: nan_at_3(x), "'signal' has NaN .* in 1 of 40 samples, .* sample 3"),
    "overflow": (lambda x: x.astype("float64") * 1e300, "infinite values in 40 of 40"),
    "text": (lambda x: x.astype(str), "is of type <U.*; expected float32"),
    "empty": (lambda x: x[:0], "at least one, for every input; received .0."),
    "endless": (lambda x: dataset(x).repeat(), r"infinite dataset; .*take\(200\)"),
    "empty dataset": (lambda x: dataset(x).take(0), "empty dataset"),
    "dataset shape": (lambda x: dataset(x[:, :5]), r"\(5,\); expected \('samples', 8\)"),
    "name": (lambda x: {"other": x}, "a dictionary of 'other'; expected .*'signal'"),
}


@pytest.mark.parametrize("case", BAD_CALIBRATION)
def test_bad_calibration_is_refused(case):
    change, message = BAD_CALIBRATION[case]
    model = keras.Sequential([layers.Input((8,), name="signal"), layers.Dense(2)])
    x = np.random.default_rng(0).normal(size=(40, 8)).astype("float32")
    with pytest.raises(ValueError, match=message):
        to_tflite(model, change(x))


def test_constant_calibration_is_refused():
    model, (left, right) = make("two_by_two")
    with pytest.raises(ValueError, match="'right' is 0 in all of 40 samples; expected typical inputs"):
        to_tflite(model, [left, 0 * right])
    with pytest.raises(ValueError, match="'left' is 1 in all of 40 samples"):
        quantize_aware(model, [0 * left + 1, right])
    assert to_tflite(model, [left, 0 * right], quantization=None)  # there is nothing to calibrate


@pytest.mark.parametrize("quantization", ["int8", "int16x8"])
def test_integers_far_from_the_floats_are_refused(quantization, monkeypatch):
    """A converter that is given samples of another scale, as a broken calibration would."""
    model, x = make("residual_tcn")
    honest = quantize.to_flatbuffer
    for factor in (0.01, 1e5):

        def scaled(frozen, scheme, feeds, by=factor):
            return honest(frozen, scheme, [by * feed for feed in feeds])

        monkeypatch.setattr(quantize, "to_flatbuffer", scaled)
        message = r"is not the float one: on 32 calibration samples, output 0 is .* off, .*% of their spread.*verify="
        with pytest.raises(DeploymentError, match=message):
            to_tflite(model, x, quantization=quantization)
        assert to_tflite(model, x, quantization=quantization, verify=False)


def test_unequal_calibration_is_refused():
    model, (left, right) = make("two_by_two")
    with pytest.raises(ValueError, match=r"received \[40, 39\] for 'left' .*'right'"):
        to_tflite(model, [left, right[1:]])
    with pytest.raises(ValueError, match=r"one ndarray; expected one array for each .* 2 inputs"):
        to_tflite(model, left)
