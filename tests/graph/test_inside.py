"""What is inside of layers that are not followed counts in every cost; what cannot be known is "at least"."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import keras_pit


class Block(layers.Layer):
    """Made of layers, and a matrix of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv, self.norm = layers.Conv1D(6, 3, padding="same"), layers.LayerNormalization()
        self.dense = layers.Dense(5)

    def build(self, shape):
        self.conv.build(shape)
        self.norm.build((*shape[:-1], 6))
        self.dense.build((*shape[:-1], 6))
        self.matrix = self.add_weight(name="matrix", shape=(5, 4))

    def call(self, x):
        x = self.norm(self.conv(x))
        return ops.matmul(self.dense(x) + self.dense(2.0 * x), self.matrix)


class Opaque(Block):
    """What it computes is known to TensorFlow only."""

    def call(self, x):
        return tf.identity(super().call(x))


class Adds(layers.Layer):
    """Has a weight, but multiplies nothing by each other."""

    def build(self, shape):
        self.offset = self.add_weight(name="offset", shape=(shape[-1],))

    def call(self, x):
        return x + self.offset


class Squares(layers.Layer):
    """Multiplies tensors by each other."""

    def call(self, x):
        return ops.matmul(ops.matmul(x, ops.transpose(x, (0, 2, 1))), x)


class OtherDense(layers.Dense):
    """Costs more than a Dense layer."""

    def build(self, shape):
        super().build(shape)
        self.more = self.add_weight(name="more", shape=(3,))


def wrapped():
    return layers.TimeDistributed(keras.Sequential([layers.Dense(5), layers.LayerNormalization(), layers.Dense(4)]))


def images():
    return keras.Sequential(
        [keras.Input((8, 4)), layers.Reshape((8, 4, 1)),
         layers.TimeDistributed(keras.Sequential([layers.Conv1D(3, 2), layers.Flatten()])), layers.Dense(4)]
    )  # fmt: skip


LSTM, GRU = 4 * (4 * 4 + 4 * 4), 3 * (4 * 4 + 4 * 4)
CONV, DENSE = 3 * 4 * 6, 6 * 5

# A layer on tensors of shape (8, 4); its parameters and multiply-accumulates, counted by hand; whether these are all.
COUNTED = [
    (lambda: layers.LSTM(4, return_sequences=True), LSTM + 16, 8 * LSTM, True),
    (lambda: layers.GRU(4, return_sequences=True), GRU + 24, 8 * GRU, True),
    (lambda: layers.GRU(4, return_sequences=True, reset_after=False, use_bias=False), GRU, 8 * GRU, True),
    (lambda: layers.SimpleRNN(4, return_sequences=True), 32 + 4, 8 * 32, True),
    (lambda: layers.RNN([layers.LSTMCell(4), layers.GRUCell(4)], return_sequences=True), LSTM + GRU + 40,
     8 * (LSTM + GRU), True),
    (lambda: layers.Bidirectional(layers.LSTM(2, return_sequences=True)), 2 * (4 * 8 + 2 * 8 + 8), 2 * 8 * 48, True),
    (wrapped, 20 + 5 + 10 + 20 + 4, 8 * 40, True),
    (images, 6 + 3 + 36 + 4, 8 * 3 * 6 + 8 * 36, True),
    (Block, CONV + 6 + 12 + DENSE + 5 + 20, 8 * (CONV + 2 * DENSE + 20), True),
    (Opaque, CONV + 6 + 12 + DENSE + 5 + 20, 0, False),
    (Adds, 4, 0, True),
    (Squares, 0, 0, False),
    (lambda: OtherDense(4), 20 + 3, 8 * 16, False),
    (lambda: layers.EinsumDense("abc,cd->abd", (8, 4), bias_axes="d"), 20, 8 * 16, True),
    (lambda: layers.LayerNormalization(), 8, 0, True),
    (lambda: layers.GroupNormalization(2), 8, 0, True),
    (lambda: layers.Lambda(lambda x: 2 * x), 0, 0, True),
    (lambda: layers.Lambda(lambda x: tf.sin(x)), 0, 0, False),
    (lambda: layers.BatchNormalization(), 0, 0, True),
]  # fmt: skip
FRONT, BACK = 3 * 3 * 4 + 4, 4 * 2 + 2


def around(layer) -> keras.Model:
    inputs = keras.Input((8, 3))
    x = layers.Conv1D(4, 3, padding="same", name="first")(inputs)
    x = layers.Conv1D(4, 1, name="second")(x)
    return keras.Model(inputs, layers.Dense(2, name="out")(layer(x)), name="network")


