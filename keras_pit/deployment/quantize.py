"""Keras model -> .tflite file that TFLite-Micro is known to run.

    model --lower--> network --freeze, convert--> flatbuffer --trim--> a smaller one --verify--> the same, or an error

The model is first rebuilt in the form of a microcontroller (`keras_pit.lowering`), with batch size 1 and weights as
constants. A model from `quantize_aware` has that form already, and knows its ranges from training.
"""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_pit.deployment.calibration import as_samples, random_samples
from keras_pit.deployment.convert import SCHEMES, Signature, convert, freeze, scope
from keras_pit.deployment.flatbuffer import DeploymentError, read_graph
from keras_pit.deployment.trim import trim
from keras_pit.deployment.verify import require_integer, require_static
from keras_pit.deployment.verify import verify as verify_file
from keras_pit.lowering import Network, lower


def to_tflite(
    model: keras.Model,
    calibration: Any = None,
    *,
    quantization: str | None = "int8",
    logits: bool = False,
    verify: bool = True,
) -> bytes:
    """Convert a Keras model to a .tflite file for TFLite-Micro, checked there.

    Args:
        model: Functional or Sequential model with float32 layers and fixed input shapes; it is
            not changed.
        calibration: some 100 typical inputs, as the model takes them: an array of shape
            (samples, *input), a list of such arrays for several inputs, a dictionary of them by
            input name, or a finite `tf.data.Dataset` of inputs or of (inputs, targets), batched or
            not. Needed unless `quantization` is None.
        quantization: "int8", "int16x8" (16-bit activations, 8-bit weights) or None (float32).
            Quantised files also have inputs and outputs of type int8 or int16.
        logits: leave out a softmax at the end, which is slow and does not change the order of classes.
        verify: run up to 32 calibration samples (random ones, if there are none) on TFLite-Micro
            and on LiteRT's reference kernels, and compare.

    Returns:
        The content of the .tflite file; batch size 1, inputs and outputs in the model's order. A sequence (T, C) is a
        map (1, T, C) in the file: the same numbers in the same order.

    Raises:
        ValueError: if the model or the calibration data is not of the form above.
        DeploymentError: if the model cannot be converted, is left with floats between the
            integers, has an operator that TFLite-Micro lacks, or computes something else there.
        ImportError: if ai_edge_litert or tflite_micro is not installed.

    Example:
        >>> tflite = to_tflite(model, x_train[:200])
        >>> pathlib.Path("model.tflite").write_bytes(tflite)
    """
    if quantization is not None and quantization not in SCHEMES:
        raise ValueError(
            f"quantization is one of {', '.join(map(repr, SCHEMES))} or None (float32); received {quantization!r}."
        )
    inputs = _check_model(model)
    if calibration is not None:
        samples = as_samples(inputs, calibration)
    elif quantization is None:
        samples = random_samples(inputs)
    else:
        raise ValueError(
            f"quantization={quantization!r} needs calibration data, received None. Pass some 100 "
            "typical inputs, for example calibration=x_train[:200], or quantization=None for a "
            "float32 file."
        )
    network = lower(model, logits=logits)
    _require_used(model, network)
    feeds = [array.reshape(-1, *node.shape[1:]) for array, node in zip(samples, network.inputs, strict=True)]
    frozen = freeze(
        _function(network), [Signature(node.name, node.shape, node.operator.dtype) for node in network.inputs]
    )
    whole = convert(frozen, SCHEMES[quantization] if quantization else None, feeds)
    _check_result(network, whole, quantised=quantization is not None)
    tflite = trim(whole)
    if verify:
        try:
            verify_file(tflite, feeds)
        except DeploymentError:
            verify_file(whole, feeds)  # raises the same, with the names that trimming took away
            raise
    return tflite


def _function(network: Network) -> Any:
    import tensorflow as tf

    def compute(node: Any, *values: Any) -> Any:
        with tf.name_scope(scope(node.name)):
            return node.operator.compute(*values)

    # An output that is an input still needs an operator to make it.
    return lambda *inputs: [tf.identity(output) for output in network.evaluate(compute, inputs)]


def _require_used(model: keras.Model, network: Network) -> None:
    nodes = set(network.nodes())
    for tensor, node in zip(model.inputs, network.inputs, strict=True):
        if node not in nodes:
            raise ValueError(
                f"Input {tensor.name!r} of model {model.name!r} has no effect on the outputs; "
                "expected every input to be used. Build the model without it."
            )


def _check_model(model: keras.Model) -> list[keras.KerasTensor]:
    """The model's inputs, if it can be converted at all."""
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "to_tflite needs Keras on the TensorFlow backend; this process runs on "
            f"{keras.backend.backend()!r}. Save the model and load it in a process started with "
            "KERAS_BACKEND=tensorflow."
        )
    if not isinstance(model, keras.Model):
        raise ValueError(f"Expected a keras.Model; received {type(model).__name__}.")
    try:
        inputs = list(model.inputs)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"Model {model.name!r} has no defined inputs; expected a Functional or Sequential "
            "model of known input shape. Wrap it: x = keras.Input(shape); "
            "model = keras.Model(x, model(x))."
        ) from error
    for tensor in inputs:
        batch, *sample = tensor.shape
        if None in sample:
            raise ValueError(
                f"Input {tensor.name!r} of model {model.name!r} has shape {tuple(tensor.shape)}; "
                "expected fixed sizes behind the batch axis, as a microcontroller has fixed "
                "buffers. Build the model again with these sizes and copy the weights: "
                "new.set_weights(model.get_weights())."
            )
        if batch not in (None, 1):
            raise ValueError(
                f"Input {tensor.name!r} of model {model.name!r} has the batch size {batch} built "
                "in; expected an open one or 1. Build the model with keras.Input(shape)."
            )
    for layer in _leaves(model):
        _check_layer(layer)
    return inputs


def _check_layer(layer: keras.Layer) -> None:
    where = f"Layer {layer.name!r} ({type(layer).__name__})"
    if type(layer).__module__.startswith("keras_pit."):
        raise ValueError(
            f"{where} belongs to a search model; expected a model of plain Keras layers. Call keras_pit.export first."
        )
    policy = layer.dtype_policy
    if policy.quantization_mode is not None or policy.compute_dtype in (
        "float16",
        "bfloat16",
        "float64",
    ):
        raise ValueError(
            f"{where} has the dtype policy {policy.name!r}; expected 'float32', from which "
            "to_tflite quantises itself. Build the model under "
            "keras.config.set_dtype_policy('float32') and copy the weights: "
            "new.set_weights(model.get_weights())."
        )
    for variable in layer.weights:
        value = variable.numpy()
        if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
            raise ValueError(
                f"{where}: weight {variable.path!r} holds NaN or infinite values; expected finite "
                "ones. Train again, with a lower learning rate or clipped gradients."
            )


def _leaves(model: keras.Model) -> Iterator[keras.Layer]:
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _leaves(layer)
        else:
            yield layer


def _check_result(network: Network, tflite: bytes, *, quantised: bool) -> None:
    """Refuse a file whose inputs and outputs are not the network's, or whose shapes are open."""
    graph = read_graph(tflite)
    require_static(graph)
    for kind, nodes, tensors in (
        ("inputs", network.inputs, graph.inputs),
        ("outputs", network.outputs, graph.outputs),
    ):
        expected, received = [node.shape for node in nodes], [tensor.shape for tensor in tensors]
        if expected != received:
            raise DeploymentError(
                f"The {kind} of the file have the shapes {received}; expected {expected}. This is a fault of "
                "keras_pit: report it."
            )
    if quantised:
        require_integer(graph)
