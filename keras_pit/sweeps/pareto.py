"""Which points of a front count: those that no other beats, and the area that they rule.

accuracy |        x  x         x: on the front
         |    x   o            o: dominated, as another has as much for less
         | x      .
         +---------- cost
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def undominated(points: Sequence[tuple[float, float]]) -> list[bool]:
    """For each point whether no other is at least as good in both, and better in one.

    Args:
        points: (cost, value): less cost is better, more value is better.
    """
    return [
        not any(other != point and other[0] <= point[0] and other[1] >= point[1] for other in points)
        for point in points
    ]


def hypervolume(points: Sequence[tuple[float, float]], reference: tuple[float, float], *, best: float) -> float:
    """The area between a front and a reference point: the larger, the better. The axis of costs is logarithmic.

    Args:
        points: (cost, value): less cost is better, more value is better.
        reference: a cost that is too high and a value that is too low; what is worse than it does not count.
        best: the least cost that counts, as all fronts that are compared reach no further.

    Returns:
        The area, in units of the value times the natural logarithm of the cost.
    """
    most, worst = reference
    found, area, level = sorted(point for point in points if point[0] < most and point[1] > worst), 0.0, worst
    for cost, value in found:
        if value > level:
            area += (value - level) * math.log(most / max(cost, best))
            level = value
    return area
