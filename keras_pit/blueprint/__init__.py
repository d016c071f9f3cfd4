"""What a microcontroller would run of a model, operator by operator, before any file is made.

The lowered network of a model (see `lowering`) becomes a `Program`, which the costs of a device read. For a search
model the sizes are soft: the network is that of the seed, each channel axis in it has the labels of its channels (see
`channels`), and the masks say how many of them stay:

    conv "a" makes the labels 1 2 3 4              CONV_2D (1, 1, T, 3) -> (1, 1, T, sum of the mask of 1 2 3 4)
    conv "b" reads them, its kernel is searched    PAD and CONV_2D, zeros and taps by the state of its masks

A kernel that gets shorter needs other padding, too: a causal one less of it, a "same" one that lost taps on one side a
PAD of its own. The states of a kernel are few and known beforehand, so this is looked up by the number of the state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from .. import lowering
from ..channels import Channels
from ..costs.program import Program
from ..layers.reader import Reader
from ..layers.search import ChannelMasks, PITLayer
from ..lowering import Network, Node
from ..ownership import masks_of
from .axes import Axis, axis_of
from .folds import folds_of
from .states import States, searches_kernel
from .writer import Writer

__all__ = ["Blueprint"]


@dataclass(frozen=True, eq=False)
class Blueprint:
    """A lowered network, and what is searched in it."""

    network: Network
    masks: Mapping[Node, tuple[int, ChannelMasks]]
    """For nodes whose channels are searched: their axis (negative), and their masks."""
    kernels: Mapping[Node, tuple[PITLayer, States]]
    """For convolutions whose kernel is searched: the search layer, and its states."""
    folds: Mapping[Node, tuple[Node, ...]]
    """For affines that some states of kernels fold: the convolutions whose states these are (see `folds`)."""

    @classmethod
    def of(cls, model: keras.Model) -> Blueprint:
        """The blueprint of a plain model: all sizes are numbers."""
        return cls(lowering.lower_with_padding(model), {}, {}, {})

    @classmethod
    def searched(cls, whole: keras.Model, layers: Mapping[str, Any], channels: Channels) -> Blueprint:
        """The blueprint of a search model.

        Args:
            whole: what it exports with all masks open, its layers renamed so that no two have the same name.
            layers: the layers of the search model by these names.
            channels: of the search model.
        """
        network = lowering.lower_with_padding(whole)
        axes: dict[Node, Axis] = {}
        kernels: dict[Node, tuple[PITLayer, States]] = {}
        for node in network.nodes():
            layer = layers.get(node.name)
            roles = channels.layers[layer].roles if layer in channels.layers else {}
            axes[node] = axis_of(node, [axes[source] for source in node.inputs], roles.get("out"))
            if isinstance(layer, PITLayer) and searches_kernel(layer, node):
                kernels[node] = (layer, States(node, layer))
        masks = {node: (axis.axis, masks_of(channels, axis.labels)) for node, axis in axes.items() if axis.labels.any()}
        return cls(network, masks, kernels, folds_of(network, kernels, layers))

    def program(self, reader: Reader | None = None) -> Program:
        """The operators and tensors; of a search model with the sizes that the reader's masks leave."""
        return Writer(self, reader or Reader()).build()
