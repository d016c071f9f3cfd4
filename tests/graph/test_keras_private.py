"""Each private name of Keras that `keras_pit._keras` touches does what the package relies on."""

import keras
import numpy as np
from keras import layers, ops

from keras_pit.graph import _keras
from keras_pit.graph.remake import remake


def diamond() -> keras.Model:
    inputs = keras.Input((4,), name="x")
    left, right = layers.Dense(3, name="left")(inputs), layers.Dense(3, name="right")(inputs)
    return keras.Model(inputs, layers.Dense(2, name="out")(ops.relu(left + right)), name="diamond")


def test_calls_come_after_what_they_read():
    model = diamond()
    seen = {id(tensor) for tensor in model.inputs}
    order = []
    for call in _keras.calls(model):
        assert {id(tensor) for tensor in call.node.input_tensors} <= seen
        seen |= {id(tensor) for tensor in call.node.outputs}
        order.append(call.operation.name)
    assert len(order) == 5
    assert set(order[:2]) == {"left", "right"}
    assert order[-1] == "out"


def test_run_interprets_the_graph_on_any_values():
    model = diamond()
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    outputs = _keras.run(model, x, lambda call, args, kwargs: call.operation(*args, **kwargs))
    np.testing.assert_array_equal(outputs, model(x))


def test_graph_of_a_sequential_model():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2, name="only")])
    assert _keras.is_graph(model)
    assert not _keras.is_graph(model.layers[0])
    assert [call.operation.name for call in _keras.calls(model)] == ["only"]


def test_names_of_plain_operations_only():
    names = [_keras.op_name(call.operation) for call in _keras.calls(diamond())]
    assert names == [None, None, "Add", "Relu", None]


def test_clone_keeps_the_name_and_takes_changes():
    layer = layers.Conv1D(4, 3, name="conv", padding="causal")
    clone = remake(layer, filters=2)
    assert (clone.name, clone.filters, clone.padding) == ("conv", 2, "causal")
    reshape = next(call.operation for call in _keras.calls(reshaping()))
    assert remake(reshape, newshape=(-1, 2)).newshape == (-1, 2)


def reshaping() -> keras.Model:
    inputs = keras.Input((4,))
    return keras.Model(inputs, ops.reshape(inputs, (-1, 4)))


def test_input_structure_is_the_users():
    inputs = {"a": keras.Input((2,), name="a"), "b": keras.Input((2,), name="b")}
    model = keras.Model(inputs, layers.Add()(list(inputs.values())))
    assert set(_keras.input_structure(model)) == {"a", "b"}


def test_output_structure_is_the_users():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, {"twice": layers.Dense(2)(inputs), "same": inputs})
    assert set(_keras.output_structure(model)) == {"twice", "same"}


def test_masked_tensors_are_those_behind_what_masks():
    words = keras.Input((4,), dtype="int32")
    embedded = layers.Embedding(3, 2, mask_zero=True)(words)
    assert _keras.masked(embedded)
    assert _keras.masked(layers.Dense(2)(embedded))
    assert not _keras.masked(words)
    assert not _keras.masked(layers.Embedding(3, 2)(words))


def test_states_are_those_of_random_generators():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2), layers.Dropout(0.5), layers.Dropout(0.5)])
    assert len(_keras.random_states(model)) == 2
    assert _keras.states(model.layers[0]) == []


def test_untouched_forgets_calls():
    model = diamond()
    count = [len(layer._inbound_nodes) for layer in model.layers]
    with _keras.untouched(model):
        model.layers[1](keras.Input((4,)))
        assert [len(layer._inbound_nodes) for layer in model.layers] != count
    assert [len(layer._inbound_nodes) for layer in model.layers] == count


def test_names_include_nested_models():
    inputs = keras.Input((4,), name="outer")
    model = keras.Model(inputs, diamond()(inputs))
    assert {"outer", "diamond", "left", "right", "out", "x"} <= _keras.names(model)


def test_models_built_during_a_call_know_nothing_of_it():
    made = []

    class Builder(layers.Layer):
        def call(self, x):
            with _keras.outside_of_calls():
                inputs = keras.Input((4,))
                made.append(keras.Model(inputs, layers.Dropout(0.5)(inputs)))
            return x

    inputs = keras.Input((4,))
    keras.Model(inputs, Builder()(inputs))(np.zeros((1, 4)), training=True)
    assert not any(model.layers[1]._inbound_nodes[0].arguments.kwargs.get("training") for model in made)
