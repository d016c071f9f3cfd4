"""The only file that touches private Keras names.

Keras keeps a functional model as nodes, one per call of an operation; `keras.Function` can run them, but offers no
public way to look at a call before it runs. What the graph passes need of that is here, each with a test in
`tests/test_keras_private.py`:

    calls(model)                 the calls of a graph in an order in which they can be run
    run(model, inputs, visit)    interpret the graph: visit(call, args, kwargs) returns the call's outputs
    untouched(model)             forget what was recorded on the model's layers in the meantime
    trace_once(model)            have a model's training step traced once
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
from keras.src.backend import compute_output_spec
from keras.src.backend.common import global_state
from keras.src.models.functional import Functional
from keras.src.ops.numpy import Take
from keras.src.saving.serialization_lib import SafeModeScope

_RECORDING = threading.RLock()


@dataclass(frozen=True, eq=False)
class OperationCall:
    """One call of one operation in a graph."""

    operation: Any
    node: Any

    @property
    def output_shapes(self) -> list[tuple[int | None, ...]]:
        return [tensor.shape for tensor in self.node.outputs]


def is_graph(operation: Any) -> bool:
    """Whether the operation is a model whose layers are visible: Functional or Sequential."""
    return isinstance(operation, (Functional, keras.Sequential))


def graph(model: Any) -> Any:
    """The functional graph of a Functional or (built) Sequential model."""
    return model._functional if isinstance(model, keras.Sequential) else model


def calls(model: Any) -> Iterator[OperationCall]:
    """The calls of a graph, each after those it reads from."""
    nodes = graph(model)._nodes_by_depth
    for depth in sorted(nodes, reverse=True):
        for node in nodes[depth]:
            if not node.is_input:
                yield OperationCall(node.operation, node)


def run(model: Any, inputs: Any, visit: Callable[[OperationCall, tuple, dict], Any]) -> Any:
    """Interpret a graph on values of any type.

    Args:
        model: Functional or built Sequential model.
        inputs: one value per input tensor (any structure; flattened).
        visit: called with each call, its arguments and keyword arguments (values in place of tensors); returns the
            call's output values in the structure of the operation's outputs.

    Returns:
        The values of the model's outputs, in their structure.
    """
    function = graph(model)
    values = dict(zip(map(id, function.inputs), keras.tree.flatten(inputs), strict=True))
    for call in calls(function):
        args, kwargs = call.node.arguments.fill_in(values)
        outputs = keras.tree.flatten(visit(call, args, kwargs))
        values.update(zip(map(id, call.node.outputs), outputs, strict=True))
    return keras.tree.pack_sequence_as(function._outputs_struct, [values[id(tensor)] for tensor in function.outputs])


def op_name(operation: Any) -> str | None:
    """The name of a plain `keras.ops` operation ("Add", "GetItem"), None for layers and foreign operations."""
    kind = type(operation)
    return kind.__name__ if kind.__module__.startswith("keras.src.ops.") else None


def from_config(kind: Any, config: dict[str, Any]) -> Any:
    """A new operation from a config of the user's own process, in which code is no risk."""
    with SafeModeScope(False):
        return kind.from_config(config)


def recorded(operation: Any, names: Iterable[str]) -> dict[str, Any]:
    """What an operation's constructor was given for some arguments, where Keras took note of it: if all are plain."""
    noted = getattr(operation, "_auto_config", None)
    return {} if noted is None else {name: noted.config[name] for name in names if name in noted.config}


def take(x: Any, positions: list[int], axis: int, name: str) -> Any:
    """`keras.ops.take`, as an operation with a name."""
    operation = Take(axis=axis)
    operation.name = name
    return operation(x, positions)


def masked(tensor: Any) -> bool:
    """Whether a symbolic tensor carries a mask of the time steps that count."""
    return getattr(tensor, "_keras_mask", None) is not None


def input_layer(tensor: Any) -> Any:
    """The input layer that a symbolic input belongs to."""
    return tensor._keras_history.operation


def input_name(tensor: Any) -> str:
    """The name of the input layer that a symbolic input belongs to."""
    return input_layer(tensor).name


def input_structure(model: Any) -> Any:
    """The input tensors in the structure the user built the model with."""
    return graph(model)._inputs_struct


