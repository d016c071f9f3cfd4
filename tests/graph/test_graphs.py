"""Small graphs, and exactly what is tied, searched and frozen in each; what else a model may be; what is refused.

The graphs are rows of a table. A row is a function from one input of shape (8, 3) to what the head reads, and says

    classes   by the layers that make them (tied layers together), the number of channel classes that can be removed
    frozen    for the other layers that make channels, words from the reason in the report

Every network ends in the Dense layer "head", which is frozen, since it makes the output.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import pytest
from generator import Mix, random_masks
from keras import layers, ops

import keras_pit
from keras_pit.layers import PITConv1D, PITDense

HEAD = {"head": "reaches the output 'head'"}


def conv(name: str, filters: int = 4, **kwargs: Any) -> layers.Conv1D:
    return layers.Conv1D(filters, 3, name=name, **{"padding": "same", **kwargs})


def dense(name: str, units: int, **kwargs: Any) -> layers.Dense:
    return layers.Dense(units, name=name, **kwargs)


def headed(x: Any, inputs: Any, others: Any = ()) -> keras.Model:
    if len(x.shape) > 2:
        x = layers.Flatten(name="flat")(x)
    return keras.Model(inputs, [dense("head", 2)(x), *others] if others else dense("head", 2)(x), name="network")


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


def classes_of(search: keras_pit.SearchModel) -> dict[str, int]:
    """The number of classes that can be removed, by the names of the layers that make them."""
    makers: dict[int, set[str]] = {}
    for layer, channels in search.channels.layers.items():
        for label in channels.made[channels.made > 0]:
            makers.setdefault(int(label), set()).add(layer.name)
    return dict(Counter(" ".join(sorted(names)) for names in makers.values()))


def frozen_of(search: keras_pit.SearchModel) -> dict[str, str]:
    """The reason, for layers that make channels."""
    known = search.channels.layers
    return {layer.name: channels.frozen for layer, channels in known.items() if channels.frozen and len(channels.made)}


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


OTHER = "is searched for other things than channels"
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


def pruned(model: keras.Model, **kept: list[int]) -> keras.Model:
    """The slim model in which the named layers keep these of the classes that they own."""
    search = keras_pit.convert(model, search="channels")
    for layer in search.search_layers:
        if layer.name in kept:
            layer.alpha.assign(np.isin(np.arange(layer.alpha.shape[0]), kept[layer.name]))
    return keras_pit.export(search)


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


# -- what else a model may be -----------------------------------------------------------------------------------------


def test_sequential_that_is_not_built_needs_a_shape_and_stays_unbuilt():
    model = keras.Sequential([conv("a"), layers.Flatten(), dense("head", 2)], name="network")
    search = keras_pit.convert(model, input_shape=(8, 3))
    assert (classes_of(search), frozen_of(search)) == ({"a": 4}, HEAD)
    assert not model.built
    assert not model.layers[0].built


class Subclassed(keras.Model):
    """A model with a `call` of its own, on Keras layers."""

    def __init__(self) -> None:
        super().__init__(name="network")
        self.first, self.second = conv("a"), conv("b")
        self.flatten, self.head = layers.Flatten(), dense("head", 2)

    def call(self, x):
        x = ops.relu(self.first(x))
        return self.head(self.flatten(x + self.second(x)))


class BuiltLate(keras.Model):
    """Makes its layers when it knows the shape."""

    def build(self, shape):
        self.first, self.flatten, self.head = conv("a", shape[-1] + 1), layers.Flatten(), dense("head", 2)

    def call(self, x):
        return self.head(self.flatten(self.first(x)))


def test_subclassed_model_that_makes_its_layers_in_build():
    search = keras_pit.convert(BuiltLate(), input_shape=(8, 3))
    assert classes_of(search) == {"a": 4}


@pytest.mark.parametrize("called", [True, False])
def test_subclassed_model_is_traced(called):
    model, x = Subclassed(), np.random.default_rng(0).normal(size=(2, 8, 3)).astype("float32")
    expected = model(x) if called else None
    search = keras_pit.convert(model) if called else keras_pit.convert(model, input_shape=(8, 3))
    assert (classes_of(search), frozen_of(search)) == ({"a b": 4}, HEAD)
    np.testing.assert_array_equal(search(x), model(x) if expected is None else expected)
    assert not model.first._inbound_nodes


class Doubled(keras.Model):
    """A Functional model with a call of its own."""

    def call(self, inputs, training=None, mask=None):
        return 2.0 * super().call(inputs, training=training, mask=mask)


class DoubledSequential(keras.Sequential):
    """The same as a Sequential model."""

    def call(self, inputs, training=None, mask=None):
        return 2.0 * super().call(inputs, training=training, mask=mask)


def doubled_sequential() -> keras.Model:
    return DoubledSequential(
        [keras.Input((8, 3)), conv("a"), layers.Flatten(), layers.Dropout(0.5), dense("head", 2)], name="network"
    )


def doubled_functional() -> keras.Model:
    inputs = keras.Input((8, 3))
    return Doubled(inputs, dense("head", 2)(layers.Flatten()(conv("a")(inputs))), name="network")


def doubled_inside() -> keras.Model:
    inputs = keras.Input((8, 3))
    return keras.Model(inputs, layers.ReLU()(doubled_functional()(inputs)), name="outer")


@pytest.mark.parametrize("build", [doubled_functional, doubled_sequential])
def test_calls_of_functional_and_sequential_models_are_traced(build):
    model, x = build(), np.random.default_rng(0).normal(size=(2, 8, 3)).astype("float32")
    recorded = [len(layer._inbound_nodes) for layer in model.layers]
    search = keras_pit.convert(model)
    np.testing.assert_array_equal(search(x), model(x))
    np.testing.assert_allclose(keras_pit.export(search)(x), model(x), rtol=1e-5, atol=1e-6)
    assert recorded == [len(layer._inbound_nodes) for layer in model.layers]


class Held(keras.Model):
    """Layers in lists, dictionaries and models, one of which is called piece by piece; one that is for training."""

    def __init__(self) -> None:
        super().__init__(name="network")
        self.list, self.dict = [conv("a"), layers.ReLU()], {"b": conv("b")}
        self.whole = keras.Sequential([conv("c"), layers.Dropout(0.5)])
        self.pieces = keras.Sequential([keras.Input((8, 4)), conv("d"), layers.LSTM(3)])
        self.noise, self.head = layers.GaussianNoise(0.1), dense("head", 2)

    def call(self, x, training=False):
        x = self.noise(x, training=training)
        for layer in [*self.list, self.dict["b"], self.whole, *self.pieces.layers]:
            x = layer(x)
        return self.head(x)


def test_layers_are_found_wherever_a_subclassed_model_holds_them():
    model, x = Held(), np.random.default_rng(0).normal(size=(2, 8, 3)).astype("float32")
    model.compile(loss="mse", metrics=["mae"])
    expected = model(x)
    search = keras_pit.convert(model)
    np.testing.assert_array_equal(search(x), expected)
    assert np.abs(search(x, training=True) - expected).max() > 1e-3


def open_residual(x):
    x = conv("a")(x)
    return layers.MaxPooling1D(2)(x + conv("b", padding="causal", activation="sigmoid")(x))


def open_slices(x):
    x = conv("a")(x)[:, 2:-1]
    return layers.Concatenate(axis=1)([x, ops.flip(x, axis=1)])


def open_squeeze_excite(x):
    x = conv("a", 8)(x)
    return x * dense("excite", 8)(layers.GlobalAveragePooling1D(keepdims=True)(x))


def open_reshape(x):
    return layers.Reshape((-1, 2))(layers.DepthwiseConv1D(3, padding="same")(conv("a")(x)))


def open_strides(x):
    return conv("b", strides=2, padding="causal")(conv("a", strides=2)(x))


@pytest.mark.parametrize("build", [open_residual, open_slices, open_squeeze_excite, open_reshape, open_strides])
def test_open_length_is_exported_exactly(build):
    inputs, rng = keras.Input((None, 3)), np.random.default_rng(0)
    model = headed(layers.GlobalAveragePooling1D()(conv("last", 5)(build(inputs))), inputs)
    search = keras_pit.convert(model)
    for density, length in [(1.0, 16), (0.6, 23), (0.3, 30)]:
        random_masks(search, rng, density)
        x = rng.normal(size=(2, length, 3)).astype("float32")
        np.testing.assert_allclose(keras_pit.export(search)(x), search(x), rtol=1e-4, atol=1e-6)


def test_layers_keep_their_names_inputs_too():
    inner = keras.Input((8, 4))
    model = keras.Model(inner, conv("b")(inner), name="block")
    inputs = keras.Input((8, 3))
    seed = headed(model(conv("a")(inputs)), inputs)
    search = keras_pit.convert(seed)
    for other in (search, keras_pit.export(search)):
        assert [layer.name for layer in other.layers] == [layer.name for layer in seed.layers]
        received = [layer.name for layer in other.get_layer("block").layers]
        assert received == [layer.name for layer in model.layers]


def test_normalization_keeps_what_it_adapted_to():
    rng = np.random.default_rng(0)
    inputs, normalization = keras.Input((8, 3)), layers.Normalization()
    normalization.adapt(rng.normal(5.0, 3.0, size=(40, 8, 3)))
    seed = headed(conv("a")(normalization(inputs)), inputs)
    search = keras_pit.convert(seed)
    x = rng.normal(5.0, 3.0, size=(2, 8, 3)).astype("float32")
    np.testing.assert_allclose(search(x), seed(x), rtol=1e-5)
    np.testing.assert_allclose(keras_pit.export(search)(x), seed(x), rtol=1e-5)


def test_kernel_2d_alone_is_the_whole_kernel():
    model = keras.Sequential([keras.Input((8, 1, 3)), layers.Conv2D(4, (3, 1), name="a")])
    layer = keras_pit.convert(model, search=("kernel_2d",)).get_layer("a")
    assert (layer.alpha, layer.beta is None, layer.gamma is None) == (None, False, False)


def test_nothing_to_search_is_told():
    with pytest.warns(UserWarning, match="Nothing can be searched in model 'network'.*'d' reaches the output 'd'"):
        keras_pit.convert(keras.Sequential([keras.Input((10,)), dense("d", 3)], name="network"))


def test_python_lambda_is_frozen():
    inputs = keras.Input((8, 3))
    model = headed(conv("b", 5)(layers.Lambda(lambda x: 2 * x, name="double")(conv("a")(inputs))), inputs)
    search = keras_pit.convert(model)
    assert classes_of(search) == {"b": 5}
    assert frozen_of(search) == {"a": "meets Lambda 'double', which is not followed", **HEAD}


def test_concatenated_constants_are_no_channels():
    inputs = keras.Input(batch_shape=(2, 8, 3))
    x = ops.concatenate([conv("a")(inputs), np.ones((2, 8, 2), "float32")], axis=-1)
    search = keras_pit.convert(headed(conv("b", 5)(x), inputs))
    random_masks(search, np.random.default_rng(0), 0.4)
    x = np.random.default_rng(0).normal(size=(2, 8, 3)).astype("float32")
    np.testing.assert_allclose(keras_pit.export(search)(x), search(x), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("width", [1, 2])
def test_noise_shape_with_the_channels_in_it_can_be_trained_on(width):
    inputs = keras.Input((8, 3))
    x = layers.Dropout(0.5, noise_shape=(None, 1, 4))(conv("a")(inputs))
    slim = pruned(headed(conv("b", 5)(x), inputs), a=list(range(width)))
    assert slim(np.ones((2, 8, 3), "float32"), training=True).shape == (2, 2)


@pytest.mark.parametrize("name", ["take", "get_item", "a_pad", "a_crop", "conv1d"])
def test_names_of_helpers_do_not_clash(name):
    inputs = keras.Input((8, 3))
    x = conv("a", padding="valid")(conv(name, 8)(inputs)[..., ::2])
    search = keras_pit.convert(headed(x, inputs))
    random_masks(search, np.random.default_rng(0), 0.5)
    # What stays of every second channel is then spaced unevenly.
    search.get_layer(name).alpha.assign([1, 1, 0, 1, 1, 1, 1, 0])
    slim = keras_pit.export(search)
    x = np.random.default_rng(0).normal(size=(2, 8, 3)).astype("float32")
    np.testing.assert_allclose(slim(x), search(x), rtol=1e-4, atol=1e-6)


# -- what is refused --------------------------------------------------------------------------------------------------


def small() -> keras.Model:
    inputs = keras.Input((8, 3))
    return headed(conv("a")(inputs), inputs)


class NotTraceable(Subclassed):
    """Looks at values."""

    def call(self, x):
        return super().call(x) if float(ops.sum(x)) > 0 else self.head(self.flatten(x))


class OwnWeights(Subclassed):
    """Has a weight that belongs to no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = self.add_weight(name="scale", shape=())

    def call(self, x):
        return super().call(x) * self.scale


