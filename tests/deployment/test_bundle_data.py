"""What `deploy` takes: test data in all forms, and arguments that are refused."""

import re

import keras
import numpy as np
import pytest
from bundled import classifier, two_by_two

from keras_pit import deploy
from keras_pit.costs import cores
from keras_pit.deployment import bundle as writing
from keras_pit.deployment import to_tflite


@pytest.mark.parametrize(
    ("arguments", "origin", "count"),
    [
        ({}, "random numbers", 4),
        ({"calibration": "samples"}, "from the calibration data, at even distances", 4),
        ({"test_data": "samples"}, "from the test data, at even distances", 4),
        ({"test_data": "three"}, "from the test data, at even distances", 3),
    ],
)
def test_where_the_inputs_come_from(made, arguments, origin, count, tmp_path):
    bundle = made("two_by_two")
    data = {"samples": bundle.samples, "three": [part[:3] for part in bundle.samples]}
    deploy(bundle.tflite, tmp_path / "out", **{key: data[value] for key, value in arguments.items()})
    text = (tmp_path / "out/test_vectors.h").read_text()
    assert f"// Inputs: {origin}.\n" in text
    assert f"kTestCount = {count};" in text


def test_a_model_is_converted_first(tmp_path):
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    model = classifier()
    x = np.random.default_rng(0).normal(size=(20, 32, 4)).astype("float32")
    place = deploy(model, str(tmp_path / "new" / "place"), calibration=x)
    assert (place / "model.tflite").read_bytes() == to_tflite(model, x)
    by_path = deploy(place / "model.tflite", tmp_path / "by_path", calibration=x)
    from_dataset = deploy(model, tmp_path / "from_dataset", calibration=tf.data.Dataset.from_tensor_slices(x).batch(8))
    for path in place.rglob("*"):
        for again in (by_path, from_dataset):
            assert path.is_dir() or path.read_bytes() == (again / path.relative_to(place)).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"labels": ["a", "b"]},
            ValueError,
            "labels has 2 names; expected 3, one for each number of the model's first",
        ),
        ({"margin": -0.1}, ValueError, "`margin` must be a finite number of at least 0 and at most 10, received -0.1"),
        ({"margin": 20}, ValueError, "`margin` must be"),
        ({"core": "z80"}, ValueError, f"`core` must be one of {', '.join(map(repr, cores.names()))}, received 'z80'"),
        ({"test_data": np.zeros((2, 5), "float32")}, ValueError, "expects an array of shape ('samples', 1, 32, 4)"),
        ({"test_data": np.zeros((32, 4), "float32")}, ValueError, "Add the batch axis: x[None]"),
        ({"test_data": np.zeros((0, 32, 4), "float32")}, ValueError, "at least one, for every input"),
    ],
)
def test_arguments(made, arguments, error, message, tmp_path):
    with pytest.raises(error, match=re.escape(message)):
        deploy(made("classifier").tflite, tmp_path / "out", **arguments)
    assert not list(tmp_path.iterdir())


def test_arguments_are_checked_before_the_conversion(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "make_file", lambda *_, **__: pytest.fail("converted"))
    with pytest.raises(ValueError, match=r"`core` must be one of 'cortex-m4', .*, received 'z80'"):
        deploy(classifier(), tmp_path / "out", core="z80")
    for directory, error in (("", ValueError), (None, TypeError)):
        with pytest.raises(error, match="`directory` must be a path for the bundle"):
            deploy(classifier(), directory)
    with pytest.raises(FileExistsError, match=r"/ holds .* not written by keras_pit"):
        deploy(classifier(), "/")


def test_forms_of_test_data(made, tmp_path):
    """All that calibration may be, for a file and for a model."""
    from tensorflow.data import Dataset

    bundle = made("two_by_two")
    left, right = whole = [np.round(4 * part).astype("int64") for part in bundle.samples]
    named = {"right": right, "left": left}
    floats = [part.astype("float32") for part in whole]

    def vectors(model, **data):
        return (deploy(model, tmp_path / "out", overwrite=True, **data) / "test_vectors.h").read_text()

    expected = vectors(bundle.tflite, test_data=floats)
    for data in (whole, Dataset.from_tensor_slices((left, right)), Dataset.from_tensor_slices((left, right)).batch(4)):
        assert vectors(bundle.tflite, test_data=data) == expected
        assert vectors(bundle.tflite, calibration=data) == expected.replace("the test data", "the calibration data")
    assert vectors(bundle.tflite, test_data={"input 1": right, "input 0": left}) == expected
    with pytest.raises(ValueError, match=r"test_data holds a dictionary of 'right', 'left'; expected .* 'input 0'"):
        vectors(bundle.tflite, test_data=named)
    keras.utils.set_random_seed(3)
    model = two_by_two()
    for data in (named, Dataset.from_tensor_slices(named)):
        assert vectors(model, calibration=bundle.samples, test_data=data) == expected


def test_a_dataset_of_sequences_for_a_file(made, tmp_path):
    from tensorflow.data import Dataset

    bundle = made("classifier")
    data = Dataset.from_tensor_slices(bundle.samples[0])
    for number, form in enumerate((data, data.batch(4), data.batch(1).batch(3))):
        place = deploy(bundle.tflite, tmp_path / str(number), test_data=form, name="classifier")
        assert (place / "test_vectors.h").read_text() == (bundle.directory / "test_vectors.h").read_text()
