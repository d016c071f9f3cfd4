"""The learning rate of a network that a search has made smaller.

The narrower a layer, the longer the steps that it bears: the best learning rate of Adam goes about as one over the
number of its inputs (Yang et al., Tensor Programs V, arXiv 2203.03466). These go with the root of its weights. The rate
that the seed is trained with is therefore low for what is left of it.
"""

import math

HIGHEST = 3.0
"""The most that it is raised by."""


def rise(seed: float, size: float) -> float:
    """How many times the seed's learning rate suits a network that was searched in it, from 1 to `HIGHEST`.

    Args:
        seed: number of weights of the seed.
        size: of the network.
    """
    return min(math.sqrt(max(seed / max(size, 1.0), 1.0)), HIGHEST)