class Branches(Subclassed):
    """Looks at `training`."""

    def __init__(self) -> None:
        super().__init__()
        self.noise = layers.GaussianNoise(0.1, name="noise")

    def call(self, x, training=False):
        return super().call(self.noise(x) if training else x)


class OwnStep(keras.Model):
    """Trains in its own way."""

    def train_step(self, data):
        return super().train_step(data)


class OwnLoss(keras.Model):
    """Has a loss of its own."""

    def compute_loss(self, *args, **kwargs):
        return super().compute_loss(*args, **kwargs)


def functional(kind: type[keras.Model]) -> keras.Model:
    inputs = keras.Input((8, 3))
    return kind(inputs, dense("head", 2)(layers.Flatten()(inputs)), name="network")


def reads_a_stray_variable() -> keras.Model:
    inputs = keras.Input((8, 3))
    return headed(conv("a")(inputs) * keras.Variable(2.0, name="stray"), inputs)


def poisoned() -> keras_pit.SearchModel:
    search = keras_pit.convert(small())
    search.get_layer("a").alpha.assign([1, np.nan, 1, 1])
    return search


def without_weights() -> keras.Model:
    inputs = keras.Input((8, 3))
    return keras.Model(inputs, layers.ReLU()(inputs), name="network")


def unbuilt() -> keras.Model:
    return keras.Sequential([conv("a"), dense("head", 2)], name="network")


