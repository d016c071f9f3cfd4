"""Sizes: numbers, or scalar tensors that carry the gradient of the masks of a search ("soft").

On numbers, all here is exact. On tensors the value is exact, too, and the gradient is that of what is smooth about it:
`floor_div` is a division, `larger` and `choose` follow the branch taken.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import reduce
from itertools import accumulate
from typing import Any

import numpy as np

Scalar = Any
"""A number, or a scalar tensor."""


def is_number(value: Scalar) -> bool:
    """Whether a size is a plain number."""
    return isinstance(value, numbers.Number)


def is_zero(value: Scalar) -> bool:
    """Whether a size is 0 whatever the masks."""
    return is_number(value) and bool(value == 0)


def is_one(value: Scalar) -> bool:
    """Whether a size is 1 whatever the masks."""
    return is_number(value) and bool(value == 1)


def identity(value: Any) -> Hashable:
    """What to compare sizes by, or tuples of them: of those that are soft, whether they are the same tensor."""
    if isinstance(value, tuple):
        return tuple(map(identity, value))
    return value if value is None or isinstance(value, (str, numbers.Number)) else ("soft", id(value))


def product(values: tuple[Scalar, ...]) -> Scalar:
    """The product of sizes; on tensors, with no more operations than it takes."""
    number = math.prod(value for value in values if is_number(value))
    tensors = [value for value in values if not is_number(value)]
    if not tensors:
        return number
    return reduce(lambda one, two: one * two, tensors if number == 1 else [float(number), *tensors])


def weighted(terms: Iterable[tuple[Scalar, Scalar]]) -> Scalar:
    """The sum of factors times sizes; on tensors, with no more operations for many than for two."""
    terms = list(terms)
    number = sum(factor * value for factor, value in terms if is_number(factor) and is_number(value))
    soft = [term for term in terms if not all(map(is_number, term))]
    if not soft:
        return number
    from keras import ops

    factors, values = map(stacked, zip(*soft, strict=True))
    return ops.sum(factors * values, axis=-1) + number


def total(values: Iterable[Scalar]) -> Scalar:
    """The sum of sizes; on tensors, with no more operations for many than for two."""
    return weighted((1, value) for value in values)


def of_many(make: Callable[..., Scalar], *columns: Sequence[Scalar]) -> list[Scalar]:
    """What arithmetic makes of each row of some columns of sizes; of all rows with tensors, at once."""
    rows = list(zip(*columns, strict=True))
    soft = [row for row in rows if not all(map(is_number, row))]
    if not soft:
        return [make(*row) for row in rows]
    from keras import ops

    together = iter(ops.unstack(make(*map(stacked, zip(*soft, strict=True))), len(soft)))
    return [make(*row) if all(map(is_number, row)) else next(together) for row in rows]


def accumulated(values: Sequence[Scalar]) -> list[Scalar]:
    """The sum of the first size, the first two, and so on."""
    if all(map(is_number, values)):
        return list(accumulate(values))
    from keras import ops

    return list(ops.unstack(ops.cumsum(stacked(values)), len(values)))


def largest(values: Sequence[Scalar]) -> Scalar:
    """The largest of sizes, of equal ones the first."""
    if all(map(is_number, values)):
        return max(values)
    from keras import ops

    together = stacked(values)
    return ops.take(together, ops.argmax(together))


def stacked(values: Sequence[Scalar]) -> Any:
    """Sizes along a new last axis."""
    if all(map(is_number, values)):
        return np.array(values, "float32")
    from keras import ops

    return ops.stack([ops.cast(value, "float32") for value in values], axis=-1)


def either(presences: Sequence[Scalar]) -> Scalar:
    """1 if one of some presences is; on tensors, with no more operations for many than for two."""
    if any(is_number(value) and value == 1 for value in presences):
        return 1
    soft = [value for value in presences if not is_number(value)]
    if len(soft) < 2:
        return soft[0] if soft else 0
    from keras import ops

    return 1 - ops.prod(1 - ops.stack(soft))


def the_one(ways: Sequence[tuple[Scalar, Scalar]]) -> Scalar:
    """Of several sizes, each with its presence, the one that is present; 0 if none is."""
    (first, _), *others = ways
    if all(one is first or (is_number(one) and is_number(first) and one == first) for one, _ in others):
        return first
    return reduce(lambda one, two: one + two, map(product, ways))


def floor_div(value: Scalar, divisor: int) -> Scalar:
    """`value // divisor`."""
    if is_number(value):
        return value // divisor
    from keras import ops

    smooth = value / divisor
    return smooth + ops.stop_gradient(ops.floor(smooth) - smooth)


def round_up(value: Scalar, multiple: int) -> Scalar:
    """The next multiple."""
    return floor_div(value + (multiple - 1), multiple) * multiple


def leftover(value: Scalar, divisor: int) -> Scalar:
    """`value % divisor`."""
    return divided(value, divisor)[1]


def divided(value: Scalar, divisor: int) -> tuple[Scalar, Scalar]:
    """`divmod(value, divisor)`."""
    whole = floor_div(value, divisor)
    return whole, value - whole * divisor


def larger(one: Scalar, two: Scalar) -> Scalar:
    """The larger of two sizes."""
    return choose(one >= two, one, two)


def smaller(one: Scalar, two: Scalar) -> Scalar:
    """The smaller of two sizes."""
    return choose(one <= two, one, two)


def choose(condition: Any, one: Scalar, two: Scalar) -> Scalar:
    """`one` where the condition holds, else `two`; both are computed."""
    if isinstance(condition, (bool, np.bool_)):
        return one if condition else two
    from keras import ops

    return ops.where(condition, ops.cast(one, "float32"), ops.cast(two, "float32"))
