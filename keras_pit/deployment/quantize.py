"""Keras model -> integer .tflite file with fixed shapes.

    model --_freeze--> concrete function, batch 1, weights as constants
          --_convert--> flatbuffer, quantised with the calibration samples
          --_check_result, verify--> the same flatbuffer, or an error

Why not `TFLiteConverter.from_keras_model`: it leaves the batch open, so a dilated convolution
becomes SPACE_TO_BATCH_ND, CONV_2D, BATCH_TO_SPACE_ND with shapes that TFLite-Micro misreads without
an error. The model is called statelessly, so that tracing leaves nothing behind in it.

Calibration data is brought into one form first, a list with one array of shape (samples, *input)
per input of the model; these are real activations from which the ranges of the integers are taken.
"""

import contextlib
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_pit.deployment.flatbuffer import DeploymentError, read_graph
from keras_pit.deployment.verify import require_integer, require_static
from keras_pit.deployment.verify import verify as verify_file


@dataclass(frozen=True)
class _Scheme:
    """A row of what `quantization` may be: kernels allowed, type of inputs and outputs."""

    ops: str
    io: str
    per_channel_dense: bool


_SCHEMES = {
    "int8": _Scheme("TFLITE_BUILTINS_INT8", "int8", True),
    # CMSIS-NN cannot allocate a 16x8 FULLY_CONNECTED with one scale per channel.
    "int16x8": _Scheme("EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8", "int16", False),
}
_LOOPS = ("While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase")
_RANDOM_SAMPLES = 8


