"""What a blueprint consists of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..graph.needs import Need
from ..layers.layer import PITLayer
from ..layers.wiring import ChannelMasks
from ..lowering import Network, Node
from .states import States
from .sums import Sides


@dataclass(frozen=True, eq=False)
class Parts:
    """A lowered network, and what is searched in it."""

    network: Network
    masks: Mapping[Node, tuple[int, ChannelMasks]]
    """For nodes whose channels are searched: their axis (negative), and their masks."""
    kernels: Mapping[Node, tuple[PITLayer, States]]
    """For convolutions whose kernel is searched: the search layer, and its states."""
    folds: Mapping[Node, tuple[Node, ...]]
    """For affines that some states of kernels fold: the convolutions whose states these are (see `folds`)."""

    sums: Mapping[Node, Sides] = field(default_factory=dict)
    """For additions of branches: when there is anything on their sides."""
    needs: Mapping[Node, Need] = field(default_factory=dict)
    """When each node is needed, if there are such additions."""

    @property
    def is_searched(self) -> bool:
        """Whether it is that of a search model, so that weights may still change."""
        return bool(self.masks or self.kernels or self.sums)
