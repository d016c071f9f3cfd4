"""Quantization-aware fine-tuning: a slim model as a tf_keras model that rounds as the microcontroller will.

    slim --lower--> network --tf_keras--> qat, fitted with the user's own data --to_tflite--> bytes

tensorflow-model-optimization quantises tf_keras models of two-dimensional layers. A lowered network has nothing else,
so sequences can be fine-tuned, too, and what is trained is what runs: batch normalization is in the weights already,
padding and pooling are those of the file. Models keep the shapes of their inputs and outputs.

Which outputs are rounded follows the kernels. Convolution and activation run as one, so the first hands its sums on;
pooling and what only moves numbers keeps the scale of its input; SOFTMAX, TANH and LOGISTIC have a fixed one.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import keras

from ..graph import _keras
from ..graph.precision import in_float32
from ..graph.seeds import require_model
from ..lowering import Network, Node, form, lower
from ..lowering.operators import (
    Activation,
    Binary,
    Concat,
    Constant,
    Conv,
    Dense,
    Depthwise,
    Operator,
    Pad,
    Pool,
    Reshape,
    Resize,
    Slice,
    Transpose,
    TransposeConv,
)
from .calibration import as_samples, require_varied
from .check import check_model
from .converter import Computation, Signature
from .scopes import scope
from .tables import is_tabulated

_KEEPS_SCALE = (Pool, Pad, Reshape, Resize, Slice, Transpose)
_FIXED_SCALE = ("sigmoid", "tanh", "softmax")
_WEIGHTED = (Conv, Dense, Depthwise, TransposeConv)
_LINEAR = (*_WEIGHTED, Binary)
_FUSED = ("relu", "relu6")
_MOST_SAMPLES = 512


@dataclass(frozen=True, eq=False)
class Entry(Reshape):
    """An input in its form, with the name that the Keras model has for it."""

    name: str


def quantize_aware(model: keras.Model, calibration: Any = None) -> Any:
    """A model for fine-tuning with the rounding errors of int8.

    Args:
        model: plain Keras model, as for `to_tflite`; left untouched.
        calibration: typical inputs, as for `to_tflite`, from which activations get their first ranges (of more than
            512, these are picked at even distances). Without, the ranges come with the first batch of training, and
            only weights are rounded before it.

    Returns:
        A tf_keras model to compile and fit like any other, with data as for `model` and, before anything is rounded,
        the same output. Give it the optimizers, losses and callbacks of tf_keras, by name or from there. A small
        learning rate and few epochs suffice: it starts from trained weights. Pass it to `to_tflite` then. A layer that
        the model uses twice is trained as two. It cannot be saved whole: keep `model`, save the weights with
        `save_weights(path)`, ranges included, and read them into another `quantize_aware(model)` with
        `load_weights(path)`.

    Raises:
        ValueError: if the model or the calibration data is not of the form above.
        DeploymentError: if a layer has no form for a microcontroller.

    Example:

        qat = quantize_aware(slim)
        qat.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        qat.fit(x_train, y_train, epochs=5)
        tflite = to_tflite(qat, x_train[:100])
    """
    model = in_float32(require_model(model))
    inputs = check_model(model)
    qat = as_tf_keras(lower(model), model)
    if calibration is not None:
        samples = as_samples(inputs, calibration)
        require_varied(inputs, samples)
        step = -(-len(samples[0]) // _MOST_SAMPLES)
        # All in one batch: a moving average would forget the widest of many.
        qat([array[::step] for array in samples], training=True)
    return qat


def as_tf_keras(network: Network, model: keras.Model, *, rounding: bool = True) -> Any:
    """A network as a tf_keras model with the inputs, outputs and name of the Keras model that it comes from.

    Args:
        network: lowered network.
        model: where its inputs and outputs get their structure and shapes from.
        rounding: False for layers of the same form that round nothing.
    """
    import tf_keras

    from . import qat_layers

    names, readers = _names(network), _readers(network)
    taken = set(names.values())

    def layer(operator: Any, shape: Any, rounds: bool, name: str) -> Any:
        if rounding:
            return qat_layers.quantized(operator, shape, rounds, name)
        return qat_layers.OperatorLayer(operator, shape, name=name)

    def compute(node: Node, *values: Any) -> Any:
        if isinstance(node.operator, Constant):
            return node.operator.compute()
        if is_tabulated(node.operator):  # two layers, so that it can be cut off before it is rounded
            exact = qat_layers.OperatorLayer(node.operator, node.shape, name=free(f"{names[node]}_table", taken))
            return layer(Reshape(node.shape), node.shape, True, names[node])(exact(list(values)))
        return layer(node.operator, node.shape, _rounds(node, readers[node]), names[node])(list(values))

    structure = _keras.input_structure(model)
    flat = [
        tf_keras.Input(node.operator.sample, dtype=node.operator.dtype, name=names[node]) for node in network.inputs
    ]
    entered = [
        layer(Entry(node.shape, node.name), node.shape, "float" in node.operator.dtype, free(f"{x.name}_entry", taken))(
            x
        )
        for node, x in zip(network.inputs, flat, strict=True)
    ]
    outputs: list[Any] = []
    for value, tensor in zip(network.evaluate(compute, entered), _keras.graph(model).outputs, strict=True):
        shape = tuple(tensor.shape[1:])
        same = form(tensor.shape)[1:] == shape
        exit_name = free(f"exit_{len(outputs)}", taken)
        outputs.append(value if same else tf_keras.layers.Reshape(shape, name=exit_name)(value))
    return tf_keras.Model(
        keras.tree.pack_sequence_as(structure, flat),
        keras.tree.pack_sequence_as(_keras.output_structure(model), outputs),
        name=scope(model.name),
    )


def _names(network: Network) -> dict[Node, str]:
    """A name for each node: that of the Keras layer, which inputs and nodes with weights have first claim to."""
    inner = [node for node in network.nodes() if node.inputs]
    weighted = [node for node in inner if isinstance(node.operator, _WEIGHTED)]
    claimed, taken = {node.name for node in weighted}, set[str]()
    names: dict[Node, str] = {}
    for node in dict.fromkeys((*network.inputs, *weighted, *inner)):
        name = node.name
        if name in claimed and node.inputs and not isinstance(node.operator, _WEIGHTED):
            name = f"{name}_{getattr(node.operator, 'kind', type(node.operator).__name__.lower())}"
        names[node] = free(name, taken)
    return names


def free(name: str, taken: set[str]) -> str:
    """The name as TensorFlow takes it, with a number where another one has it already; now it is taken, too."""
    plain = scope(name)
    candidates = itertools.chain([plain], (f"{plain}_{number}" for number in itertools.count(1)))
    found = next(candidate for candidate in candidates if candidate not in taken)
    taken.add(found)
    return found


def _readers(network: Network) -> dict[Node, list[Node]]:
    readers: dict[Node, list[Node]] = defaultdict(list)
    for node in network.nodes():
        for source in node.inputs:
            readers[source].append(node)
    for node in network.outputs:
        readers[node] += 2 * [node]  # outputs are rounded whoever else reads them
    return readers


def _rounds(node: Node, readers: list[Node]) -> bool:
    """Whether the output of a node is rounded to 8 bits with a scale of its own."""
    operator = node.operator
    if isinstance(operator, _KEEPS_SCALE):
        return False
    if isinstance(operator, Activation) and operator.kind in _FIXED_SCALE:
        return False
    if isinstance(operator, Activation) and operator.kind in _FUSED and isinstance(node.inputs[0].operator, Pool):
        return False
    if len(readers) == 1:
        (reader,) = readers
        if isinstance(reader.operator, Concat):
            return False
        if isinstance(operator, _LINEAR) and isinstance(reader.operator, Activation):
            return reader.operator.kind not in _FUSED
    return True


def is_quantize_aware(model: Any) -> bool:
    """Whether it is a tf_keras model, found out without importing tf_keras."""
    return any(kind.__module__.startswith("tf_keras.") for kind in type(model).__mro__)


def aware_inputs(model: Any) -> list[Signature]:
    """The inputs of a model from `quantize_aware`, with an open batch as Keras has it."""
    from . import qat_layers

    if not qat_layers.is_complete(model):
        raise ValueError(
            f"Model {model.name!r} is a tf_keras model that quantize_aware did not make; expected a Keras 3 model, or "
            "what quantize_aware returned for one."
        )
    unseen = qat_layers.unseen(model)
    if unseen:
        raise ValueError(
            f"Model {model.name!r} has seen no data since quantize_aware, so the outputs of {', '.join(unseen[:5])} "
            "have no range; expected a trained model. Fit it, or pass calibration data to quantize_aware."
        )
    names = {layer.input.name: entry.name for layer, entry in qat_layers.operators(model) if isinstance(entry, Entry)}
    return [Signature(names[x.name], (None, *x.shape[1:]), x.dtype.name) for x in model.inputs]


def aware_functions(model: Any) -> list[tuple[Any, Operator]]:
    """The layers of a model from `quantize_aware` that become tables (see `tables`), and their operators."""
    from . import qat_layers

    return [(layer, operator) for layer, operator in qat_layers.operators(model) if is_tabulated(operator)]


def aware_computation(model: Any, *, logits: bool, cut: bool = False) -> Computation:
    """The inference of a model from `quantize_aware` in the form of a file.

    Args:
        model: what `quantize_aware` returned.
        logits: leave out a softmax at the end.
        cut: leave out tabulated functions as `tables.cut` does.
    """
    import tensorflow as tf
    import tf_keras

    outputs: list[Any] = []
    for name, tensor in zip(model.output_names, model.outputs, strict=True):
        layer = model.get_layer(name)
        operator = getattr(getattr(layer, "layer", None), "operator", None)
        is_softmax = isinstance(operator, Activation) and operator.kind == "softmax"
        outputs.append(layer.input if logits and is_softmax else tensor)
    functions = [layer for layer, _ in aware_functions(model)] if cut else []
    flat = tf_keras.Model(
        [*model.inputs, *(layer.output for layer in functions)], [*outputs, *(layer.input for layer in functions)]
    )

    def function(*inputs: Any) -> list[Any]:
        samples = [tf.reshape(x, (1, *old.shape[1:])) for x, old in zip(inputs, flat.inputs, strict=True)]
        results = tf.nest.flatten(flat(samples, training=False))
        return [tf.reshape(result, form(result.shape)) for result in results]

    signatures = (Signature(x.name, form(x.shape), x.dtype.name) for x in flat.inputs)
    return Computation(function, tuple(signatures), tuple(form(x.shape) for x in flat.outputs))
