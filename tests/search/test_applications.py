"""Networks nobody here wrote: they convert, take random masks, export exactly, cost exactly."""

import keras
import numpy as np
import pytest
from exactness import ERROR

import keras_pit

SIZES = {"MobileNet": 64, "MobileNetV2": 64, "ResNet50": 64, "ResNet50V2": 64, "DenseNet121": 64, "EfficientNetB0": 64}


def alive(name: str, rng: np.random.Generator) -> keras.Model:
    """An untrained network whose signal does not die: batch norm knows the statistics of its inputs."""
    size = SIZES[name]
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(size, size, 3), classes=10, classifier_activation=None
    )
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    model(rng.normal(size=(8, size, size, 3)).astype("float32"), training=True)
    for norm in norms:
        norm.gamma.assign(rng.uniform(0.8, 1.2, norm.gamma.shape))
        norm.beta.assign(rng.normal(0, 0.1, norm.beta.shape))
    return model


@pytest.mark.parametrize("name", SIZES)
def test_application(name, record_property):
    rng = np.random.default_rng(0)
    model = alive(name, rng)
    x = rng.normal(size=(2, SIZES[name], SIZES[name], 3)).astype("float32")
    search = keras_pit.convert(model, "macs", search=("channels", "kernel", "dilation", "branches"))
    expected = model(x).numpy()
    assert expected.std(axis=0).max() > 1e-3, "the outputs must depend on the inputs"
    np.testing.assert_allclose(search(x), expected, rtol=1e-5, atol=1e-6)
    for variable in keras_pit.mask_variables(search):
        variable.assign(rng.uniform(0.2, 1.0, variable.shape))
    slim = keras_pit.export(search)
    outputs = search(x).numpy()
    assert outputs.std(axis=0).max() > 1e-3
    error = np.abs(slim(x).numpy() - outputs).max() / np.abs(outputs).max()
    record_property(ERROR, float(error))
    assert error < 1e-5
    for metric in ("size", "macs"):
        assert keras_pit.cost(search, metric) == keras_pit.cost(slim, metric)
    assert keras_pit.cost(slim, "macs") < 0.7 * keras_pit.cost(model, "macs")
    assert all(type(layer).__module__.startswith("keras.") for layer in slim.layers)
