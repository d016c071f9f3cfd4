"""Keras model -> network of operators, call by call.

    Conv1D, BatchNormalization, ReLU     ->     Conv, Affine, Activation("relu")

Models in the model are walked through as if they were written out; a layer called twice gives two nodes. What no rule
covers is called as it is, on tensors of the shapes that it knows. Mixed precision is for training: here, all floats are
float32.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
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
        dtype = _dtype(model, tensor)
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
    floats = all(_is_float(tensor.dtype) for tensor in [*values, *call.node.outputs])
    known = rule(context, *args, **kwargs) if rule and (floats or rule is embedding) and not training else None
    nodes = _foreign(context) if known is None else [known] if isinstance(known, Node) else known
    for node, shape in zip(nodes, makes, strict=True):
        if node.shape != form(shape):
            raise RuntimeError(
                f"Layer {operation.name!r} ({type(operation).__name__}) was lowered to the shape {node.shape}; "
                f"expected {form(shape)}. This is a fault of keras_pit: report it."
            )
    dtypes = ["float32" if _is_float(tensor.dtype) else tensor.dtype for tensor in call.node.outputs]
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
            states = ([_single(variable.value) for variable in kind] for kind in _variables(layer))
            with _in_float32(layer):
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


@contextlib.contextmanager
def _in_float32(layer: keras.Layer) -> Iterator[None]:
    """Compute in float32 for a while, whatever the dtype policy of a layer and those in it."""
    policies = {one: one.dtype_policy for one in _keras.all_layers(layer) if one.compute_dtype != "float32"}
    try:
        for one in policies:
            one.dtype_policy = "float32"
        yield
    finally:
        for one, policy in policies.items():
            one.dtype_policy = policy


def _single(value: Any) -> Any:
    return keras.ops.cast(value, "float32") if _is_float(keras.backend.standardize_dtype(value.dtype)) else value


def _variables(layer: keras.Layer) -> tuple[list[Any], list[Any]]:
    return layer.trainable_variables, layer.non_trainable_variables


def _refuse_masks(call: _keras.OperationCall) -> None:
    if any(_keras.masked(tensor) for tensor in call.node.outputs):
        raise DeploymentError(
            f"Layer {call.operation.name!r} ({type(call.operation).__name__}) makes or passes on a mask; expected a "
            "model without, as TFLite-Micro runs every time step alike. Cut the data to one length, and build the "
            "model without Masking layers and with Embedding(mask_zero=False)."
        )


def _dtype(model: keras.Model, tensor: Any) -> str:
    """The type of an input in the file: float32 and int32 wherever they serve, as TFLite-Micro casts little.

    Floats of any kind are float32. So are pixels, say, that are only read by layers that make floats of them, such as
    Rescaling: then they can be quantised. What only an Embedding reads is int32.
    """
    readers = list(_readers(model, tensor))
    if readers and all(isinstance(call.operation, keras.layers.Embedding) for call in readers):
        return "int32"
    pixels = tensor.dtype in ("uint8", "int8", "uint16", "int16")
    if pixels and all(_is_float(output.dtype) for call in readers for output in call.node.outputs):
        return "float32"
    return "float32" if _is_float(tensor.dtype) else str(tensor.dtype)


def _is_float(dtype: str) -> bool:
    return dtype.startswith(("float", "bfloat"))


def _readers(model: keras.Model, tensor: Any) -> Iterator[_keras.OperationCall]:
    """The calls that read an input, also those in models in the model."""
    for call in _keras.calls(model):
        for place, source in enumerate(call.node.input_tensors):
            if source is tensor and _keras.is_graph(call.operation):
                yield from _readers(call.operation, _keras.graph(call.operation).inputs[place])
            elif source is tensor:
                yield call


def _sample(shape: tuple[int | None, ...]) -> Shape:
    """A Keras shape with batch 1."""
    _, *sample = shape if shape else (None,)
    return (1, *(int(size or 0) for size in sample))
