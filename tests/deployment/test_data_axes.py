"""A bundle says which axes of the data an input takes, where a search has left some of them only."""

import json

import keras
import numpy as np
import pytest
from keras import layers

import keras_pit
from keras_pit.deployment.data_axes import data_axes


def test_a_bundle_says_which_axes_are_read(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 5), name="signal")
    x = layers.GlobalAveragePooling1D()(layers.Conv1D(4, 3)(inputs))
    search = keras_pit.convert(keras.Model(inputs, layers.Dense(2)(x)), search=("channels", "inputs"))
    search.get_layer("signal").alpha.assign([0.6, 0.4, 0.6, 0.4, 0.6])
    slim, read = keras_pit.export(search), keras_pit.summary(search).inputs
    x = np.random.default_rng(0).normal(size=(20, 16, 3)).astype("float32")
    bundle = keras_pit.deploy(slim, tmp_path / "bundle", calibration=x, axes=read)
    assert "x 3; real value" in (bundle / "README.md").read_text()
    assert "; axes 0, 2, 4 of the data |" in (bundle / "README.md").read_text()
    assert "constexpr int kInputAxes[] = {0, 2, 4};" in (bundle / "model_settings.h").read_text()
    assert json.loads((bundle / "report.json").read_text())["axes"] == [[0, 2, 4]]


NAMES, SHAPES = ["signal", "label"], [(1, 16, 3), (1, 2)]


def test_axes_are_found_by_the_names_of_inputs():
    assert data_axes({"label": [4, 1]}, NAMES, SHAPES) == ((), (4, 1))
    assert data_axes(None, NAMES, SHAPES) == ((), ())


@pytest.mark.parametrize(
    ("axes", "error", "message"),
    [
        ({"sound": [1]}, ValueError, "names input 'sound'; expected some of 'signal', 'label'"),
        ({"signal": [0, 1]}, ValueError, r"`axes\['signal'\]` is \[0, 1\]; expected 3 different numbers from 0 on"),
        ({"signal": [0, 1, 1]}, ValueError, "3 different numbers"),
        ({"signal": [0, 1, -1]}, ValueError, "3 different numbers"),
        ({"signal": [0, 1, 2.0]}, TypeError, r"`axes\['signal'\]` must be a list of the numbers of axes"),
        ([0, 1, 2], TypeError, "Each of `axes` must be what keras_pit.summary"),
        (3, TypeError, "`axes` must be what keras_pit.summary"),
    ],
)
def test_axes_that_do_not_fit(axes, error, message):
    with pytest.raises(error, match=message):
        data_axes(axes, NAMES, SHAPES)
