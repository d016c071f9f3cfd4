"""Whether a model can be deployed at all, before any work is done on it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import keras
import numpy as np

from ..graph import _keras
from ..graph.kinds import difference
from ..graph.seeds import own_calls, require_model


def check_model(model: keras.Model) -> list[keras.KerasTensor]:
    """The model's inputs, if it can be converted at all."""
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"to_tflite needs Keras on the TensorFlow backend; this process runs on {keras.backend.backend()!r}. Save "
            "the model and load it in a process started with KERAS_BACKEND=tensorflow."
        )
    require_model(model)
    try:
        inputs = list(model.inputs)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"Model {model.name!r} has no defined inputs; expected a Functional or Sequential model of known input "
            "shape. Wrap it: x = keras.Input(shape); model = keras.Model(x, model(x))."
        ) from error
    for tensor in inputs:
        batch, *sample = tensor.shape
        if None in sample:
            raise ValueError(
                f"Input {tensor.name!r} of model {model.name!r} has shape {tuple(tensor.shape)}; expected fixed sizes "
                "behind the batch axis, as a microcontroller has fixed buffers. Build the model again with these sizes "
                "and copy the weights: new.set_weights(model.get_weights())."
            )
        if batch not in (None, 1):
            raise ValueError(
                f"Input {tensor.name!r} of model {model.name!r} has the batch size {batch} built in; expected an open "
                "one or 1. Build the model with keras.Input(shape)."
            )
    for layer in _leaves(model):
        _check_layer(layer)
    _check_embeddings(model)
    for inner in own_calls(model):
        raise ValueError(
            f"Model {inner.name!r} ({type(inner).__name__}) has a call of its own, which the file would lose; expected "
            "Functional or Sequential models that compute their graph. Make one: x = keras.Input(shape); model = "
            "keras.Model(x, model.call(x))."
        )
    return inputs


def _check_embeddings(model: keras.Model) -> None:
    """A cast from float to integer is no operator of an integer network."""
    for call in _keras.calls(model):
        if _keras.is_graph(call.operation):
            _check_embeddings(call.operation)
        elif isinstance(call.operation, keras.layers.Embedding):
            for tensor in call.node.input_tensors:
                if "float" in tensor.dtype:
                    raise ValueError(
                        f"Layer {call.operation.name!r} (Embedding) reads {tensor.dtype}; expected integers, which are "
                        "what it looks up. Build the model with keras.Input(shape, dtype='int32') and copy the "
                        "weights: new.set_weights(model.get_weights())."
                    )


def _check_layer(layer: keras.Layer) -> None:
    where = f"Layer {layer.name!r} ({type(layer).__name__})"
    if type(layer).__module__.startswith("keras_pit."):
        raise ValueError(
            f"{where} belongs to a search model; expected a model of plain Keras layers. Call keras_pit.export first."
        )
    different = difference(layer)
    if different is not None:
        warnings.warn(
            f"{where} is a subclass {different}: it is converted as it is, without what makes the Keras layer fast on "
            "a microcontroller, and nothing is folded into it.",
            stacklevel=3,
        )
    policy = layer.dtype_policy
    if policy.quantization_mode is not None:
        raise ValueError(
            f"{where} has the dtype policy {policy.name!r}; expected 'float32', from which to_tflite quantises itself. "
            "Build the model under keras.config.set_dtype_policy('float32') and copy the weights: "
            "new.set_weights(model.get_weights())."
        )
    for variable in layer.weights:
        value = variable.numpy()
        if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
            raise ValueError(
                f"{where}: weight {variable.path!r} holds NaN or infinite values; expected finite ones. Train again, "
                "with a lower learning rate or clipped gradients."
            )


def _leaves(model: keras.Model) -> Iterator[keras.Layer]:
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _leaves(layer)
        else:
            yield layer
