"""Which channels of a model live and die together, who makes them and who reads them.

`tracer.trace` runs the graph of a model on integer ids instead of floats, and returns them. Example, with
16 channels made by `a`, normalised, and added to what `b` makes:

    conv a -> 1..16 -> batch norm -> 1..16 --+
                                             add -> 1..16 (17..32 are tied to them) -> dense c reads 1..16
    conv b -> 17..32 ------------------------+

    channels.layers[a].roles["out"]   the labels 1..16; the same for b
    channels.layers[c].roles["in"]    the labels 1..16
    channels.groups                   one group of 16 classes, made by a and b, owned by a

Labels number the classes that can be removed from 1; label 0 is everything that is kept. With an array that says for
each label whether it stays, `keep[labels]` cuts any axis of any weight. Knows no masks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from ..costs.geometry import Geometry, Site
from .branches import Branches
from .classes import Ids


@dataclass(frozen=True, eq=False)
class LayerChannels:
    """The channels of one layer, by role (see `rules`), as labels."""

    roles: dict[str, np.ndarray]
    sites: tuple[Site, ...]
    made: np.ndarray
    """Labels of the channels that this layer makes (and does not merely pass on)."""
    frozen: str | None
    """Why none of the channels that the layer makes can be removed; None if it makes none or some can."""
    inside: tuple[Geometry, ...] = ()
    """What else costs something: what is in a layer that is not followed (see `inside`)."""


@dataclass(frozen=True, eq=False)
class Group:
    """Classes that are made by the same layers and stand in the same tensors; one of them must always stay."""

    owner: keras.layers.Layer
    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class Channels:
    """The result of `trace`."""

    layers: dict[keras.layers.Layer, LayerChannels]
    """For each layer or model in the graph, and each addition with branches, in the order of the first call."""
    groups: tuple[Group, ...]
    tensors: dict[int, Ids]
    """The labels of each tensor of the graph, by the tensor's identity."""
    count: int
    """Number of labels: those that can be removed, and 0."""
    frozen: dict[Any, str]
    """The operations that are not followed, and why: whatever channels enter or leave them stay."""
    unknown: tuple[str, ...]
    """Those whose multiplications are not all known."""
    branches: Branches = field(default_factory=Branches)
    """The branches that may vanish."""

    def of(self, tensor: Any) -> Ids:
        """The labels of a symbolic tensor of the traced graph."""
        return self.tensors[id(tensor)]

    def transfer(self, layers: dict[Any, Any], tensors: dict[int, Any]) -> Channels:
        """The same for a rebuilt model, given the new layer and the new tensor for each old one."""
        return Channels(
            {layers[layer]: known for layer, known in self.layers.items()},
            tuple(Group(layers[group.owner], group.labels) for group in self.groups),
            {id(tensors[key]): x for key, x in self.tensors.items()},
            self.count,
            {layers[operation]: reason for operation, reason in self.frozen.items()},
            self.unknown,
            self.branches.transfer(layers),
        )

    def owned(self, layer: keras.layers.Layer) -> list[np.ndarray]:
        """The labels a layer owns, group by group."""
        return [group.labels for group in self.groups if group.owner is layer]
