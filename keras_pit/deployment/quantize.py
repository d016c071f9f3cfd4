"""Keras model -> .tflite file that TFLite-Micro is known to run.

    model --lower--> network --freeze, to_flatbuffer--> file --trim--> a smaller one --verify--> the same, or an error

The model is first rebuilt in the form of a microcontroller (`keras_pit.lowering`), with batch size 1 and weights as
constants. A model from `quantize_aware` has that form already, and knows its ranges from training.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from .. import checks
from ..costs import cores, faults
from ..errors import DeploymentError, FarOff
from ..graph.precision import in_float32
from ..graph.seeds import require_model
from ..lowering import Network, Node, lower
from ..lowering.operators import Foreign, Operator
from .calibration import as_samples, random_samples, require_varied
from .check import check_model
from .converter import SCHEMES, Computation, evaluate, freeze, to_flatbuffer
from .flatbuffer import File
from .qat import aware_computation, aware_functions, aware_inputs, is_quantize_aware
from .ranges import blame, require_ranges, unequal
from .rate import decision_rate
from .stream_verify import streaming_file
from .tables import cut, join
from .trim import trim_file
from .verify import LIMIT, require_close, require_integer, require_static, spread, verified_run


def to_tflite(
    model: keras.Model,
    calibration: Any = None,
    *,
    quantization: str | None = "int8",
    logits: bool = False,
    core: str | None = None,
    streaming: bool = False,
    decide_every: int = 1,
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
        streaming: make a file of one time step: it takes the newest step of the input, keeps what it needs of older
            ones as state, and returns the decision about the window that ends there (docs/streaming.md). Its integers
            are those of the file of the whole window. For int8.
        decide_every: of a streaming file, how often it computes what needs the whole window, as global pooling and
            what follows it: at each possible step, or at every so many of them, which takes less work.
        verify: run up to 32 calibration samples (random ones, if there are none) on TFLite-Micro and on LiteRT's
            reference kernels, and compare; for integers, compare them with the float network, too (one from
            `quantize_aware` as it computes in training). A streaming file is run over sequences of them, and must be
            equal to the network of the window on the whole sequence at each step, bit for bit. False for the file as
            it comes.

    Returns:
        The content of the .tflite file; batch size 1, inputs and outputs in the model's order. A sequence (T, C) is a
        map (1, T, C) in the file: the same numbers in the same order. A streaming file takes one step (1, 1, 1, C), and
        its state is part of the tensor arena; a run that has no decision ends with `kTfLiteAbort`.

    Raises:
        TypeError: if an argument is of a wrong type.
        ValueError: if the model or the calibration data is not of the form above.
        DeploymentError: if the model cannot be converted, is left with floats between the integers, has an operator
            that TFLite-Micro lacks, computes something else there, or is off the float network by more than half of the
            outputs' standard deviation; or if it cannot stream, which names the layer.
        ImportError: if ai_edge_litert or tflite_micro is not installed.

    Example:

        tflite = to_tflite(model, x_train[:200])
        pathlib.Path("model.tflite").write_bytes(tflite)
    """
    logits, verify = checks.flag(logits, "`logits`"), checks.flag(verify, "`verify`")
    every = decision_rate(streaming, decide_every)
    return make_file(
        model, calibration, quantization=quantization, logits=logits, core=core, every=every, verify=verify
    ).content


def make_file(
    model: keras.Model,
    calibration: Any,
    *,
    quantization: str | None,
    logits: bool = False,
    core: str | None = None,
    every: int | None = None,
    verify: bool = True,
) -> File:
    """What `to_tflite` does; `every` is None for the file of a whole window."""
    multiple = faults.MULTIPLE if core is not None and cores.get(core).library == "ESP-NN" else 1
    if quantization is not None:
        checks.one_of(quantization, "`quantization`", SCHEMES, "None stands for float32.")
    if every is not None and quantization != "int8":
        raise ValueError(
            f"A streaming file needs quantization='int8', received {quantization!r}: TFLite-Micro keeps states of int8 "
            "alone (CIRCULAR_BUFFER)."
        )
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
    plan = _trained(model, logits=logits) if trained else _lowered(model, logits=logits, multiple=multiple)
    if every is not None and plan.opaque:
        raise DeploymentError(
            f"The network cannot stream: layer {' and '.join(map(repr, plan.opaque))} has steps of its own that are "
            "not known, as a recurrent layer or attention has. Convert it without streaming=True, or replace it, as "
            "by causal convolutions."
        )
    feeds = [
        array.reshape(-1, *each.shape[1:]).astype(each.dtype)
        for array, each in zip(samples, plan.whole.inputs, strict=True)
    ]
    try:
        window, whole = _made(plan, quantization, feeds, verify)
    except DeploymentError as error:
        missing = _without_table(plan, quantization, error)
        if missing is None:
            raise
        raise DeploymentError(missing) from error
    if every is None:
        return window
    return streaming_file(whole, every, feeds if verify else None, plan.layers)


