"""`input_shape=` gives lengths to what a model that is built leaves open, and to nothing else."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_pit


def body(x):
    x = layers.Conv1D(4, 3, padding="same", activation="relu", name="first")(x)
    return layers.MaxPooling1D(2)(layers.BatchNormalization()(layers.Conv1D(5, 3, name="second")(x)))


def head(x):
    return layers.Dense(2, name="head")(layers.GlobalAveragePooling1D()(x))


def functional():
    inputs = keras.Input((None, 3), name="signal")
    return keras.Model(inputs, head(body(inputs)), name="network")


def sequential():
    return keras.Sequential(
        [keras.Input((None, 3)), layers.Conv1D(4, 3, name="first"), layers.Conv1D(5, 3, name="second"),
         layers.GlobalAveragePooling1D(), layers.Dense(2)], name="network",
    )  # fmt: skip


class Subclassed(keras.Model):
    """Takes any length."""

    def __init__(self):
        super().__init__(name="network")
        self.first, self.second = layers.Conv1D(4, 3, name="first"), layers.Conv1D(5, 3, name="second")
        self.pool, self.head = layers.GlobalAveragePooling1D(), layers.Dense(2)

    def call(self, x):
        return self.head(self.pool(self.second(ops.relu(self.first(x)))))


def subclassed():
    model = Subclassed()
    model(signal(40))
    return model


class Doubled(keras.Model):
    """A graph with a call of its own."""

    def call(self, inputs, training=None, mask=None):
        return 2.0 * super().call(inputs, training=training, mask=mask)


def own_call():
    inputs = keras.Input((None, 3))
    return Doubled(inputs, head(body(inputs)), name="network")


def nested():
    """A model in the model, and one in that."""
    inputs, inside, inner = keras.Input((None, 3)), keras.Input((None, 3)), keras.Input((None, 3))
    innermost = keras.Model(inner, layers.Conv1D(3, 3, padding="same", name="inner")(inner))
    block = keras.Model(inside, body(innermost(inside)))
    return keras.Model(inputs, head(block(inputs)), name="network")


def narrow_from_within():
    """The open length is that of an inner model, which is called on a fixed one."""
    inputs, inside = keras.Input((60, 3)), keras.Input((None, 3))
    return keras.Model(inputs, head(keras.Model(inside, body(inside))(inputs)), name="network")


BUILDS = (functional, sequential, subclassed, own_call, nested)


def signal(length=60, channels=3):
    return np.random.default_rng(0).normal(size=(2, length, channels)).astype("float32")


@pytest.mark.parametrize("build", BUILDS)
def test_open_lengths_are_narrowed(build, tmp_path):
    seed, x = build(), signal()
    search = keras_pit.convert(seed, "macs", input_shape=(60, 3))
    assert tuple(search.inputs[0].shape) == (None, 60, 3)
    np.testing.assert_allclose(search(x), seed(x), rtol=1e-5, atol=1e-6)
    search.get_layer("first").alpha.assign([0, 1, 1, 0]) if build is not nested else None
    slim = keras_pit.export(search)
    assert tuple(slim.inputs[0].shape) == (None, 60, 3)
    assert keras_pit.cost(slim, "macs") == keras_pit.cost(search, "macs") > 0
    assert keras_pit.summary(search).total("after", "macs") == keras_pit.cost(slim, "macs")
    search.save(tmp_path / "search.keras")
    loaded = keras.models.load_model(tmp_path / "search.keras")
    assert tuple(loaded.inputs[0].shape) == (None, 60, 3)
    np.testing.assert_array_equal(loaded(x), search(x))
    assert seed(signal(31)).shape == (2, 2)  # the seed stays open


def test_macs_are_those_of_a_model_built_for_the_length():
    inputs = keras.Input((60, 3))
    fixed = keras.Model(inputs, head(body(inputs)))
    search = keras_pit.convert(functional(), input_shape=(60, 3))
    assert keras_pit.cost(search, "macs") == keras_pit.cost(fixed, "macs")


def test_several_inputs_and_several_axes():
    one, two = keras.Input((None, 3), name="one"), keras.Input((None, None, 2), name="two")
    image = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="image")(two))
    x = layers.Concatenate()([layers.GlobalAveragePooling1D()(body(one)), image])
    seed = keras.Model([one, two], layers.Dense(2)(x), name="network")
    search = keras_pit.convert(seed, input_shape=[(60, 3), (8, None, 2)])
    assert [tuple(tensor.shape[1:]) for tensor in search.inputs] == [(60, 3), (8, None, 2)]
    x = [signal(), np.random.default_rng(0).normal(size=(2, 8, 9, 2)).astype("float32")]
    np.testing.assert_allclose(search(x), seed(x), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"says \[\(60, 3\)\]"):
        keras_pit.convert(seed, input_shape=(60, 3))


def test_a_model_inside_that_is_called_at_several_lengths_stays_open():
    inputs, inside = keras.Input((None, 3)), keras.Input((None, 3))
    block = keras.Model(inside, layers.Conv1D(3, 3, padding="same", name="shared")(inside), name="block")
    x = block(inputs)
    seed = keras.Model(inputs, head(layers.Concatenate(axis=1)([x, block(layers.MaxPooling1D(2)(x))])))
    search = keras_pit.convert(seed, input_shape=(60, 3))
    assert tuple(search.get_layer("block").inputs[0].shape) == (None, None, 3)
    np.testing.assert_allclose(search(signal()), seed(signal()), rtol=1e-5, atol=1e-6)


def test_layers_that_are_excluded_by_a_type_of_the_users_are_found():
    class Own(layers.Conv1D):
        pass

    for lengths in ([keras.Input((None, 3))], []):
        model = keras.Sequential([*lengths, Own(4, 3, name="own"), layers.Conv1D(4, 3, name="other")])
        search = keras_pit.convert(model, input_shape=(60, 3), exclude=Own)
        assert search.get_layer("own").alpha is None


WRONG = [
    (functional, (60, 4)), (functional, (60,)), (functional, [(60, 3), (60, 3)]),
    (sequential, (60, 4)), (own_call, (60, 4)), (nested, (60, 4)), (narrow_from_within, (50, 3)),
]  # fmt: skip


@pytest.mark.parametrize(("build", "shape"), WRONG)
def test_shapes_that_contradict_the_model_are_refused(build, shape):
    with pytest.raises(ValueError, match=r"Model 'network' is built for inputs of shape .* leave the argument away"):
        keras_pit.convert(build(), input_shape=shape)


def test_lengths_that_the_model_does_not_accept_are_refused():
    with pytest.raises(ValueError, match=r"Model 'network' does not accept `input_shape` \(1, 3\)"):
        keras_pit.convert(functional(), input_shape=(1, 3))


def test_the_shape_it_has_anyway_may_be_said():
    assert keras_pit.convert(narrow_from_within(), input_shape=(60, 3)).search_layers
