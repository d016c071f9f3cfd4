"""Where the mask of each channel class is: labels (see `channels`) to entries in the alphas of search layers.

And when an operation is there: by the entries for branches in the deltas of additions.

The alpha of a layer strings together the groups of classes that the layer owns, in the order of `channels.groups`, each
in blocks (see `masks.Blocks`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph.branches import Branch
from ..graph.channels import Channels
from ..graph.needs import Need
from .reader import Reader
from .wiring import ChannelMasks


def channel_masks(channels: Channels, roles: dict[str, np.ndarray]) -> dict[str, ChannelMasks]:
    """The masks of a layer's channels, by role."""
    return {role: masks_of(channels, labels) for role, labels in roles.items()}


def masks_of(channels: Channels, labels: np.ndarray) -> ChannelMasks:
    """The masks of the channels of some labels."""
    wanted = set(np.unique(labels[labels > 0]).tolist())
    owners = []
    position = np.zeros(channels.count, np.int64)
    offset = 1
    for owner in dict.fromkeys(group.owner for group in channels.groups):
        owned = np.concatenate(channels.owned(owner))
        if wanted.isdisjoint(owned.tolist()):
            continue
        position[owned] = offset + owner.blocks.entry_of
        offset += len(owner.blocks.group_of)
        owners.append(owner)
    return ChannelMasks(tuple(owners), position[labels])


def kept_labels(channels: Channels) -> np.ndarray:
    """For each label whether it stays, by the masks as they are now.

    Raises:
        ValueError: if a mask variable is not finite.
    """
    keep = np.zeros(channels.count, bool)
    keep[0] = True
    for owner in dict.fromkeys(group.owner for group in channels.groups):
        keep[np.concatenate(channels.owned(owner))] = owner.kept_channels()
    return keep


def presence(need: Need, reader: Reader | None = None) -> Any:
    """1 where something is needed, 0 where not.

    Args:
        need: in terms of the branches of search layers.
        reader: to read soft masks; None for a number, by the masks as they are now.
    """

    def mask(branch: Branch) -> Any:
        entry = branch.sum.places.index(branch.place)
        return int(branch.sum.kept_branches()[entry]) if reader is None else reader.branches(branch.sum)[entry]

    return need.value(mask)