def output_structure(model: Any) -> Any:
    """The output tensors in the structure the user built the model with."""
    return graph(model)._outputs_struct


def all_layers(model: Any) -> list[Any]:
    """The model and every layer in it, however deep."""
    return list(model._flatten_layers())


def states(layer: Any) -> list[Any]:
    """Variables beside the weights that steer a layer's calls: the states of its random generators."""
    weights = {id(weight) for weight in layer.weights}
    return [variable for variable in layer.variables if id(variable) not in weights]


def random_states(model: Any) -> list[Any]:
    """The states of all random generators in a model, each once."""
    found = [state for layer in all_layers(model) if not is_graph(layer) for state in states(layer)]
    return list({id(state): state for state in found}.values())


@contextlib.contextmanager
def untouched(model: Any) -> Iterator[None]:
    """Forget, at the end, the calls that were recorded on the model's layers in the meantime.

    One thread at a time: models may share layers, and one thread would forget the calls of another.
    """
    with _RECORDING:
        lengths = {id(nodes): len(nodes) for nodes in _records(model)}
        try:
            yield
        finally:
            for nodes in _records(model):
                del nodes[lengths.get(id(nodes), 0) :]


def _records(model: Any) -> list[list[Any]]:
    operations = list(all_layers(model))
    if is_graph(model) and graph(model) is not None:
        operations += graph(model).operations
    return [nodes for operation in operations for nodes in (operation._inbound_nodes, operation._outbound_nodes)]


def names(model: Any) -> set[str]:
    """The names that are taken in a graph and the models in it."""
    taken = {tensor.name for tensor in graph(model).inputs}
    for call in calls(model):
        taken.add(call.operation.name)
        if is_graph(call.operation):
            taken |= names(call.operation)
    return taken


@contextlib.contextmanager
def outside_of_calls() -> Iterator[None]:
    """A context in which models can be built, also while TensorFlow traces a function or a model is being called.

    Inside of a call, Keras hands its `training` to all layers that are called, and notes it in a new model's graph.
    """
    import tensorflow as tf

    call = global_state.get_global_attribute("current_call_ctx")
    global_state.set_global_attribute("current_call_ctx", None)
    try:
        with tf.init_scope():
            yield
    finally:
        global_state.set_global_attribute("current_call_ctx", call)


def trace_once(model: Any) -> None:
    """Have the step of a compiled model traced once, by the training function that the model now has.

    A step makes variables of the optimizer, metrics and losses where they are missing, and TensorFlow traces what makes
    variables a second time, and keeps both. Here they are made before: those of the optimizer at once, so that a
    callback that restores a checkpoint finds them, the others from what `fit` says of its data. Models whose outputs
    are not known are left as they are.
    """
    if not is_graph(model) or graph(model) is None:
        return
    if model.optimizer is not None and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    function = model.train_function

    def prepared(data: Any) -> Any:
        _prepare(model, getattr(data, "element_spec", None))
        return function(data)

    model.train_function = prepared


def _prepare(model: Any, spec: Any) -> None:
    """Make the variables of metrics and losses.

    Args:
        model: compiled.
        spec: of the data of a step, if it is known.
    """
    import tensorflow as tf

    metrics, loss = model._compile_metrics, model._compile_loss
    if spec is None or not (_open(metrics) or _open(loss)):
        return
    # What is missing in a batch has the type of an option.
    specs = keras.tree.map_structure(lambda one: None if isinstance(one, tf.OptionalSpec) else one, spec)
    flat = [one for one in keras.tree.flatten(specs) if one is not None]
    if not all(isinstance(one, tf.TensorSpec) and one.shape.rank is not None for one in flat):
        return
    x, y, weights = keras.utils.unpack_x_y_sample_weight(keras.tree.map_structure(_symbol, specs))
    outputs = output_structure(model)
    if _open(metrics):
        compute_output_spec(model.compute_metrics, x, y, outputs, sample_weight=weights)
    if _open(loss):
        compute_output_spec(model._compute_loss, x, y, outputs, sample_weight=weights, training=False)


def _open(part: Any) -> bool:
    return part is not None and not part.built


def _symbol(spec: Any) -> Any:
    return None if spec is None else keras.KerasTensor(spec.shape, spec.dtype.name)
