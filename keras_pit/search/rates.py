"""The learning rate of a network that a search has made smaller.

The narrower a layer, the longer the steps of Adam that it bears: the best learning rate goes about as one over the
number of its inputs (Yang et al., Tensor Programs V, arXiv 2203.03466), and these with the root of its weights. So the
rate that the seed is trained with is low for what is left of it. That of plain gradient descent is not: there the best
one does not depend on the width.
"""

import math
from typing import Any

import keras

HIGHEST = 3.0
"""The most that it is raised by."""


def rise(seed: float, size: float, optimizer: Any = None) -> float:
    """How many times the seed's learning rate suits a network that was searched in it, from 1 to `HIGHEST`.

    Args:
        seed: number of weights of the seed.
        size: of the network.
        optimizer: what trains it; None for Adam.
    """
    if isinstance(getattr(optimizer, "inner_optimizer", optimizer), keras.optimizers.SGD):
        return 1.0
    return min(math.sqrt(max(seed / max(size, 1.0), 1.0)), HIGHEST)
