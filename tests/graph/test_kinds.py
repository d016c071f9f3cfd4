"""Subclasses of Keras layers: which of them are the Keras layer, and in what the others differ."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_pit
from keras_pit import lowering
from keras_pit.graph.kinds import difference, kind_of


class OfKeras2(layers.DepthwiseConv2D):
    """Takes an argument of old files."""

    def __init__(self, *args, groups=1, **kwargs):
        super().__init__(*args, **kwargs)


class Block(layers.Conv2D):
    """Has other arguments, and a config that the Keras layer cannot be made from."""

    def __init__(self, width):
        super().__init__(width, 3, padding="same", use_bias=False)

    def get_config(self):
        return {"width": self.filters}


class Fused(layers.BatchNormalization):
    """Keeps an argument of its own, and tells of it."""

    def __init__(self, fused=True, **kwargs):
        super().__init__(**kwargs)
        self.fused = fused

    def get_config(self):
        return {**super().get_config(), "fused": self.fused}


class Sum(layers.Add):
    """Has no config of its own, as the Keras layer has none."""

    def __init__(self, groups=1, **kwargs):
        super().__init__(**kwargs)


class Rectified(layers.ReLU):
    """Changes nothing."""


class Mean(layers.Average):
    """Changes nothing, and is looked up for what it is."""


class Shown:
    """Comes in before the Keras layer."""

    def __repr__(self):
        return "shown"


class Head(Shown, layers.Dense):
    """Has a base beside the Keras layer."""


class Calls(layers.Conv2D):
    """Computes something else."""

    def call(self, inputs):
        return 2 * super().call(inputs)


class Builds(layers.Dense):
    """May have other weights."""

    def build(self, shape):
        super().build(shape)


class Adds:
    """Adds weights, to whatever it is mixed into."""

    def add_weight(self, *args, **kwargs):
        return super().add_weight(*args, **kwargs)


class Mixed(Adds, layers.Dense):
    """Has a base that changes the Keras layer."""


class Owns(layers.Dense):
    """Has a weight that the Keras layer has not."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.own = self.add_weight(name="own", shape=())


class Replaced(layers.Dense):
    """Has a call of its own on each instance."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.call = lambda inputs: ops.matmul(inputs, self.kernel)


class Special(keras.Model):
    """A graph that only has a constructor of its own."""

    def __init__(self, width):
        inputs = keras.Input((8, 8, 3))
        x = Rectified()(Fused(name="norm")(Block(width)(inputs)))
        x = Mean(name="mean")([x, Sum(name="sum")([x, Fused()(OfKeras2(3, padding="same", name="deep")(x))])])
        super().__init__(inputs, Head(2, name="head")(layers.GlobalAveragePooling2D()(x)), name="special")


STOCK = {
    OfKeras2: layers.DepthwiseConv2D, Block: layers.Conv2D, Fused: layers.BatchNormalization, Sum: layers.Add,
    Rectified: layers.ReLU, Mean: layers.Average, Head: layers.Dense,
}  # fmt: skip
OTHERS = {
    Calls: "whose call is not Conv2D's", Builds: "whose build is not Dense's", Mixed: "whose add_weight is not Dense's",
    Owns: "whose weights are not Dense's: own", Replaced: "whose call is not Dense's",
}  # fmt: skip


def image() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")


def test_subclasses_that_change_only_their_constructor_are_the_keras_layer():
    for layer in Special(6).layers[1:]:
        if type(layer) in STOCK:
            assert (kind_of(layer), difference(layer)) == (STOCK[type(layer)], None)


def test_such_subclasses_are_searched_and_exported_as_keras_layers():
    seed, x = Special(6), image()
    search = keras_pit.convert(seed)
    assert {layer.name for layer in search.search_layers} >= {seed.layers[1].name, "deep"}
    np.testing.assert_allclose(search(x), seed(x), rtol=1e-5)
    np.testing.assert_allclose(search(x, training=True), seed(x, training=True), rtol=1e-4, atol=1e-6)
    search.search_layers[0].alpha.assign([0, 1, 0, 1, 1, 0])
    slim = keras_pit.export(search)
    assert {type(layer).__module__.split(".")[0] for layer in slim.layers} == {"keras"}
    assert slim.get_layer("norm").gamma.shape == (3,)
    np.testing.assert_allclose(slim(x), search(x), rtol=1e-4, atol=1e-6)
    assert keras_pit.cost(slim) == keras_pit.cost(search)


def test_such_subclasses_are_lowered_as_keras_layers():
    kinds = [type(node.operator).__name__ for node in lowering.lower(Special(6)).nodes()]
    assert "Foreign" not in kinds
    assert "Affine" not in kinds
    plain = keras_pit.export(keras_pit.convert(Special(6)))
    assert kinds == [type(node.operator).__name__ for node in lowering.lower(plain).nodes()]


def test_search_of_such_subclasses_is_loaded_without_them(tmp_path):
    search, x = keras_pit.convert(Special(6)), image()
    search.save(tmp_path / "search.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "search.keras")(x), search(x))


@pytest.mark.parametrize("kind", OTHERS)
def test_other_subclasses_are_frozen_for_a_stated_reason(kind):
    layer = kind(4, 1, name="other") if kind is Calls else kind(4, name="other")
    inputs = keras.Input((8, 8, 3))
    x = layer(layers.Conv2D(5, 3, name="before")(inputs))
    seed = keras.Model(inputs, layers.Dense(2)(layers.Conv2D(6, 3, name="after")(x)))
    assert kind_of(layer) is kind
    search = keras_pit.convert(seed)
    reasons = {row.name: row.frozen for row in keras_pit.summary(search).layers}
    assert reasons["before"] == reasons["other"] == f"meets {kind.__name__} 'other', {OTHERS[kind]}"
    np.testing.assert_allclose(search(image()), seed(image()), rtol=1e-5)


def test_other_subclasses_are_told_before_deployment():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(Calls(4, 3, name="other")(inputs)))
    with pytest.warns(UserWarning, match=r"Layer 'other' \(Calls\) is a subclass whose call is not Conv2D's"):
        keras_pit.to_tflite(model, image())
