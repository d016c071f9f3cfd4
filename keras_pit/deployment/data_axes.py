"""Which axes of the data an input takes: after a search over "inputs", the exported model reads some of them only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

from .. import checks

EXPECTED = "what keras_pit.summary(search).inputs returns, or the axes by the name of the input, as {'signal': [0, 2]}"


def data_axes(axes: Any, names: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
    """For each input the axes of the data that it takes, in its order; none where that is not said.

    Args:
        axes: what `deploy` was given.
        names: of the inputs.
        shapes: of the inputs.

    Raises:
        TypeError: if it is of another type.
        ValueError: if there is no such input, or it has another number of axes.
    """
    if axes is None:
        return ((),) * len(names)
    if isinstance(axes, Mapping):
        given = dict(axes)
    else:
        rows = checks.listed(axes, "`axes`", EXPECTED)
        if not all(hasattr(row, "name") and hasattr(row, "read") for row in rows):
            raise checks.wrong_type("Each of `axes`", EXPECTED, next(row for row in rows if not hasattr(row, "read")))
        given = {row.name: row.read for row in rows}
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ValueError(
            f"`axes` names input {unknown[0]!r}; expected some of {', '.join(map(repr, names))}, which the model has. "
            "Name the inputs as the model does."
        )
    found = []
    for name, shape in zip(names, shapes, strict=True):
        numbers = checks.listed(given.get(name, ()), f"`axes[{name!r}]`", "a list of the numbers of axes")
        if any(isinstance(one, bool) or not isinstance(one, Integral) for one in numbers):
            raise checks.wrong_type(f"`axes[{name!r}]`", "a list of the numbers of axes", given[name])
        if numbers and (len(set(numbers)) < len(numbers) or min(numbers) < 0 or len(numbers) != shape[-1]):
            raise ValueError(
                f"`axes[{name!r}]` is {list(numbers)}; expected {shape[-1]} different numbers from 0 on, one for each "
                f"axis that the input of shape {shape} takes. Pass keras_pit.summary(search).inputs as they are."
            )
        found.append(tuple(int(one) for one in numbers))
    return tuple(found)
