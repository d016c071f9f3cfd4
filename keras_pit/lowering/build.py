"""Keras model -> network of operators, call by call.

    Conv1D, BatchNormalization, ReLU     ->     Conv, Affine, Activation("relu")

Models in the model are walked through as if they were written out; a layer called twice gives two nodes. What no rule
covers is called as it is, on tensors of the shapes that it knows.
"""

from __future__ import annotations

import inspect
from typing import Any

import keras

from ..errors import DeploymentError
from ..graph import _keras
from .convolutions import embedding
from .graph import Network, Node
from .layers import rule_of
from .operations import OPERATIONS
from .operators import Foreign, Input, Reshape
from .shapes import Shape, form
from .values import Context, Value


def build(model: keras.Model) -> Network:
    """The network of a Functional or built Sequential model, operator by operator as it is written.

    Raises:
        DeploymentError: if a layer makes a mask, which no operator could honour.
    """
    inputs = []
    for tensor in _keras.graph(model).inputs:
        shape = _sample(tensor.shape)
        dtype = "float32" if _read_as_floats(model, tensor) else tensor.dtype
        node = Node(Input(dtype, shape[1:]), (), form(shape), _keras.input_name(tensor))
        inputs.append(Value(node, shape, dtype))
    outputs = keras.tree.flatten(_inline(model, inputs))
    return Network(tuple(value.node for value in inputs), tuple(value.node for value in outputs))


def _inline(model: keras.Model, inputs: list[Value]) -> Any:
    """The values of a model's outputs, in their structure."""
    fitted = []
    for value, tensor in zip(inputs, _keras.graph(model).inputs, strict=True):
        shape = _sample(tensor.shape)
        if len(shape) != value.rank:  # Keras adds or drops an axis of size 1
            value = Value(Node.of(Reshape(form(shape)), value.node, name=model.name), shape, value.dtype)
        fitted.append(value)
    return _keras.run(model, fitted, _visit)


def _visit(call: _keras.OperationCall, args: tuple, kwargs: dict) -> Any:
    operation = call.operation
    training = _is_told_to_train(operation, kwargs)
    if _keras.is_graph(operation) and not training:
        return _inline(operation, keras.tree.flatten(args))
    _refuse_masks(call)
    makes = tuple(_sample(tensor.shape) for tensor in call.node.outputs)
    context = Context(operation, args, kwargs, makes)
    kwargs = {name: value for name, value in kwargs.items() if name != "training" and (name != "mask" or value)}
    rule = rule_of(operation) or OPERATIONS.get(_keras.op_name(operation) or "")
    values = [leaf for leaf in keras.tree.flatten((args, kwargs)) if isinstance(leaf, Value)]
    floats = all(tensor.dtype == "float32" for tensor in [*values, *call.node.outputs])
    known = rule(context, *args, **kwargs) if rule and (floats or rule is embedding) and not training else None
    nodes = _foreign(context) if known is None else [known] if isinstance(known, Node) else known
    for node, shape in zip(nodes, makes, strict=True):
        if node.shape != form(shape):
            raise RuntimeError(
                f"Layer {operation.name!r} ({type(operation).__name__}) was lowered to the shape {node.shape}; "
                f"expected {form(shape)}. This is a fault of keras_pit: report it."
            )
    dtypes = [tensor.dtype for tensor in call.node.outputs]
    return [Value(*made) for made in zip(nodes, makes, dtypes, strict=True)]


def _is_told_to_train(operation: Any, kwargs: dict[str, Any]) -> bool:
    """Whether a call says `training=True`; Keras notes that down itself where it is the default, as in RandomFlip."""
    said = bool(kwargs.get("training"))
    return said and inspect.signature(operation.call).parameters["training"].default is not True


def _foreign(context: Context) -> list[Node]:
    """The call as it is."""
    layer = context.layer
    arguments = (context.args, context.kwargs)
    values = [leaf for leaf in keras.tree.flatten(arguments) if isinstance(leaf, Value)]

    def call(*tensors: Any) -> list[Any]:
        given = iter(tensors)
        args, kwargs = keras.tree.map_structure(
            lambda leaf: next(given) if isinstance(leaf, Value) else leaf, arguments
        )
        if isinstance(layer, keras.layers.Layer):
            if "training" in inspect.signature(layer.call).parameters:
                kwargs["training"] = _is_told_to_train(layer, kwargs)
            states = ([variable.value for variable in kind] for kind in _variables(layer))
            outputs, _ = layer.stateless_call(*states, *args, **kwargs)
        else:
            outputs = layer(*args, **kwargs)
        return list(keras.tree.flatten(outputs))

    takes = tuple(value.shape for value in values)
    inputs = tuple(value.node for value in values)
    return [
        Node(Foreign(call, takes, form(shape), index), inputs, form(shape), context.name)
        for index, shape in enumerate(context.makes)
    ]


def _variables(layer: keras.Layer) -> tuple[list[Any], list[Any]]:
    return layer.trainable_variables, layer.non_trainable_variables


def _refuse_masks(call: _keras.OperationCall) -> None:
    if any(_keras.masked(tensor) for tensor in call.node.outputs):
        raise DeploymentError(
            f"Layer {call.operation.name!r} ({type(call.operation).__name__}) makes or passes on a mask; expected a "
            "model without, as TFLite-Micro runs every time step alike. Cut the data to one length, and build the "
            "model without Masking layers and with Embedding(mask_zero=False)."
        )


def _read_as_floats(model: keras.Model, tensor: Any) -> bool:
    """Whether an input of pixels, say, is only read by layers that make floats of it, such as Rescaling.

    Then it can be a float itself, and be quantised: TFLite-Micro cannot cast it.
    """
    if tensor.dtype not in ("uint8", "int8", "uint16", "int16"):
        return False
    for call in _keras.calls(model):
        places = [index for index, source in enumerate(call.node.input_tensors) if source is tensor]
        if places and _keras.is_graph(call.operation):
            inner = _keras.graph(call.operation).inputs
            if not all(inner[i].dtype == "float32" or _read_as_floats(call.operation, inner[i]) for i in places):
                return False
        elif places and any(output.dtype != "float32" for output in call.node.outputs):
            return False
    return True


def _sample(shape: tuple[int | None, ...]) -> Shape:
    """A Keras shape with batch 1."""
    _, *sample = shape if shape else (None,)
    return (1, *(int(size or 0) for size in sample))