def _made(plan: _Plan, quantization: str | None, feeds: list[np.ndarray], verify: bool) -> tuple[File, File]:
    """The file, checked, and the same before it was trimmed; an error names the cause where the ranges show it."""
    whole = _convert(plan, quantization, feeds)
    _check_result(plan.whole, whole, quantised=quantization is not None)
    file = trim_file(whole)
    if not verify:
        return file, whole
    try:
        _verify(file, whole, plan.whole, [spread(feed, LIMIT) for feed in feeds])
    except DeploymentError as error:
        cause = blame(whole.graph) or unequal(whole.graph, feeds)
        said = cause or str(error)
        if isinstance(error, FarOff) and quantization == "int8" and plan.results is not None:
            with contextlib.suppress(DeploymentError):
                _made(plan, "int16x8", feeds, verify)
                said += " Or convert with quantization='int16x8': that file is close to the float network."
        raise type(error)(said + f" (What failed: {_first(error)})" * bool(cause)) from error
    return file, whole


def _without_table(plan: _Plan, quantization: str | None, error: DeploymentError) -> str | None:
    """What to say where floats or 16 bits fail because there are no tables for them."""
    if quantization == "int8" or not plan.functions:
        return None
    first = _first(error)
    if quantization is None:
        return f"{first} With quantization='int8' it can be a table of 256 entries."
    kinds = [f"{getattr(f, 'kind', '')!r} of {name!r}" for f, name in zip(plan.functions, plan.names, strict=True)]
    return (
        f"The network computes {', '.join(dict.fromkeys(kinds))}, for which TFLite-Micro has no kernel of 16 bits; in "
        "8 bits, a table of 256 entries is one. Convert with quantization='int8', or replace it: relu, leaky_relu, "
        "sigmoid, tanh, silu and softmax have kernels of all types, and batch normalization needs none. (The first "
        f"error: {first})"
    )


def _first(error: Exception) -> str:
    """What an error says, without what a runtime printed."""
    return str(error).splitlines()[0].removesuffix(" It printed:")


@dataclass(frozen=True)
class _Plan:
    """What to convert: the whole, and for 8 bits what is left of it without tabulated functions (see `tables`)."""

    whole: Computation
    rest: Computation
    functions: tuple[Operator, ...]
    names: tuple[str, ...]
    """The layers that the functions are of."""
    results: Computation | None
    """What the functions make of samples; None if the computation itself says how its tensors are quantised."""
    layers: tuple[str, ...]
    """The names of all layers."""
    opaque: tuple[str, ...] = ()
    """Those of them that read sequences or maps and are converted as they are."""


def _trained(model: Any, *, logits: bool) -> _Plan:
    whole, rest = (aware_computation(model, logits=logits, cut=cut) for cut in (False, True))
    functions = aware_functions(model)
    names = tuple(layer.name for layer in model.layers)
    return _Plan(
        whole, rest, tuple(function for _, function in functions), tuple(x.name for x, _ in functions), None, names
    )


def _lowered(model: keras.Model, *, logits: bool, multiple: int) -> _Plan:
    network = lower(model, logits=logits, multiple=multiple)
    nodes = set(network.nodes())
    for tensor, node in zip(model.inputs, network.inputs, strict=True):
        if node not in nodes:
            raise ValueError(
                f"Input {tensor.name!r} of model {model.name!r} has no effect on the outputs; expected every input to "
                "be used. Build the model without it."
            )
    rest, functions = cut(network)
    return _Plan(
        Computation.of(network),
        Computation.of(rest),
        tuple(node.operator for node in functions),
        tuple(node.name for node in functions),
        Computation.of(Network(network.inputs, functions)),
        tuple(dict.fromkeys(node.name for node in network.nodes())),
        tuple(dict.fromkeys(node.name for node in network.nodes() if _is_opaque(node))),
    )


def _is_opaque(node: Node) -> bool:
    return isinstance(node.operator, Foreign) and any(len(shape) > 2 for shape in node.operator.takes)


def _convert(plan: _Plan, quantization: str | None, feeds: list[np.ndarray]) -> File:
    """The file of a computation, with the names of its tensors."""
    if quantization is None:
        return to_flatbuffer(freeze(plan.whole), None, feeds)
    scheme = SCHEMES[quantization]
    if quantization != "int8":
        return to_flatbuffer(freeze(plan.whole), scheme, feeds)
    if plan.results is None:
        return join(to_flatbuffer(freeze(plan.rest), scheme), plan.functions)
    results = evaluate(plan.results, feeds) if plan.functions else []
    return join(to_flatbuffer(freeze(plan.rest), scheme, [*feeds, *results]), plan.functions)


def _verify(file: File, whole: File, computation: Computation, feeds: list[np.ndarray]) -> None:
    """Compare TFLite-Micro with LiteRT, and the integers with the floats that they stand for."""
    try:
        _, micro = verified_run(file, feeds)
    except DeploymentError:
        verified_run(whole, feeds)  # raises the same, with the names that trimming took away
        raise
    if any(tensor.quantized for tensor in file.graph.outputs):
        require_close(file.graph, micro.dequantized, evaluate(computation, feeds))


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
        require_ranges(graph)
