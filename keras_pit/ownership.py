"""Where the mask of each channel class is: labels (see `channels`) to positions in the alphas of search layers.

The alpha of a layer strings together the groups of classes that the layer owns, in the order of `channels.groups`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .channels import Channels
from .layers.search import ChannelMasks


def groups_of(channels: Channels, layer: Any) -> list[np.ndarray]:
    """The positions in a layer's alpha of each group that it owns."""
    sizes = [len(labels) for labels in channels.owned(layer)]
    ends = np.cumsum(sizes, dtype=int)
    return [np.arange(end - size, end) for size, end in zip(sizes, ends, strict=True)]


def channel_masks(channels: Channels, roles: dict[str, np.ndarray]) -> dict[str, ChannelMasks]:
    """The masks of a layer's channels, by role."""
    return {role: _masks(channels, labels) for role, labels in roles.items()}


def _masks(channels: Channels, labels: np.ndarray) -> ChannelMasks:
    wanted = set(np.unique(labels[labels > 0]).tolist())
    owners = []
    position = np.zeros(channels.count, np.int64)
    offset = 1
    for owner in dict.fromkeys(group.owner for group in channels.groups):
        owned = np.concatenate(channels.owned(owner))
        if wanted.isdisjoint(owned.tolist()):
            continue
        position[owned] = offset + np.arange(len(owned))
        offset += len(owned)
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
