"""Which affines are folded in some states of kernels only.

    ReLU -> BatchNormalization -> Conv1D "same"      3 taps: it sees zeros, so a depthwise convolution comes before it
                                                     one tap left: it takes over what batch normalization does

An affine is folded if all that read it can take it over (see `lowering.affine`). A convolution can, unless zeros are
added to its input. What affines pass on their way to a convolution, as pooling, is not followed here: such an affine
counts in every state, so costs are above those of the exported model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from ..layers.layer import PITLayer
from ..lowering import Network, Node
from ..lowering.affine import is_raw, takes
from ..lowering.operators import Affine, Depthwise
from ..lowering.windows import Window
from .states import States


def folds_of(
    network: Network, kernels: Mapping[Node, tuple[PITLayer, States]], layers: Mapping[str, Any]
) -> dict[Node, tuple[Node, ...]]:
    """For each such affine, the convolutions whose states decide; the search model's layers are by the nodes' names."""
    readers: dict[Node, list[Node]] = defaultdict(list)
    for node in network.nodes():
        for source in node.inputs:
            readers[source].append(node)

    result: dict[Node, tuple[Node, ...]] = {}
    for node in network.nodes():
        if node in network.outputs or not _is_affine(node, layers.get(node.name)):
            continue
        affine = Affine(node.operator.kernel.reshape(-1), node.operator.bias)
        if is_raw(node.inputs[0], affine):
            continue
        takers = dict.fromkeys(reader for reader in readers[node] if reader in kernels)
        others = [reader for reader in readers[node] if reader not in kernels]
        can_take = [any(not state.sees_zeros for state in kernels[taker][1].all) for taker in takers]
        if takers and all(can_take) and all(takes(other.operator, affine, node.shape) for other in others):
            result[node] = tuple(takers)
    return result


def _is_affine(node: Node, layer: Any) -> bool:
    """Whether a depthwise convolution stands for an affine, and not for a layer."""
    operator = node.operator
    is_plain = isinstance(operator, Depthwise) and operator.window == Window((1, 1)) and operator.kernel.shape[-1] == 1
    return is_plain and not hasattr(layer, "kernel_size")
