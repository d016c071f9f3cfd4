"""Layers that act in training only: which these are, and that nothing is left of them on a microcontroller."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_pit
from keras_pit import lowering
from keras_pit.graph.training import acts_in_training_only

# Arguments with which they change any image; in inference, some layers change images all the same.
ARGUMENTS = {
    "AugMix": {}, "AutoContrast": {}, "CenterCrop": {"height": 6, "width": 6}, "CutMix": {"factor": 1.0}, "MixUp": {},
    "RandAugment": {}, "RandomBrightness": {"factor": 0.9}, "RandomColorDegeneration": {"factor": (0.5, 0.9)},
    "RandomColorJitter": {"brightness_factor": 0.5, "saturation_factor": (0.2, 0.4)},
    "RandomContrast": {"factor": 0.9}, "RandomCrop": {"height": 8, "width": 8}, "RandomElasticTransform": {},
    "RandomErasing": {"factor": 1.0}, "RandomFlip": {}, "RandomGaussianBlur": {"kernel_size": 3, "sigma": (0.5, 1.0)},
    "RandomGrayscale": {"factor": 1.0}, "RandomHue": {"factor": (0.5, 0.9)}, "RandomInvert": {"factor": 1.0},
    "RandomPerspective": {}, "RandomPosterization": {"factor": 2}, "RandomRotation": {"factor": 0.4},
    "RandomSaturation": {"factor": (0.2, 0.4)}, "RandomSharpness": {"factor": (0.8, 0.9)},
    "RandomShear": {"x_factor": 0.9}, "RandomTranslation": {"height_factor": 0.5, "width_factor": 0.5},
    "RandomZoom": {"height_factor": (0.5, 0.6)}, "Resizing": {"height": 6, "width": 6}, "Solarization": {},
    "Dropout": {"rate": 0.5}, "AlphaDropout": {"rate": 0.5}, "GaussianDropout": {"rate": 0.5},
    "GaussianNoise": {"stddev": 1.0}, "SpatialDropout2D": {"rate": 0.5}, "ActivityRegularization": {},
}  # fmt: skip
ACT_IN_INFERENCE = ("AutoContrast", "CenterCrop", "Resizing")


def image() -> np.ndarray:
    """Also beyond the values of a picture."""
    return np.random.default_rng(0).normal(0, 400, size=(2, 8, 8, 3)).astype("float32")


def layer_of(name: str):
    if not hasattr(layers, name):
        pytest.skip("this version of Keras has no such layer")
    return getattr(layers, name)(**ARGUMENTS[name], name="augment")


def around(layer) -> keras.Model:
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="first")(layer(layers.Rescaling(1 / 255)(inputs)))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(5, 3, name="second")(x))
    return keras.Model(inputs, layers.Dense(2)(x), name="network")


def operators(model: keras.Model) -> list[str]:
    return [type(node.operator).__name__ for node in lowering.lower(model).nodes()]


def test_no_augmentation_of_keras_is_forgotten():
    assert {name for name in dir(layers) if name.startswith("Random")} <= set(ARGUMENTS)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_what_does_nothing_in_inference(name):
    layer, x = layer_of(name), image()
    y = keras.ops.convert_to_numpy(layer(x, training=False) if layer._call_has_training_arg else layer(x))
    nothing = np.array_equal(x, y)
    assert acts_in_training_only(layer) == nothing == (name not in ACT_IN_INFERENCE)


@pytest.mark.parametrize("name", [name for name in ARGUMENTS if name not in ACT_IN_INFERENCE])
def test_nothing_is_left_of_it_on_a_microcontroller(name):
    model, plain = around(layer_of(name)), around(layers.Identity())
    assert operators(model) == operators(plain)
    assert [keras_pit.cost(model, each) for each in ("flash", "ram")] == [
        keras_pit.cost(plain, each) for each in ("flash", "ram")
    ]


@pytest.mark.parametrize("name", ["RandomFlip", "RandomContrast", "MixUp", "RandAugment", "RandomErasing"])
def test_searches_go_on_augmenting(name):
    seed, x = around(layer_of(name)), np.abs(image())
    search = keras_pit.convert(seed)
    draws = [search(x, training=True) for _ in range(4)]
    for draw in draws:
        np.testing.assert_allclose(draw, seed(x, training=True), rtol=1e-4, atol=1e-5)
    assert max(np.abs(draw - search(x, training=False)).max() for draw in draws) > 1e-3


def test_it_follows_channels_between_layers():
    inputs = keras.Input((8, 8, 3))
    x = layers.RandomRotation(0.2)(layers.Conv2D(4, 3, name="first")(layers.RandomHue(0.2, name="hue")(inputs)))
    x = layers.RandomHue(0.2, name="between")(layers.Conv2D(3, 3, name="second")(x))
    seed = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    report = {row.name: row.frozen for row in keras_pit.summary(keras_pit.convert(seed)).layers}
    assert (report["first"], report["second"]) == (None, "meets RandomHue 'between', which is not followed")


@pytest.mark.parametrize("build", [
    lambda: keras.Sequential([layers.RandomFlip(), layers.RandomRotation(0.2)]),
    lambda: layers.Pipeline([layers.RandomFlip(), layers.RandomRotation(0.2)]),
    lambda: type("Own", (layers.RandomFlip,), {})(),
])  # fmt: skip
def test_several_in_one(build):
    assert operators(around(build())) == operators(around(layers.Identity()))


def test_augmented_models_are_deployed():
    model = around(layers.RandomRotation(0.2))
    assert keras_pit.fits(model, "nano33ble")
    assert len(keras_pit.to_tflite(model, image())) < 10_000


def test_crops_of_larger_images_are_refused():
    """In inference, Keras hands on whole images."""
    model = around(layers.RandomCrop(6, 6, name="crop"))
    message = r"Layer 'crop' \(RandomCrop\) makes shape \(6, 6, 3\) in training, but in inference .* \(8, 8, 3\)"
    for call in (lambda: keras_pit.to_tflite(model, image()), lambda: keras_pit.cost(model, "ram")):
        with pytest.raises(ValueError, match=message):
            call()
