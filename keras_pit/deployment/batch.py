"""A file with an open batch, as the usual converter writes it, made one for a single sample.

    tf.lite.TFLiteConverter.from_keras_model(model)      shape (1, 64, 6), signature (-1, 64, 6)
    of_one                                               shape (1, 64, 6)

TFLite-Micro reads the shape and nothing else. Where the batch alone is open, the shape has 1 in its place, which is
right for one sample, so the signature can go. It is wrong where an operator makes more of the batch than samples:

    SPACE_TO_BATCH_ND    of a dilated convolution, lays the pieces of a sample along the batch
    RESHAPE              of a layer that is applied to each step, makes the steps a batch

A file is refused then. Whatever is left is for the runtimes to tell: LiteRT computes all shapes anew, and outputs are
compared (`verify.py`).
"""

from __future__ import annotations

import copy

import numpy as np

from ..errors import DeploymentError
from .file_graph import Graph, OpInfo, TensorInfo
from .flatbuffer import File
from .packing import repack

TAKEN = "The file leaves the batch open, as tf.lite.TFLiteConverter does: it is taken as 1, all that TFLite-Micro runs."
_GARBAGE = "TFLite-Micro takes an open size for 1 and would compute garbage without an error"
_CURE = (
    "Make the file with keras_pit.to_tflite(model, calibration), or give the model's inputs all of their sizes before "
    "the conversion: keras.Input(batch_shape=(1, ...))."
)


def is_open(graph: Graph) -> bool:
    """Whether a file leaves any size to the runtime."""
    return any(tensor.open for tensor in graph.tensors)


def more_than_batch(graph: Graph) -> str:
    """What a file leaves open besides its batch, or where the batch is not that of the samples.

    Args:
        graph: what the file declares.

    Returns:
        A sentence, with the cure; empty where nothing is open, or the batch alone.
    """
    dilated = (op for op in graph.ops if op.name in ("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND") and _is_open(op))
    for op in dilated:
        return (
            f"The file leaves the batch open, and a dilated convolution was taken apart into {op.name} "
            f"({graph.place(op)}), which lays pieces of a sample along the batch: {_GARBAGE}. {_CURE} The first keeps "
            "the dilation inside of CONV_2D, which is faster, too."
        )
    for tensor in (*graph.inputs, *graph.tensors):
        if not _batch_alone(tensor, tensor in graph.inputs):
            axes = " and ".join(map(str, tensor.open))
            return (
                f"The file leaves a dimension open at {tensor.label}, axis {axes} of shape {tensor.shape}; expected "
                f"fixed shapes, or the batch alone: {_GARBAGE}. {_CURE}"
            )
    for op in graph.ops:
        if op.name == "RESHAPE" and _is_open(op) and _elements(op.inputs[0]) != _elements(op.outputs[0]):
            return (
                f"The file leaves the batch open, and RESHAPE ({graph.place(op)}) makes more of it than samples: "
                f"{op.inputs[0].shape} becomes {op.outputs[0].shape}. {_GARBAGE}. {_CURE}"
            )
    return ""


def require_only_batch(graph: Graph) -> None:
    """Refuse a file that leaves more open than the batch.

    Args:
        graph: what the file declares.

    Raises:
        DeploymentError: names the tensor or the operator, and the cure.
    """
    trouble = more_than_batch(graph)
    if trouble:
        raise DeploymentError(trouble)


def of_one(file: File) -> File:
    """The file for one sample.

    Args:
        file: any file.

    Returns:
        A file without signatures of shapes; the same one where nothing is open.

    Raises:
        DeploymentError: if more than the batch is open, or the batch is more than the samples.
    """
    if not is_open(file.graph):
        return file
    require_only_batch(file.graph)
    model = copy.deepcopy(file.tree)
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            tensor.shapeSignature = None
    return repack(model)


def _is_open(op: OpInfo) -> bool:
    return any(tensor.open for tensor in op.outputs)


def _batch_alone(tensor: TensorInfo, is_input: bool) -> bool:
    """A transposition may have put the batch elsewhere, but in the inputs it comes first."""
    if not tensor.open:
        return True
    axis, *others = tensor.open
    return not others and tensor.shape[axis : axis + 1] == (1,) and (axis == 0 or not is_input)


def _elements(tensor: TensorInfo) -> int:
    return int(np.prod(tensor.shape))
