"""Keras model -> .tflite file that TFLite-Micro is known to run.

    model --lower--> network --freeze, to_flatbuffer--> file --trim--> a smaller one --verify--> the same, or an error

The model is first rebuilt in the form of a microcontroller (`keras_pit.lowering`), with batch size 1 and weights as
constants. A model from `quantize_aware` has that form already, and knows its ranges from training.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from .. import checks
from ..costs import cores, faults
from ..errors import DeploymentError
from ..graph.precision import in_float32
from ..graph.seeds import require_model
from ..lowering import Node, lower
from .calibration import as_samples, random_samples, require_varied
from .check import check_model
from .converter import SCHEMES, Computation, Signature, evaluate, freeze, scope, to_flatbuffer
from .flatbuffer import File
from .qat import aware_computation, aware_inputs, is_quantize_aware
from .trim import trim_file
from .verify import LIMIT, require_close, require_integer, require_static, spread, verified_run


def to_tflite(
    model: keras.Model,
    calibration: Any = None,
    *,
    quantization: str | None = "int8",
    logits: bool = False,
    core: str | None = None,
    verify: bool = True,
) -> bytes:
    """Convert a Keras model to a .tflite file for TFLite-Micro, checked there.

    Args:
        model: Functional or Sequential model of fixed input shapes; it is not changed, and taken as float32 if it is of
            another precision. Or a model from `quantize_aware`.
        calibration: some 100 typical inputs, as the model takes them: an array of shape (samples, *input), a list of
            such arrays for several inputs, a dictionary of them by input name, or a finite `tf.data.Dataset` of inputs
            or of (inputs, targets), batched or not; an input may not be the same number throughout. Needed unless
            `quantization` is None or the model comes from `quantize_aware`, which knows its ranges.
        quantization: "int8", "int16x8" (16-bit activations, 8-bit weights) or None (float32). Quantised files also have
            inputs and outputs of type int8 or int16.
        logits: leave out a softmax at the end, which is slow and does not change the order of classes.
        core: the processor that it is for, a name of `keras_pit.costs.cores`, if its kernels have faults that can be
            avoided: for "esp32-s3", Dense layers get further outputs up to a multiple of 8, which are cut off again
            (not those of `quantize_aware`, which are trained as they are). What is needed for other cores is always
            done.
        verify: run up to 32 calibration samples (random ones, if there are none) on TFLite-Micro and on LiteRT's
            reference kernels, and compare; for integers, compare them with the float network, too (one from
            `quantize_aware` as it computes in training). False for the file as it comes.

    Returns:
        The content of the .tflite file; batch size 1, inputs and outputs in the model's order. A sequence (T, C) is a
        map (1, T, C) in the file: the same numbers in the same order.

    Raises:
        TypeError: if an argument is of a wrong type.
        ValueError: if the model or the calibration data is not of the form above.
        DeploymentError: if the model cannot be converted, is left with floats between the integers, has an operator
            that TFLite-Micro lacks, computes something else there, or is off the float network by more than half of the
            outputs' standard deviation.
        ImportError: if ai_edge_litert or tflite_micro is not installed.

    Example:

        tflite = to_tflite(model, x_train[:200])
        pathlib.Path("model.tflite").write_bytes(tflite)
    """
    logits, verify = checks.flag(logits, "`logits`"), checks.flag(verify, "`verify`")
    return make_file(
        model, calibration, quantization=quantization, logits=logits, core=core, verify=verify
    ).content


def make_file(
    model: keras.Model,
    calibration: Any,
    *,
    quantization: str | None,
    logits: bool = False,
    core: str | None = None,
    verify: bool = True,
) -> File:
    """What `to_tflite` does."""
    multiple = faults.MULTIPLE if core is not None and cores.get(core).library == "ESP-NN" else 1
    if quantization is not None:
        checks.one_of(quantization, "`quantization`", SCHEMES, "None stands for float32.")
    trained = is_quantize_aware(model)
    if trained and quantization != "int8":
        raise ValueError(
            f"Model {model.name!r} from quantize_aware was trained for int8; received quantization={quantization!r}. "
            "Convert the model it was made of, or leave quantization out."
        )
    model = model if trained else in_float32(require_model(model))
    inputs = aware_inputs(model) if trained else check_model(model)
    if calibration is not None:
        samples = as_samples(inputs, calibration)
        if quantization is not None and not trained:
            require_varied(inputs, samples)
    elif quantization is None or trained:
        samples = random_samples(inputs)
    else:
        raise ValueError(
            f"quantization={quantization!r} needs calibration data, received None. Pass some 100 typical inputs, for "
            "example calibration=x_train[:200], or quantization=None for a float32 file."
        )
    computation = aware_computation(model, logits=logits) if trained else _computation(model, logits, multiple)
    feeds = [
        array.reshape(-1, *each.shape[1:]).astype(each.dtype)
        for array, each in zip(samples, computation.inputs, strict=True)
    ]
    scheme = SCHEMES[quantization] if quantization else None
    whole = to_flatbuffer(freeze(computation), scheme, None if trained else feeds)
    _check_result(computation, whole, quantised=quantization is not None)
    file = trim_file(whole)
    if verify:
        _verify(file, whole, computation, [spread(feed, LIMIT) for feed in feeds])
    return file


def _verify(file: File, whole: File, computation: Computation, feeds: list[np.ndarray]) -> None:
    """Compare TFLite-Micro with LiteRT, and the integers with the floats that they stand for."""
    try:
        _, micro = verified_run(file, feeds)
    except DeploymentError:
        verified_run(whole, feeds)  # raises the same, with the names that trimming took away
        raise
    if any(tensor.quantized for tensor in file.graph.outputs):
        require_close(file.graph, micro.dequantized, evaluate(computation, feeds))


def _computation(model: keras.Model, logits: bool, multiple: int) -> Computation:
    import tensorflow as tf

    network = lower(model, logits=logits, multiple=multiple)
    nodes = set(network.nodes())
    for tensor, node in zip(model.inputs, network.inputs, strict=True):
        if node not in nodes:
            raise ValueError(
                f"Input {tensor.name!r} of model {model.name!r} has no effect on the outputs; expected every input to "
                "be used. Build the model without it."
            )

    def compute(node: Node, *values: Any) -> Any:
        with tf.name_scope(scope(node.name)):
            return node.operator.compute(*values)

    return Computation(
        # An output that is an input still needs an operator to make it.
        lambda *inputs: [tf.identity(output) for output in network.evaluate(compute, inputs)],
        tuple(Signature(node.name, node.shape, node.operator.dtype) for node in network.inputs),
        tuple(node.shape for node in network.outputs),
    )


def _check_result(computation: Computation, file: File, *, quantised: bool) -> None:
    """Refuse a file whose inputs and outputs are not the computation's, or whose shapes are open."""
    graph = file.graph
    require_static(graph)
    for kind, expected, tensors in (
        ("inputs", [each.shape for each in computation.inputs], graph.inputs),
        ("outputs", list(computation.outputs), graph.outputs),
    ):
        received = [tensor.shape for tensor in tensors]
        if expected != received:
            raise DeploymentError(
                f"The {kind} of the file have the shapes {received}; expected {expected}. This is a fault of "
                "keras_pit: report it."
            )
    if quantised:
        require_integer(graph)