def to_tflite(
    model: keras.Model,
    calibration: Any = None,
    *,
    quantization: str | None = "int8",
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
        verify: run up to 32 calibration samples (random ones, if there are none) on TFLite-Micro
            and on LiteRT's reference kernels, and compare.

    Returns:
        The content of the .tflite file; batch size 1, inputs and outputs in the model's order.

    Raises:
        ValueError: if the model or the calibration data is not of the form above.
        DeploymentError: if the model cannot be converted, is left with floats between the
            integers, has an operator that TFLite-Micro lacks, or computes something else there.
        ImportError: if ai_edge_litert or tflite_micro is not installed.

    Example:
        >>> tflite = to_tflite(model, x_train[:200])
        >>> pathlib.Path("model.tflite").write_bytes(tflite)
    """
    if quantization is not None and quantization not in _SCHEMES:
        raise ValueError(
            f"quantization is one of {', '.join(map(repr, _SCHEMES))} or None (float32); received {quantization!r}."
        )
    inputs = _check_model(model)
    if calibration is not None:
        samples = _as_samples(inputs, calibration)
    elif quantization is None:
        samples = _random_samples(inputs)
    else:
        raise ValueError(
            f"quantization={quantization!r} needs calibration data, received None. Pass some 100 "
            "typical inputs, for example calibration=x_train[:200], or quantization=None for a "
            "float32 file."
        )
    frozen = _freeze(model)
    tflite = _convert(frozen, samples, _SCHEMES[quantization] if quantization else None)
    _check_result(model, tflite, quantised=quantization is not None)
    if verify:
        verify_file(tflite, samples)
    return tflite


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


def _as_samples(inputs: Sequence[keras.KerasTensor], calibration: Any) -> list[np.ndarray]:
    """Calibration data of any accepted kind as one checked array per input."""
    if hasattr(calibration, "element_spec"):
        parts = _read_dataset(inputs, calibration)
    else:
        if isinstance(calibration, (list, tuple)) and len(calibration) != len(inputs):
            raise ValueError(
                f"calibration is a {type(calibration).__name__} of {len(calibration)}; expected "
                f"one array per input of the model, {len(inputs)} in all ({_named(inputs)}). "
                "Leave out targets, and join samples to one array with numpy.stack."
            )
        parts = _pick(inputs, calibration)
    samples = [_check_samples(tensor, part) for tensor, part in zip(inputs, parts, strict=True)]
    counts = [len(array) for array in samples]
    if min(counts) == 0 or min(counts) != max(counts):
        raise ValueError(
            "calibration needs the same number of samples, at least one, for every input; "
            f"received {counts} for {_named(inputs)}."
        )
    return samples


def _read_dataset(inputs: Sequence[keras.KerasTensor], dataset: Any) -> list[np.ndarray]:
    if int(dataset.cardinality()) == -1:
        raise ValueError(
            "calibration is an infinite dataset; expected a finite one. Cut it: calibration=dataset.take(200)."
        )
    columns: list[list[np.ndarray]] = [[] for _ in inputs]
    for element in dataset:
        for column, tensor, part in zip(columns, inputs, _pick(inputs, element), strict=True):
            value = np.asarray(part)
            # A sample of its own, not a batch of them.
            column.append(value[None] if value.shape == tuple(tensor.shape[1:]) else value)
    if not columns[0]:
        raise ValueError("calibration is an empty dataset; expected at least one sample.")
    for column, tensor in zip(columns, inputs, strict=True):
        for value in column:
            _check_shape(tensor, value)
    return [np.concatenate(column) for column in columns]


def _pick(inputs: Sequence[keras.KerasTensor], element: Any) -> list[Any]:
    """The part of `element` for each input; `element` may be (inputs, targets, ...)."""
    nested = (list, tuple, Mapping)
    if isinstance(element, (list, tuple)) and element:
        flat = len(element) == len(inputs) and not any(isinstance(e, nested) for e in element)
        if flat:
            return list(element)
        if len(inputs) == 1 or isinstance(element[0], nested):
            return _pick(inputs, element[0])
    elif isinstance(element, Mapping):
        missing = [tensor.name for tensor in inputs if tensor.name not in element]
        if not missing:
            return [element[tensor.name] for tensor in inputs]
    elif len(inputs) == 1:
        return [element]
    if isinstance(element, Mapping):
        received = f"a dictionary of {', '.join(map(repr, element))}"
    elif isinstance(element, (list, tuple)):
        received = f"a {type(element).__name__} of {len(element)}"
    else:
        received = f"one {type(element).__name__}"
    raise ValueError(
        f"calibration holds {received}; expected one array for each of the model's "
        f"{len(inputs)} inputs, in this order or by name: {_named(inputs)}."
    )


def _check_samples(tensor: keras.KerasTensor, part: Any) -> np.ndarray:
    array = np.asarray(part)
    _check_shape(tensor, array)
    if array.dtype.kind not in "biuf" or not np.can_cast(array.dtype, tensor.dtype, "same_kind"):
        raise ValueError(
            f"calibration for input {tensor.name!r} is of type {array.dtype}; expected "
            f"{tensor.dtype}. Convert it with x.astype({tensor.dtype!r})."
        )
    with np.errstate(over="ignore"):
        array = array.astype(tensor.dtype)
    if array.dtype.kind == "f":
        finite = np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
        if not finite.all():
            raise ValueError(
                f"calibration for input {tensor.name!r} has NaN or infinite values in "
                f"{np.count_nonzero(~finite)} of {len(array)} samples, first in sample "
                f"{np.argmin(finite)}; expected finite values. Leave these samples out."
            )
    return array


def _check_shape(tensor: keras.KerasTensor, array: np.ndarray) -> None:
    sample = tuple(tensor.shape[1:])
    if array.ndim == 0 or array.shape[1:] != sample:
        cure = "Add the batch axis: x[None]." if array.shape == sample else "Prepare the data as for model.predict."
        raise ValueError(
            f"calibration for input {tensor.name!r} has shape {array.shape}; expected {('samples', *sample)}. {cure}"
        )


def _random_samples(inputs: Sequence[keras.KerasTensor]) -> list[np.ndarray]:
    """Samples to verify a float file with: normal numbers, zeros for integer inputs."""
    generator = np.random.default_rng(0)
    return [
        (generator.normal(size=(_RANDOM_SAMPLES, *t.shape[1:])) * ("float" in t.dtype)).astype(t.dtype) for t in inputs
    ]


def _named(inputs: Sequence[keras.KerasTensor]) -> str:
    return ", ".join(f"{tensor.name!r} {tuple(tensor.shape)}" for tensor in inputs)


def _freeze(model: keras.Model) -> Any:
    """The model's inference with batch 1 as a concrete function without variables."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    structure = None if isinstance(model, keras.Sequential) else model.input

    def network(*flat: Any) -> list[Any]:
        packed = flat[0] if structure is None else keras.tree.pack_sequence_as(structure, flat)
        outputs, _ = model.stateless_call(
            [variable.value for variable in model.trainable_variables],
            [variable.value for variable in model.non_trainable_variables],
            packed,
            training=False,
        )
        return list(keras.tree.flatten(outputs))

    specs = [tf.TensorSpec((1, *t.shape[1:]), t.dtype, name=re.sub(r"\W", "_", t.name)) for t in model.inputs]
    function = tf.function(network, autograph=False).get_concrete_function(*specs)
    with _quiet():
        frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
    nodes = frozen.graph.as_graph_def().node
    read = {source.partition(":")[0] for node in nodes for source in node.input}
    for tensor, placeholder in zip(model.inputs, frozen.inputs, strict=True):
        if placeholder.op.name not in read:
            raise ValueError(
                f"Input {tensor.name!r} of model {model.name!r} has no effect on the outputs; "
                "expected every input to be used. Build the model without it."
            )
    # The converter's calibrator crashes the process on such loops.
    loops = [node.name for node in nodes if node.op in _LOOPS]
    if loops:
        raise DeploymentError(
            f"Model {model.name!r} has a loop or branch in {', '.join(map(repr, loops))}, which "
            "TFLite-Micro cannot run; expected a graph without. Build recurrent layers with "
            "unroll=True, or replace them by convolutions."
        )
    return frozen


def _convert(frozen: Any, samples: list[np.ndarray], scheme: _Scheme | None) -> bytes:
    import tensorflow as tf

    def batches() -> Iterator[list[np.ndarray]]:
        for index in range(len(samples[0])):
            yield [array[index : index + 1] for array in samples]

    with _quiet() as messages:
        converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
        if scheme is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = batches
            converter.target_spec.supported_ops = [getattr(tf.lite.OpsSet, scheme.ops)]
            converter.inference_input_type = tf.dtypes.as_dtype(scheme.io)
            converter.inference_output_type = tf.dtypes.as_dtype(scheme.io)
            converter._experimental_disable_per_channel_quantization_for_dense_layers = not scheme.per_channel_dense
        try:
            return bytes(converter.convert())
        except Exception as error:
            raise DeploymentError(_conversion_failure(frozen, str(error), messages())) from error


def _conversion_failure(frozen: Any, said: str, log: str) -> str:
    missing = set(re.findall(r"'tf\.(\w+)' op is neither a custom op nor a flex op", said))
    if missing:
        nodes = frozen.graph.as_graph_def().node
        found = [f"{node.op} in {node.name!r}" for node in nodes if node.op in missing]
        return (
            f"TFLite has no kernel for {', '.join(found or sorted(missing))}; expected operators "
            "that TFLite-Micro has. Replace the layer that makes it."
        )
    errors = [line for line in log.splitlines() if not re.match(r"[IW]\d{4} ", line)]
    return "\n".join(["The TFLite converter failed:", said.strip(), *errors[-10:]])


def _check_result(model: keras.Model, tflite: bytes, *, quantised: bool) -> None:
    """Refuse a file whose inputs and outputs are not the model's, or whose shapes are open."""
    graph = read_graph(tflite)
    require_static(graph)
    for kind, expected, received in (
        ("inputs", model.inputs, graph.inputs),
        ("outputs", model.outputs, graph.outputs),
    ):
        shapes = [(1, *tensor.shape[1:]) if tensor.shape else () for tensor in expected]
        found = [tensor.shape for tensor in received]
        if len(shapes) != len(found) or not all(map(_fits, shapes, found)):
            raise DeploymentError(
                f"The {kind} of the file have the shapes {found}; expected {shapes} as in model "
                f"{model.name!r}. This is a fault of keras_pit: report it."
            )
    if quantised:
        require_integer(graph)


def _fits(expected: tuple[int | None, ...], received: tuple[int, ...]) -> bool:
    return len(expected) == len(received) and all(e in (None, r) for e, r in zip(expected, received, strict=True))


@contextlib.contextmanager
def _quiet() -> Iterator[Any]:
    """Keep TensorFlow's chatter off stderr; yields a function that returns what was caught.

    Its C++ part writes to file descriptor 2 whatever Python's sys.stderr is, so that is turned
    away as well. Errors reach the user as exceptions, with what was caught.
    """
    import tensorflow as tf
    from absl import logging

    logger, absl_logger = tf.get_logger(), logging.get_absl_logger()
    levels = logger.level, absl_logger.level
    with warnings.catch_warnings(), tempfile.TemporaryFile() as caught:

        def text() -> str:
            caught.seek(0)
            return caught.read().decode(errors="replace")

        warnings.simplefilter("ignore")
        sys.stderr.flush()
        stderr = os.dup(2)
        try:
            os.dup2(caught.fileno(), 2)
            logger.setLevel("ERROR")
            absl_logger.setLevel("ERROR")
            yield text
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            logger.setLevel(levels[0])
            absl_logger.setLevel(levels[1])
