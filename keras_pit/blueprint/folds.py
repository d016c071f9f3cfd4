"""Which affines are folded in some states of kernels only.

    ReLU -> BatchNormalization -> Conv1D "same"      3 taps: it sees zeros, so a depthwise convolution comes before it
                                                     one tap left: it takes over what batch normalization does

An affine is folded if all that read it can take it over (see `lowering.affine`). A convolution can, unless zeros are
added to its input.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from ..layers.search import PITLayer
from ..lowering import Network, Node
from ..lowering.affine import passed, takes
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

    def takers(node: Node, affine: Affine) -> list[Node] | None:
        """The searched convolutions among those that take over an affine; None if some reader never does."""
        found: list[Node] = []
        for reader in readers[node]:
            if reader in kernels:
                found.append(reader)
            elif not takes(reader.operator, affine, node.shape):
                behind = passed(reader.operator, affine, node.shape)
                others = takers(reader, behind) if behind is not None else None
                if others is None:
                    return None
                found += others
        return None if node in network.outputs else found

    result: dict[Node, tuple[Node, ...]] = {}
    for node in network.nodes():
        if _is_affine(node, layers.get(node.name)):
            found = takers(node, Affine(node.operator.kernel.reshape(-1), node.operator.bias))
            if found and all(any(not state.sees_zeros for state in kernels[taker][1].all) for taker in found):
                result[node] = tuple(dict.fromkeys(found))
    return result


def _is_affine(node: Node, layer: Any) -> bool:
    """Whether a depthwise convolution stands for an affine, and not for a layer."""
    operator = node.operator
    is_plain = isinstance(operator, Depthwise) and operator.window == Window((1, 1)) and operator.kernel.shape[-1] == 1
    return is_plain and not hasattr(layer, "kernel_size")
