"""Small graphs, and exactly what is tied, searched and frozen in each.

The graphs are rows of a table. A row is a function from one input of shape (8, 3) to what the head reads, and says

    classes   by the layers that make them (tied layers together), the number of channel classes that can be removed
    frozen    for the other layers that make channels, words from the reason in the report

Every network ends in the Dense layer "head", which is frozen, since it makes the output.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import pytest
from generator import random_masks
from keras import layers, ops
from pieces import (
    HEAD,
    OTHER,
    classes_of,
    conv,
    dense,
    frozen_of,
    headed,
    pruned,
)
from random_net import Mix

import keras_pit
from keras_pit.layers import PITConv1D, PITDense


@dataclass(frozen=True)
class Graph:
    """A row of the table."""

    build: Callable[..., Any]
    classes: dict[str, int]
    frozen: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)

    def model(self) -> keras.Model:
        inputs = keras.Input((8, 3), name="x")
        built = self.build(inputs)
        return built if isinstance(built, keras.Model) else headed(built, inputs)


GRAPHS: dict[str, Graph] = {}


def graph(classes: dict[str, int], frozen: dict[str, str] | None = None, **arguments: Any) -> Any:
    """Put a function into the table."""

    def decorate(build: Callable[..., Any]) -> Callable[..., Any]:
        GRAPHS[build.__name__] = Graph(build, classes, frozen or {}, arguments)
        return build

    return decorate


# -- chains -----------------------------------------------------------------------------------------------------------


@graph({"a": 4, "b": 5})
def chain(x):
    x = layers.ReLU()(layers.BatchNormalization()(conv("a")(x)))
    return layers.Dropout(0.1)(layers.MaxPooling1D(2)(conv("b", 5, activation="tanh")(x)))


@graph({"a": 4, "b": 5})
def global_pooling(x):
    return layers.GlobalAveragePooling1D()(conv("b", 5)(conv("a")(x)))


@graph({"a": 4, "b": 5})
def dense_on_time(x):
    return dense("b", 5)(dense("a", 4)(x))


@graph({"a": 4, "t": 5})
def transposed(x):
    return layers.Conv1DTranspose(5, 3, name="t")(conv("a")(x))


@graph({"a": 4, "s": 5})
def separable(x):
    return layers.SeparableConv1D(5, 3, depth_multiplier=2, name="s")(conv("a")(x))


@graph({"a": 4, "b": 5})
def depthwise_follows(x):
    return conv("b", 5)(layers.DepthwiseConv1D(3, depth_multiplier=2, name="d")(conv("a")(x)))


@graph({"a": 2, "g": 3})
def grouped_ties_the_groups(x):
    return conv("g", 6, groups=2)(conv("a", 4)(x))


@graph({"a g": 4})
def as_many_groups_as_channels_follows(x):
    return conv("g", 8, groups=4)(conv("a", 4)(x))


# -- merges -----------------------------------------------------------------------------------------------------------


@graph({"a b": 4})
def residual(x):
    x = conv("a")(x)
    return layers.Add()([x, conv("b")(x)])


@graph({"a b c": 4})
def residual_chain(x):
    x = conv("a")(x)
    x = x + conv("b")(x)
    return layers.Subtract()([layers.ReLU()(x), conv("c")(x)])


@graph({}, {"a": "reaches the input 'x'"})
def residual_with_the_input(x):
    return layers.Add()([x, conv("a", 3)(x)])


@graph({"a b": 4})
def gated_linear_unit(x):
    return layers.Multiply()([conv("a")(x), layers.Activation("sigmoid")(conv("b")(x))])


@graph({"a excite": 4, "squeeze": 2})
def squeeze_excite(x):
    x = conv("a")(x)
    gate = dense("squeeze", 2, activation="relu")(layers.GlobalAveragePooling1D()(x))
    gate = layers.Reshape((1, 4))(dense("excite", 4, activation="sigmoid")(gate))
    return layers.Multiply()([x, gate])


@graph({"a": 4}, {"gate": "has its only channel broadcast (times)"})
def gate_of_one_channel(x):
    x = conv("a")(x)
    return layers.Multiply(name="times")([x, conv("gate", 1)(x)])


@graph({"a": 4})
def arithmetic_with_constants(x):
    x = 1.0 - 0.5 * conv("a")(x) + np.arange(4, dtype="float32")
    return ops.maximum(x, np.ones((8, 1), "float32"))


@graph({"a": 4, "b": 2})
def concatenation(x):
    return layers.Concatenate()([conv("a")(x), conv("b", 2)(x)])


@graph({"a b": 4})
def concatenation_over_time(x):
    return layers.Concatenate(axis=1)([conv("a")(x), conv("b")(x)])


@graph({"a c": 4, "b c": 2})
def concatenation_then_residual(x):
    both = layers.Concatenate()([conv("a")(x), conv("b", 2)(x)])
    return both + conv("c", 6)(both)


@graph({"a b": 4})
def stacking(x):
    return ops.mean(ops.stack([conv("a")(x), conv("b")(x)], axis=1), axis=1)


# -- layers and models that are called twice --------------------------------------------------------------------------


@graph({"a s": 4})
def shared_layer_in_a_row(x):
    shared = conv("s")
    return shared(shared(conv("a")(x)))


@graph({"a b": 4, "s": 5})
def shared_layer_in_parallel(x):
    shared = conv("s", 5)
    return layers.Concatenate()([shared(conv("a")(x)), shared(conv("b")(x))])


@graph({"a b": 4})
def shared_batch_norm(x):
    shared = layers.BatchNormalization()
    return layers.Concatenate()([shared(conv("a")(x)), shared(conv("b")(x))])


def block() -> keras.Model:
    inputs = keras.Input((8, 4))
    return keras.Model(inputs, conv("outer", 4)(conv("inner", 5)(inputs)), name="block")


@graph({"a": 4, "inner": 5, "outer": 4})
def nested_model(x):
    return block()(conv("a")(x))


@graph({"a outer": 4, "inner": 5})
def nested_model_in_a_row(x):
    model = block()
    return model(model(conv("a")(x)))


@graph({"a b": 4, "inner": 5, "outer": 4})
def nested_model_in_parallel(x):
    model = block()
    return layers.Concatenate()([model(conv("a")(x)), model(conv("b")(x))])


@graph({"a": 4, "inner": 5, "outer": 6})
def nested_sequential(x):
    return keras.Sequential([keras.Input((8, 4)), conv("inner", 5), layers.ReLU(), conv("outer", 6)])(conv("a")(x))


@graph({"e": 4})
def encoder_of_two_inputs(x):
    other, encoder = keras.Input((8, 3), name="y"), conv("e")
    return headed(layers.Subtract()([encoder(x), encoder(other)]), [x, other])


# -- moves ------------------------------------------------------------------------------------------------------------


@graph({"a": 4, "b": 5})
def slices_of_channels(x):
    x = conv("a")(x)
    return layers.Concatenate()([x[..., ::2], conv("b", 5)(x[:, :, 1:3])])


@graph({"a": 2})
def halves_added(x):
    x = conv("a")(x)
    return x[..., :2] + x[..., 2:]


@graph({"a": 2})
def halves_gated(x):
    value, gate = ops.split(conv("a")(x), 2, axis=-1)
    return value * ops.sigmoid(gate)


@graph({"a": 2})
def reversed_added(x):
    x = conv("a")(x)
    return x + ops.flip(x, axis=-1)


@graph({"a": 4})
def slices_of_time(x):
    x = conv("a")(x)
    return layers.Concatenate(axis=1)([x[:, ::2], x[:, -3:], ops.flip(x, axis=1)])


@graph({"a": 2, "b": 6})
def channel_shuffle(x):
    # A tensor of shape (8, 2, 2) stays rectangular only if channels go two at a time.
    x = layers.Reshape((8, 2, 2))(conv("a")(x))
    return conv("b", 6)(layers.Reshape((8, 4))(layers.Permute((1, 3, 2))(x)))


@graph({"a": 4, "b": 5})
def space_to_depth(x):
    return conv("b", 5)(layers.Reshape((4, 8))(conv("a")(x)))


@graph({"a": 2})
def depth_to_space(x):
    return layers.Reshape((16, 2))(conv("a")(x))


@graph({"a": 1, "b": 5})
def dense_over_time_mixes_it(x):
    # The channels of "a" become positions: they stay rectangular only all together.
    return dense("b", 5)(layers.Permute((2, 1))(conv("a")(x)))


@graph({"a": 1})
def batch_norm_over_time(x):
    return layers.BatchNormalization(axis=1)(conv("a")(x))


@graph({"a": 4, "b": 5})
def vector_repeated(x):
    return layers.RepeatVector(6)(dense("b", 5)(layers.Flatten()(conv("a")(x))))


# -- what is frozen, and why ------------------------------------------------------------------------------------------


@graph({}, {"a": "reaches the output 'a'"})
def output_in_the_middle(x):
    middle = conv("a")(x)
    return headed(middle, x, others=[middle])


@graph({"b": 5}, {"a": "has an activation that mixes channels or is unknown"})
def softmax_as_activation(x):
    return conv("b", 5)(conv("a", activation="softmax")(x))


@graph({"b": 5}, {"a": "goes through an activation that may mix channels (soft)"})
def softmax_as_activation_layer(x):
    return conv("b", 5)(layers.Activation("softmax", name="soft")(conv("a")(x)))


@graph({"b": 5}, {"a": "goes through a softmax over channels (soft)"})
def softmax_as_layer(x):
    return conv("b", 5)(layers.Softmax(name="soft")(conv("a")(x)))


@graph({"a": 4, "b": 5})
def softmax_over_time(x):
    return conv("b", 5)(layers.Softmax(axis=1)(conv("a")(x)))


@keras.saving.register_keras_serializable("tests")
def accumulate(x):
    return ops.cumsum(x, axis=-1)


@graph({"b": 5}, {"a": "has an activation that mixes channels or is unknown"})
def activation_that_is_not_known(x):
    return conv("b", 5)(conv("a", activation=accumulate)(x))


@graph({"b": 5}, {"a": "meets LayerNormalization 'norm', which is not followed"})
def layer_normalization(x):
    return conv("b", 5)(layers.LayerNormalization(name="norm")(conv("a")(x)))


@graph({"b": 5}, {"a": "meets LSTM 'memory', which is not followed"})
def recurrent(x):
    return conv("b", 5)(layers.LSTM(3, return_sequences=True, name="memory")(conv("a")(x)))


@graph({"b": 5}, {"a": "meets MultiHeadAttention 'look', which is not followed"})
def attention(x):
    x = conv("a")(x)
    return conv("b", 5)(layers.MultiHeadAttention(2, 2, name="look")(x, x))


@graph({"b": 5}, {"a": "meets Mix 'custom', which is not followed"})
def custom_layer(x):
    return conv("b", 5)(Mix(name="custom")(conv("a")(x)))


@graph({"b": 5}, {"a": "meets Roll 'roll"})
def unknown_operation(x):
    return conv("b", 5)(ops.roll(conv("a")(x), 1, axis=-1))


@graph({"b": 5}, {"a": "is reduced over channels (mean"})
def mean_over_channels(x):
    x = conv("a")(x)
    return conv("b", 5)(x - ops.mean(x, axis=-1, keepdims=True))


@graph({"b": 5}, {"a": "meets Rescaling 'scale', which is not followed"})
def rescaling_by_channel(x):
    return conv("b", 5)(layers.Rescaling([1.0, 2.0, 3.0, 4.0], name="scale")(conv("a")(x)))


@keras.saving.register_keras_serializable("tests")
class OtherDense(layers.Dense):
    """Looks like a Dense layer, but is none."""

    def call(self, inputs):
        return super().call(ops.softmax(inputs))


@graph({}, {"a": "meets OtherDense 'other', whose call is not Dense's"})
def subclass_with_another_call(x):
    return OtherDense(4, name="other")(conv("a")(x))


@graph({"b": 5}, {"a": "belongs to a layer with trainable=False"})
def not_trainable(x):
    return conv("b", 5)(conv("a", trainable=False)(x))


# -- arguments of convert ---------------------------------------------------------------------------------------------


@graph({"b": 4}, {"a": "is excluded"}, exclude="a")
def excluded_by_name(x):
    return conv("b")(conv("a")(x))


@graph({"d": 5}, {"a": "is excluded", "b": "is excluded"}, exclude=[layers.Conv1D])
def excluded_by_type(x):
    return dense("d", 5)(conv("b")(conv("a")(x)))


@graph({"a": 4}, {"inner": "is excluded", "outer": "is excluded"}, exclude="block")
def excluded_model(x):
    return block()(conv("a")(x))


@graph({}, {"a": "is excluded", "b": "is excluded"}, exclude="b")
def excluded_through_a_tie(x):
    return conv("a")(x) + conv("b")(x)


BY_HAND = "is no search layer, in a model where search layers were placed by hand"


@graph({}, {"a": OTHER, "head": OTHER}, search="kernel")
def searched_for_kernels_alone(x):
    return conv("a")(x)


@graph({"p": 5}, {"a": BY_HAND, "head": BY_HAND})
def search_layers_placed_by_hand(x):
    return PITConv1D(5, 3, name="p")(conv("a")(x))


@graph({"p": 5}, {"q": OTHER, "head": BY_HAND})
def search_layers_placed_by_hand_say_for_what(x):
    return PITDense(5, name="p")(PITConv1D(4, 3, search=("kernel",), name="q")(x))


# -- the tests of the table -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", GRAPHS.values(), ids=list(GRAPHS))
def test_what_is_tied_searched_and_frozen(row):
    search = keras_pit.convert(row.model(), **row.arguments)
    assert classes_of(search) == row.classes
    reasons, expected = frozen_of(search), {**HEAD, **row.frozen}
    assert set(reasons) == set(expected)
    for name, words in expected.items():
        assert words in reasons[name]


@pytest.mark.parametrize("row", GRAPHS.values(), ids=list(GRAPHS))
def test_report_tells_the_same_reasons(row):
    model = row.model()
    search = keras_pit.convert(model, **row.arguments)
    reasons = frozen_of(search)
    told = {layer.name: layer.frozen for layer in keras_pit.summary(search).layers if layer.name in reasons}
    assert told == reasons


@pytest.mark.parametrize("row", GRAPHS.values(), ids=list(GRAPHS))
def test_graph_is_exported_exactly(row):
    rng = np.random.default_rng(0)
    search = keras_pit.convert(row.model(), **row.arguments)
    x = keras.tree.map_structure(lambda tensor: rng.normal(size=(2, *tensor.shape[1:])).astype("float32"), search.input)
    for density in (0.0, 0.4, 0.8):
        random_masks(search, rng, density)
        slim = keras_pit.export(search)
        for one, other in zip(keras.tree.flatten(slim(x)), keras.tree.flatten(search(x)), strict=True):
            one, other = ops.convert_to_numpy(one), ops.convert_to_numpy(other)
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.abs(other).max())
        assert keras_pit.cost(search) == keras_pit.cost(slim)


# -- exact widths -----------------------------------------------------------------------------------------------------


# What "a" keeps, and the number of channels that the named layers have then.
WIDTHS = [
    ("residual", [1, 2], {"a": 2, "b": 2}),
    ("residual", [], {"a": 1, "b": 1}),
    ("grouped_ties_the_groups", [1], {"a": 2, "g": 6}),
    ("squeeze_excite", [0, 2, 3], {"a": 3, "squeeze": 2, "excite": 3}),
    ("halves_added", [0], {"a": 2}),
    ("channel_shuffle", [1], {"a": 2, "b": 6}),
    ("concatenation", [3], {"a": 1, "b": 2}),
]


@pytest.mark.parametrize(("name", "kept", "widths"), WIDTHS)
def test_widths_of_the_slim_model(name, kept, widths):
    slim = pruned(GRAPHS[name].model(), a=kept)
    received = {layer: slim.get_layer(layer).get_config() for layer in widths}
    assert {layer: config.get("filters", config.get("units")) for layer, config in received.items()} == widths


def test_depthwise_layers_and_statistics_shrink_with_what_they_read():
    inputs = keras.Input((8, 3))
    x = layers.BatchNormalization(name="norm")(conv("a")(inputs))
    x = layers.DepthwiseConv1D(3, depth_multiplier=2, name="depthwise")(x)
    x = layers.PReLU(shared_axes=[1], name="prelu")(conv("b", 8, groups=8)(x))
    slim = pruned(headed(x, inputs), a=[0, 3])
    shapes = {name: [tuple(weight.shape) for weight in slim.get_layer(name).weights] for name in ("norm", "prelu")}
    assert shapes == {"norm": [(2,)] * 4, "prelu": [(1, 4)]}
    assert tuple(slim.get_layer("depthwise").kernel.shape) == (3, 2, 2)
    assert slim.get_layer("b").groups == slim.get_layer("b").filters == 4


def test_weights_are_those_of_the_channels_that_stay():
    inputs = keras.Input((8, 3))
    seed = headed(conv("b", 5)(conv("a")(inputs)), inputs)
    slim = pruned(seed, a=[1, 3], b=[0, 4])
    whole, cut = (ops.convert_to_numpy(model.get_layer("b").kernel) for model in (seed, slim))
    np.testing.assert_array_equal(cut, whole[:, [1, 3]][:, :, [0, 4]])