def converted() -> keras_pit.SearchModel:
    return keras_pit.convert(small())


def placed_by_hand() -> keras.Model:
    return keras.Sequential([keras.Input((8, 3)), PITConv1D(4, 3, name="a")])


def open_length() -> keras.Model:
    inputs = keras.Input((None, 3))
    return keras.Model(inputs, conv("a")(inputs), name="network")


# What is called, the error, and words that must be in it: what was received, what was expected, what to do.
REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], list[str]]] = {
    "no model": (lambda: keras_pit.convert("model"), TypeError, ["Expected a keras.Model", "received 'model' (str)"]),
    "search model": (lambda: keras_pit.convert(converted()), TypeError, ["search model already", "export"]),
    "own training step": (
        lambda: keras_pit.convert(functional(OwnStep)),
        TypeError,
        ["Model 'network' (OwnStep) has its own train_step", "keras.Model(inputs, outputs)", "get_regularization_loss"],
    ),
    "own loss": (lambda: keras_pit.convert(functional(OwnLoss)), TypeError, ["(OwnLoss) has its own compute_loss"]),
    "looks at values": (
        lambda: keras_pit.convert(NotTraceable(), input_shape=(8, 3)),
        ValueError,
        ["call of model 'network' (NotTraceable) cannot be traced on symbolic inputs", "functional API"],
    ),
    "own weights": (
        lambda: keras_pit.convert(OwnWeights(), input_shape=(8, 3)),
        ValueError,
        ["'network' (OwnWeights)", "weight", "lost", "scale"],
    ),
    "branches on training": (
        lambda: keras_pit.convert(Branches(), input_shape=(8, 3)),
        ValueError,
        ["'network' (Branches) does not use its layers 'noise'", "`training`", "pass them `training=`"],
    ),
    "own call inside": (
        lambda: keras_pit.convert(doubled_inside()),
        ValueError,
        ["Model 'network' (Doubled) inside of 'outer' has a call of its own", "x = network.call(x)"],
    ),
    "own call without inputs": (
        lambda: keras_pit.convert(DoubledSequential([conv("a")], name="network"), input_shape=(8, 3)),
        ValueError,
        ["Model 'network' (DoubledSequential) has a call of its own and is not built", "keras.Input"],
    ),
    "stray variable": (
        lambda: keras_pit.convert(reads_a_stray_variable()),
        ValueError,
        ["reads a variable that belongs to no layer", "keras.layers.Layer with add_weight"],
    ),
    "nothing to search": (
        lambda: keras_pit.convert(without_weights()),
        ValueError,
        ["The size of model 'network' is 0", "nothing to press down", "convolutions and Dense layers in the graph"],
    ),
    "nothing that can go": (
        lambda: keras_pit.convert(keras.Sequential([keras.Input((10,)), dense("d", 3)], name="network"), target=20),
        ValueError,
        ["Nothing can be searched in model 'network'", "layer 'd' reaches the output 'd'", "hidden layers"],
    ),
    "no kernels": (
        lambda: keras_pit.convert(headed(dense("d", 4)(x := keras.Input((8, 3))), x), search=("kernel",), target=20),
        ValueError,
        ["with search=('kernel',)", f"layer 'd' {OTHER}; layer 'head' {OTHER}", "Name more in `search`"],
    ),
    "sequential without shape": (
        lambda: keras_pit.convert(unbuilt()),
        ValueError,
        ["Model 'network' is not built", "pass `input_shape=`", "keras.Input"],
    ),
    "subclassed without shape": (
        lambda: keras_pit.convert(Subclassed()),
        ValueError,
        ["Model 'network' (Subclassed) has not been called yet", "pass `input_shape=`"],
    ),
    "other shape": (
        lambda: keras_pit.convert(small(), input_shape=(9, 3)),
        ValueError,
        ["Model 'network' is built for inputs of shape [(8, 3)]", "says [(9, 3)]", "leave the argument away"],
    ),
    "unknown regularizer": (
        lambda: keras_pit.convert(small(), regularizer="speed"),
        ValueError,
        ["Unknown cost 'speed'", "'macs'", "'size'"],
    ),
    "negative strength": (lambda: keras_pit.convert(small(), strength=-1), ValueError, ["`strength`", "received -1"]),
    "infinite strength": (
        lambda: keras_pit.convert(small(), strength=float("inf")),
        ValueError,
        ["`strength` must be a finite number of at least 0", "received inf"],
    ),
    "unknown search": (
        lambda: keras_pit.convert(small(), search=("channels", "depth")),
        ValueError,
        ["`search` must be some of 'channels', 'kernel', 'dilation', 'kernel_2d'", "'depth'"],
    ),
    "empty search": (lambda: keras_pit.convert(small(), search=()), ValueError, ["`search` must be some of", "()"]),
    "unknown name": (
        lambda: keras_pit.convert(small(), exclude=["b"]),
        ValueError,
        ["`exclude` has 'b'", "model 'network' has no such layer", "a, flat, head"],
    ),
    "unknown type": (
        lambda: keras_pit.convert(small(), exclude=layers.Conv2D),
        ValueError,
        ["`exclude` has", "Conv2D", "no such layer"],
    ),
    "export of a plain model": (
        lambda: keras_pit.export(small()),
        TypeError,
        ["Expected a search model", "received Functional", "keras_pit.convert(model)"],
    ),
    "export of search layers that know nothing": (
        lambda: keras_pit.export(placed_by_hand()),
        TypeError,
        ["Expected a search model", "received Sequential", "pass it through keras_pit.convert(model) first"],
    ),
    "mask variables of a plain model": (lambda: keras_pit.mask_variables(small()), TypeError, ["received Functional"]),
    "net variables of a plain model": (lambda: keras_pit.net_variables(small()), TypeError, ["received Functional"]),
    "export of what diverged": (
        lambda: keras_pit.export(poisoned()),
        ValueError,
        ["Layer 'a': mask variable alpha is not finite at [1]", "lower the learning rate", "clip"],
    ),
    "cost of what diverged": (
        lambda: keras_pit.cost(poisoned()),
        ValueError,
        ["Layer 'a': mask variable alpha is not finite"],
    ),
    "cost of no model": (lambda: keras_pit.cost(3), TypeError, ["Expected a keras.Model", "received 3 (int)"]),
    "unknown cost": (lambda: keras_pit.cost(small(), "speed"), ValueError, ["Unknown cost 'speed'"]),
    "macs of an open length": (
        lambda: keras_pit.cost(open_length(), "macs"),
        ValueError,
        ["Layer 'a'", "open length", "fixed shape", "'size'"],
    ),
    "unknown search of a layer": (
        lambda: PITConv1D(4, 3, search=("width",), name="p"),
        ValueError,
        ["`search` of layer 'p' must be some of 'channels', 'kernel', 'dilation', 'kernel_2d'", "'width'"],
    ),
}


@pytest.mark.parametrize(("act", "error", "words"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_refused_says_why_and_what_to_do(act, error, words):
    with pytest.raises(error) as caught:
        act()
    for word in words:
        assert word in str(caught.value)