@pytest.mark.filterwarnings("ignore:The macs of model")
@pytest.mark.parametrize(("build", "size", "macs", "all_known"), COUNTED)
def test_what_is_inside_is_counted(build, size, macs, all_known):
    seed = around(build())
    search = keras_pit.convert(seed, ["size", "macs"])
    expected = {"size": FRONT + 20 + BACK + size, "macs": 8 * (36 + 16 + 8) + macs}
    for metric, number in expected.items():
        assert keras_pit.cost(seed, metric) == keras_pit.cost(search, metric) == number
        assert float(keras_pit.soft_cost(search, metric)) == number
    search.get_layer("first").alpha.assign([0, 1, 1, 0])
    slim, report = keras_pit.export(search), keras_pit.summary(search)
    for metric, less in (("size", 20 + 8), ("macs", 8 * (18 + 8))):
        now = expected[metric] - less
        assert keras_pit.cost(slim, metric) == keras_pit.cost(search, metric) == now
        assert (report.total("before", metric), report.total("after", metric)) == (expected[metric], now)
    assert bool(report.unknown) != all_known
    assert ("MACs are at least these" in str(report)) != all_known


@pytest.mark.parametrize("build", [Opaque, Squares, lambda: layers.MultiHeadAttention(1, 2, name="attend")])
def test_costs_that_are_bounds_from_below_say_so(build):
    inputs = keras.Input((8, 3))
    x, layer = layers.Conv1D(4, 3, name="first")(inputs), build()
    x = layer(x, x) if isinstance(layer, layers.MultiHeadAttention) else layer(x)
    seed = keras.Model(inputs, layers.Dense(2)(layers.Conv1D(5, 1)(x)), name="network")
    words = rf"macs of model 'network' are at least .*'{layer.name}' \({type(layer).__name__}\) are not known"
    with pytest.warns(UserWarning, match=words):
        search = keras_pit.convert(seed, "macs")
    for model in (seed, search, keras_pit.export(search)):
        with pytest.warns(UserWarning, match=words):
            keras_pit.cost(model, "macs")
        keras_pit.cost(model, "size")


def test_attention_counts_its_projections():
    inputs = keras.Input((8, 4))
    model = keras.Model(inputs, layers.MultiHeadAttention(2, 3)(inputs, inputs))
    report = keras_pit.summary(model)
    assert report.total("after", "size") == model.count_params() == 3 * (4 * 6 + 6) + 6 * 4 + 4
    assert report.total("after", "macs") == 8 * 4 * 24


def test_the_log_of_fit_is_the_whole_cost():
    search = keras_pit.convert(around(layers.LSTM(4)), ["size", "macs"])
    search.compile("sgd", "mse")
    history = search.fit(np.ones((4, 8, 3)), np.ones((4, 2)), verbose=0).history
    for metric in ("size", "macs"):
        assert history[metric][-1] == keras_pit.cost(keras_pit.export(search), metric)


def test_a_layer_that_is_called_twice_has_its_parameters_once():
    inputs, lstm = keras.Input((8, 4)), layers.LSTM(4, return_sequences=True)
    model = keras.Model(inputs, layers.Dense(2)(lstm(lstm(inputs))))
    assert keras_pit.cost(model) == model.count_params()
    assert keras_pit.cost(model, "macs") == 2 * 8 * LSTM + 8 * 8


def test_embeddings_are_parameters():
    inputs = keras.Input((8,), dtype="int32")
    model = keras.Model(inputs, layers.Dense(2)(layers.Embedding(10, 4)(inputs)))
    assert (keras_pit.cost(model), keras_pit.cost(model, "macs")) == (40 + 10, 8 * 8)


def test_open_lengths_have_a_size_and_no_macs():
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, layers.Dense(2)(layers.LSTM(4)(inputs)))
    assert keras_pit.cost(model) == model.count_params()
    with pytest.raises(ValueError, match=r"'lstm.*' works on shapes .* open length"):
        keras_pit.cost(model, "macs")


def test_costs_of_users_see_what_is_inside():
    stages = []
    keras_pit.costs.register("seen", replace=True)(lambda stage: stages.append(stage) or stage.parameters)
    model = around(Block())
    assert keras_pit.cost(model, "seen") == keras_pit.cost(model)
    assert [stage.kind for stage in stages] == ["conv", "conv", "conv", "dense", "dense", "other", "dense"]
