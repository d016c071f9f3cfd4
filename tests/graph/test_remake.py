"""Layers are made anew with all that they were made with; a file says what it cannot keep of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from versions import since

import keras_pit
from keras_pit.graph.remake import remake


def helper(x):
    return tf.nn.elu(x)


def swish(x):
    """Not what Keras calls so."""
    return x + 1.0


class Held(layers.Layer):
    """Keeps what it is made of in attributes, and has no config."""

    def __init__(self, function, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.function, self.factor = function, factor

    def call(self, x):
        return self.factor * self.function(x)


class Forgetful(layers.Layer):
    """Has a config without its argument, which is in no attribute of that name."""

    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = factor

    def call(self, x):
        return self.scale * x

    def get_config(self):
        return super().get_config()


class Around(layers.Layer):
    """Is made of another layer."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return self.inner(x)


class Regularizer(keras.regularizers.Regularizer):
    """Is in no registry."""

    def get_config(self):
        return {}

    def __call__(self, x):
        return 0.1 * ops.sum(ops.abs(x))


class Cell(layers.Layer):
    """A cell that no file knows."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units))
        self.built = True

    def call(self, x, states):
        state = ops.matmul(x, self.kernel) + states[0]
        return state, [state]


class Secret(layers.Layer):
    """Does not tell how it is made."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.hidden = function

    def call(self, x):
        return self.hidden(x)


def lambdas():
    return keras.Sequential([layers.Dense(4), layers.Lambda(lambda x: helper(x))])


# What is made anew, on tensors of shape (8, 4); for those that a file cannot keep, words from the reason.
MADE = {
    "lambda": (
        lambda: layers.Lambda(lambda x: tf.sin(x) + ops.cos(helper(x))),
        "is a lambda that reads helper, ops, tf",
    ),
    "its shape": (
        lambda: layers.Lambda(helper, output_shape=lambda s: tf.TensorShape(s).as_list()),
        "its output_shape",
    ),
    "its mask": (
        lambda: layers.Lambda(swish, mask=lambda x, mask: mask if mask is None else tf.identity(mask)),
        "its mask is a lambda",
    ),
    "its arguments": (lambda: layers.Lambda(lambda x, f: f(x), arguments={"f": lambda x: helper(x)}), "its arguments"),
    "its surroundings": (lambda f=helper: layers.Lambda(lambda x: f(x)), "is a lambda that reads f"),
    "lambda alone": (lambda: layers.Lambda(lambda x: 2 * abs(x)), None),
    "function": (lambda: layers.Lambda(helper), None),
    "activation": (lambda: layers.Activation(helper), None),
    "activation as lambda": (lambda: layers.Dense(4, activation=lambda x: helper(x)), "its activation is a lambda"),
    "searched": (
        lambda: layers.Conv1D(4, 3, padding="same", activation=lambda x: helper(x)),
        "(Conv1D): its activation",
    ),
    "name of Keras's": (lambda: layers.Dense(4, activation=swish), "'swish' has the name of one of Keras's own"),
    "initializer": (
        lambda: layers.Dense(4, kernel_initializer=lambda s, dtype: tf.ones(s, dtype)),
        "kernel_initializer",
    ),
    "regularizer": (lambda: layers.Dense(4, kernel_regularizer=Regularizer()), None),
    "constraint": (lambda: layers.Dense(4, bias_constraint=lambda x: helper(x)), "its bias_constraint is a lambda"),
    "wrapped": (lambda: layers.TimeDistributed(layers.Lambda(lambda x: helper(x))), "(Lambda): its function"),
    "wrapped model": (
        lambda: layers.TimeDistributed(lambdas()),
        "(Lambda): its function is a lambda that reads helper",
    ),
    "without config": (lambda: Held(helper, 3.0), "(Held): the config of its class has no function, factor"),
    "lambda in it": (lambda: Held(lambda x: helper(x)), "(Held): the config of its class has no function"),
    "incomplete config": (lambda: Forgetful(3.0), "(Forgetful): the config of its class has no factor"),
    "default of an incomplete config": (lambda: Forgetful(2.0), None),
    "layer in it": (
        lambda: Around(layers.Dense(4, activation=helper)),
        "(Around): the config of its class has no inner",
    ),
    "cell": (lambda: layers.RNN(Cell(4), return_sequences=True), None),
}


def around(layer) -> keras.Model:
    inputs = keras.Input((8, 3))
    x = layer(layers.Conv1D(4, 3, padding="same", name="first")(inputs))
    return keras.Model(inputs, layers.Dense(2)(layers.Conv1D(5, 3, padding="same", name="second")(x)), name="network")


NEW_KERAS = {"constraint": since("keras", "3.15", "takes no functions for constraints")}


@pytest.mark.parametrize(
    ("build", "lost"), [pytest.param(*MADE[name], marks=NEW_KERAS.get(name, ()), id=name) for name in MADE]
)
def test_functions_and_arguments_are_handed_on(build, lost, tmp_path):
    seed, x = around(build()), np.random.default_rng(0).normal(size=(2, 8, 3)).astype("float32")
    search = keras_pit.convert(seed)
    np.testing.assert_allclose(search(x), seed(x), rtol=1e-5, atol=1e-6)
    search.get_layer("second").alpha.assign([0, 1, 0, 1, 1])
    np.testing.assert_allclose(keras_pit.export(search)(x), search(x), rtol=1e-5, atol=1e-6)
    if lost is None:
        search.save(tmp_path / "search.keras")
        custom = {thing.__name__: thing for thing in (helper, Forgetful, Regularizer, Cell)}
        loaded = keras.models.load_model(tmp_path / "search.keras", custom_objects=custom, safe_mode=False)
        np.testing.assert_array_equal(loaded(x), search(x))
        return
    with pytest.raises(ValueError, match="Search model 'network' cannot be saved: layer") as caught:
        search.save(tmp_path / "search.keras")
    for words in (lost, "register_keras_serializable", "save_weights"):
        assert words in str(caught.value)
    search.save_weights(tmp_path / "search.weights.h5")
    again = keras_pit.convert(seed)
    again.load_weights(tmp_path / "search.weights.h5")
    np.testing.assert_array_equal(again(x), search(x))


def test_layers_that_do_not_tell_how_they_are_made_are_named():
    with pytest.raises(ValueError, match=r"(?s)Layer 'secret' \(Secret\) cannot be made anew.*get_config") as caught:
        keras_pit.convert(around(Secret(helper, name="secret")))
    assert "function" in str(caught.value)


def test_names_and_changes():
    layer = layers.Conv1D(4, 3, name="conv", padding="causal", activation=helper)
    new = remake(layer, filters=2)
    assert (new.name, new.filters, new.padding, new.activation) == ("conv", 2, "causal", helper)
    assert type(remake(layer, layers.Conv1D)) is layers.Conv1D
