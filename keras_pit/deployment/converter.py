"""Computation -> .tflite file with fixed shapes.

    computation --freeze--> concrete function, batch 1, weights as constants
                --to_flatbuffer--> flatbuffer, quantised with calibration samples or by what training has learnt

Why not `TFLiteConverter.from_keras_model`: it leaves the batch open, so a dilated convolution becomes
SPACE_TO_BATCH_ND, CONV_2D, BATCH_TO_SPACE_ND with shapes that TFLite-Micro misreads without an error.
"""

from __future__ import annotations

import contextlib
import copy
import os
import re
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DeploymentError
from ..lowering import Network, Node
from .flatbuffer import File
from .packing import repack
from .schema import schema
from .scopes import scope


@dataclass(frozen=True)
class Signature:
    """An input of a function: its name, shape with the batch (1, or None where it is open), and type."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True)
class Computation:
    """What a file is made of: a function of TensorFlow tensors, its inputs, and the shapes that it returns."""

    function: Callable[..., Sequence[Any]]
    inputs: tuple[Signature, ...]
    outputs: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, network: Network) -> Computation:
        """That of a lowered network."""
        import tensorflow as tf

        def compute(node: Node, *values: Any) -> Any:
            with tf.name_scope(scope(node.name)):
                return node.operator.compute(*values)

        return cls(
            # An output that is an input still needs an operator to make it.
            lambda *inputs: [tf.identity(output) for output in network.evaluate(compute, inputs)],
            tuple(Signature(node.name, node.shape, node.operator.dtype) for node in network.inputs),
            tuple(node.shape for node in network.outputs),
        )


@dataclass(frozen=True)
class Scheme:
    """A row of what `quantization` may be: kernels allowed, type of inputs and outputs."""

    ops: str
    io: str
    per_channel_dense: bool


SCHEMES = {
    "int8": Scheme("TFLITE_BUILTINS_INT8", "int8", True),
    # CMSIS-NN cannot allocate a 16x8 FULLY_CONNECTED with one scale per channel.
    "int16x8": Scheme("EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8", "int16", False),
}
_QUIET = threading.RLock()
_LOOPS = ("While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase")


def freeze(computation: Computation) -> Any:
    """A computation as a concrete function without variables.

    Raises:
        DeploymentError: if it has a loop or branch.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    specs = [tf.TensorSpec(each.shape, each.dtype, name=scope(each.name)) for each in computation.inputs]
    with quiet():
        concrete = tf.function(lambda *x: list(computation.function(*x)), autograph=False).get_concrete_function(*specs)
        frozen = convert_variables_to_constants_v2(concrete, lower_control_flow=False)
    # The converter's calibrator crashes the process on such loops.
    loops = [node.name for node in frozen.graph.as_graph_def().node if node.op in _LOOPS]
    if loops:
        raise DeploymentError(
            f"The model has a loop or branch in {', '.join(map(repr, loops))}, which TFLite-Micro cannot run; expected "
            "a graph without. Build recurrent layers with unroll=True, or replace them by convolutions."
        )
    return frozen


def evaluate(computation: Computation, samples: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs of a computation for samples, without the batch of 1: an array of shape (samples, *output) each.

    Operator by operator. In a graph, TensorFlow fuses a convolution, its bias and a sum, and oneDNN takes a padded
    tensor in that sum for the convolution's own padded input, which ends the process.
    """
    import tensorflow as tf

    runs = [
        computation.function(*(tf.constant(array[None]) for array in sample)) for sample in zip(*samples, strict=True)
    ]
    return [np.concatenate(output) for output in zip(*runs, strict=True)]


def to_flatbuffer(frozen: Any, scheme: Scheme | None, samples: Sequence[np.ndarray] | None = None) -> File:
    """The flatbuffer of a frozen function.

    Args:
        frozen: what `freeze` returned.
        scheme: how to quantise; None for a float file.
        samples: calibration data, an array of shape (samples, *input) per input without the batch of 1; None if the
            function itself says how its tensors are quantised.

    Raises:
        DeploymentError: if the converter fails.
    """
    import tensorflow as tf

    def batches() -> Iterator[list[np.ndarray]]:
        for sample in zip(*(samples or ()), strict=True):
            yield [array[None] for array in sample]

    with quiet() as messages:
        converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
        if scheme is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            if samples is not None:
                converter.representative_dataset = batches
                converter.target_spec.supported_ops = [getattr(tf.lite.OpsSet, scheme.ops)]
            converter.inference_input_type = tf.dtypes.as_dtype(scheme.io)
            converter.inference_output_type = tf.dtypes.as_dtype(scheme.io)
            converter._experimental_disable_per_channel_quantization_for_dense_layers = not scheme.per_channel_dense
        try:
            file = File(bytes(converter.convert()))
        except Exception as error:
            raise DeploymentError(_conversion_failure(frozen, str(error), messages())) from error
    return _with_select_v2(file)


def _with_select_v2(file: File) -> File:
    """SELECT as SELECT_V2: TFLite-Micro has the second one only, which does the same and broadcasts."""
    if all(op.name != "SELECT" for op in file.graph.ops):
        return file
    tflite = schema()
    old, new = tflite.BuiltinOperator.SELECT, tflite.BuiltinOperator.SELECT_V2
    model = copy.deepcopy(file.tree)
    codes = [index for index, code in enumerate(model.operatorCodes) if code.builtinCode == old]
    for index in codes:
        model.operatorCodes[index].builtinCode = model.operatorCodes[index].deprecatedBuiltinCode = new
    for op in (op for subgraph in model.subgraphs for op in subgraph.operators if op.opcodeIndex in codes):
        op.builtinOptionsType, op.builtinOptions = tflite.BuiltinOptions.SelectV2Options, tflite.SelectV2OptionsT()
    return repack(model)


def _conversion_failure(frozen: Any, said: str, log: str) -> str:
    missing = set(re.findall(r"'tf\.(\w+)' op is neither a custom op nor a flex op", said))
    if missing:
        nodes = frozen.graph.as_graph_def().node
        found = [f"{node.op} in {node.name!r}" for node in nodes if node.op in missing]
        return (
            f"TFLite has no kernel for {', '.join(found or sorted(missing))}; expected operators that TFLite-Micro "
            "has. Replace the layer that makes it."
        )
    errors = [line for line in log.splitlines() if not re.match(r"[IW]\d{4} ", line)]
    return "\n".join(["The TFLite converter failed:", said.strip(), *errors[-10:]])


@contextlib.contextmanager
def quiet() -> Iterator[Any]:
    """Keep TensorFlow's chatter off stderr; yields a function that returns what was caught.

    Its C++ part writes to file descriptor 2 whatever Python's sys.stderr is, so that is turned away as well. Errors
    reach the user as exceptions, with what was caught. All this belongs to the whole process, so one thread at a time
    may change it: a second one would put back what the first one has changed.
    """
    import tensorflow as tf
    from absl import logging

    logger, absl_logger = tf.get_logger(), logging.get_absl_logger()
    with _QUIET, warnings.catch_warnings(), tempfile.TemporaryFile() as caught:
        levels = logger.level, absl_logger.level

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
