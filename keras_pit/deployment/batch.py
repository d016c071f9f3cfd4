"""A file with an open batch, as the usual converter writes it, made one for a single sample.

    tf.lite.TFLiteConverter.from_keras_model(model)      shape (1, 64, 6), signature (-1, 64, 6)
    of_one                                               shape (1, 64, 6)

TFLite-Micro reads the shape and nothing else, so where the first axis alone is open, the shape is already right and the
signature can go. It is wrong behind SPACE_TO_BATCH_ND, which a dilated convolution is taken apart to: that lays the
pieces of a sample along the batch, so 1 in the shape stands for several.
"""

from __future__ import annotations

import copy

from ..errors import DeploymentError
from .file_graph import Graph
from .flatbuffer import File
from .packing import repack

FIXED = (
    "The file leaves the batch open, as tf.lite.TFLiteConverter does: it is taken as 1, the only size that "
    "TFLite-Micro runs."
)
_CURE = (
    "Make the file with keras_pit.to_tflite(model, calibration), or give the model's inputs all of their sizes before "
    "the conversion: keras.Input(batch_shape=(1, ...))."
)


def is_open(graph: Graph) -> bool:
    """Whether a file leaves any size to the runtime."""
    return any(tensor.open for tensor in graph.tensors)


def require_only_batch(graph: Graph) -> None:
    """Refuse a file that leaves more open than the batch, or whose batch is not that of one sample everywhere.

    Args:
        graph: what the file declares.

    Raises:
        DeploymentError: names the tensor or the operator, and the cure.
    """
    for tensor in graph.tensors:
        if tensor.open and (tensor.open != (0,) or tensor.shape[:1] != (1,)):
            raise DeploymentError(
                f"The file leaves a dimension open at {tensor.label}: axes {tensor.open} of shape {tensor.shape}; "
                "expected fixed shapes, or the batch alone, as TFLite-Micro takes an open size for 1 and would compute "
                f"garbage without an error. {_CURE}"
            )
    for op in graph.ops:
        if op.name in ("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND") and any(tensor.open for tensor in op.outputs):
            raise DeploymentError(
                f"The file leaves the batch open, and a dilated convolution was taken apart into {op.name} "
                f"({graph.place(op)}), which lays pieces of a sample along the batch: its size there is unknown, and "
                f"TFLite-Micro would compute garbage without an error. {_CURE} The first keeps the dilation inside of "
                "CONV_2D, which is faster, too."
            )


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
