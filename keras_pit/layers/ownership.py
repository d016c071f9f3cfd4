"""Where the mask of each channel class is: labels (see `channels`) to entries in the alphas of search layers.

The alpha of a layer strings together the groups of classes that the layer owns, in the order of `channels.groups`, each
in blocks (see `masks.Blocks`).
"""

from __future__ import annotations

import numpy as np

from ..graph.channels import Channels
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
