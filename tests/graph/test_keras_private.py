"""Each private name of Keras that `keras_pit._keras` touches does what the package relies on."""

import keras
import numpy as np
import pytest
import tensorflow as tf
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


def counted(model, **options):
    """The model, compiled, its step traced once; and a list that grows with each trace of its step."""
    traces, step = [], model.train_step

    def train_step(data):
        traces.append(data)
        return step(data)

    model.train_step = train_step
    model.compile("adam", **options)
    model.make_train_function()
    _keras.trace_once(model)
    return model, traces


def two_outputs():
    inputs = keras.Input((3,), name="x")
    heads = {name: layers.Dense(2, name=name)(inputs) for name in ("a", "b")}
    return keras.Model(inputs, heads)


def data(kind):
    x, y = np.ones((5, 3), "float32"), np.ones((5, 2), "float32")
    if kind == "weights":
        return {"x": x, "y": y, "sample_weight": np.ones(5)}
    if kind == "dataset":
        return {"x": tf.data.Dataset.from_tensor_slices((x, y)).batch(2), "shuffle": False}
    return {"x": x, "y": y}


@pytest.mark.parametrize("kind", ["arrays", "weights", "dataset"])
def test_a_step_is_traced_once(kind):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    model, traces = counted(model, loss="mse", metrics=["mae", "accuracy"], weighted_metrics=["mse"])
    model.fit(**data(kind), batch_size=None if kind == "dataset" else 2, epochs=2, verbose=0)
    assert len(traces) == 1


def test_a_step_of_a_model_with_two_outputs_is_traced_once():
    model, traces = counted(two_outputs(), loss={"a": "mse", "b": "mae"}, metrics={"a": ["mae"], "b": ["mse"]})
    targets = {name: np.ones((5, 2)) for name in ("a", "b")}
    logs = model.fit(np.ones((5, 3)), targets, epochs=2, verbose=0).history
    assert len(traces) == 1
    assert {"loss", "a_loss", "b_loss", "a_mae", "b_mse"} <= set(logs)


def test_a_step_that_is_traced_once_trains_as_any_other():
    def trained(once):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), layers.Dense(2), layers.Dropout(0.5)])
        model.compile("adam", "mse", metrics=["mae"])
        if once:
            model.make_train_function()
            _keras.trace_once(model)
        logs = model.fit(**data("arrays"), epochs=3, verbose=0).history
        return logs, model.get_weights()

    (logs, weights), (other_logs, other_weights) = trained(True), trained(False)
    assert logs == other_logs
    for weight, other in zip(weights, other_weights, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_a_step_of_sparse_data_is_traced_as_ever():
    x = tf.sparse.from_dense(np.eye(4, 3, dtype="float32"))
    inputs = keras.Input((3,), sparse=True)
    model, traces = counted(keras.Model(inputs, layers.Dense(2)(inputs)), loss="mse", metrics=["mae"])
    model.fit(tf.data.Dataset.from_tensor_slices((x, np.ones((4, 2)))).batch(2), shuffle=False, verbose=0)
    assert traces


def test_data_without_shapes_are_refused_by_keras_itself():
    model, _ = counted(keras.Sequential([keras.Input((3,)), layers.Dense(2)]), loss="mse", metrics=["mae"])
    known = tf.data.Dataset.from_tensor_slices(tuple(data("arrays").values())).batch(2)
    unknown = tf.data.Dataset.from_generator(lambda: iter(known), output_types=("float32", "float32"))
    with pytest.raises(ValueError, match="unknown rank"):
        model.fit(unknown.map(lambda x, y: (tf.ensure_shape(x, (None, 3)), y)), shuffle=False, verbose=0)


class Plain(keras.Model):
    """Says nothing of its outputs."""

    def __init__(self):
        super().__init__()
        self.out = layers.Dense(2)

    def call(self, x):
        return self.out(x)


@pytest.mark.parametrize("build", [Plain, lambda: keras.Sequential([layers.Dense(2)])], ids=["subclass", "unbuilt"])
def test_models_whose_outputs_are_not_known_train_as_ever(build):
    model, traces = counted(build(), loss="mse", metrics=["mae"])
    model.fit(**data("arrays"), verbose=0)
    assert traces
