"""Keras model -> the form in which a microcontroller runs it best, computing the same.

    model --build--> Network, operator by operator --passes, affine--> Network --run--> TensorFlow, tf_keras

TFLite-Micro has convolutions of two dimensions, with dilation, and no batch normalization; pooling, but a slow mean;
and a dense layer that flattens by itself. So a sequence becomes a map of one row, what scales and shifts is folded into
weights, padding into windows, and reshapes vanish:

    Conv1D(16, 3, padding="causal", dilation_rate=4), BatchNormalization, ReLU, GlobalAveragePooling1D, Dense(5)

    PAD, CONV_2D (with the ReLU), AVERAGE_POOL_2D, FULLY_CONNECTED

Models, layers and operations come in by one row each in `layers.LAYERS` and `operations.OPERATIONS`. Open `graph`
first, then `operators`, `passes` and `affine`.
"""

from __future__ import annotations

import keras

from .affine import affines_to_depthwise, fold_affines
from .build import build
from .graph import Network, Node
from .layouts import transposes_last
from .passes import fold_windows, padding_apart, tidy, with_multiples, without_softmax
from .shapes import form

__all__ = ["Network", "Node", "form", "lower", "lower_with_padding"]


def lower(model: keras.Model, *, logits: bool = False, multiple: int = 1) -> Network:
    """A Keras model in the form for a microcontroller.

    Args:
        model: Functional or built Sequential model with fixed input shapes. Left untouched; its weights are copied.
        logits: leave out a softmax at the end.
        multiple: what the number of outputs of each Dense layer is made a multiple of; the further ones are cut off.

    Returns:
        A network that computes what the model does in inference mode, to the precision of float32.

    Raises:
        DeploymentError: if a layer has no such form.

    Example:
        >>> [type(node.operator).__name__ for node in lower(model).nodes()]
        ['Input', 'Pad', 'Conv', 'Activation', 'Pool', 'Dense', 'Activation']
    """
    network = build(model)
    if logits:
        network = without_softmax(network)
    network = tidy(padding_apart(_folded(network)))
    return with_multiples(network, multiple) if multiple > 1 else network


def lower_with_padding(model: keras.Model) -> Network:
    """As `lower`, but the windows of convolutions have their padding in them, whether or not it takes a PAD."""
    return _folded(build(model))


def _folded(network: Network) -> Network:
    return affines_to_depthwise(fold_affines(fold_windows(transposes_last(tidy(network)))))
