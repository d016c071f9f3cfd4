"""What is made of each operator, of many at once: operators of one form differ in sizes alone.

    CONV_2D (1, 1, 64, a) -> (1, 1, 64, b)      is asked about as      CONV_2D (1, 1, s, c) -> (1, 1, s, d)
    CONV_2D (1, 1, 32, e) -> (1, 1, 32, f)                             with vectors s = [64, 32], c = [a, e], d = [b, f]

While sizes are soft, a formula is a hundred operations, and to trace and start these takes longer than to run them. So
they are there once for each form, not for each operator. Numbers are left as they are, and so are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .call import Call
from .operators import Tensor
from .sizes import Scalar, identity, is_number, stacked


def of_each(calls: Iterable[Call], make: Callable[[Call], Any]) -> list[Any]:
    """For each operator what is made of it: a size, or a list of sizes.

    Args:
        calls: the operators.
        make: arithmetic of their sizes, which gives for vectors of sizes a vector.
    """
    calls = list(calls)
    kinds = [kind_of(call) for call in calls]
    distinct = dict(zip(kinds, calls, strict=True))
    forms: dict[Hashable, list[Hashable]] = {}
    for kind, call in distinct.items():
        sizes = _sizes(call)
        # One without soft sizes has a form of its own.
        form = kind if all(map(is_number, sizes.values())) else _form(call, sizes)
        forms.setdefault(form, []).append(kind)
    found: dict[Hashable, Any] = {}
    for alike in forms.values():
        found |= zip(alike, _of_form([distinct[kind] for kind in alike], make), strict=True)
    return [found[kind] for kind in kinds]


def kind_of(call: Call) -> Hashable:
    """What the time and memory of an operator depend on: its settings, and its tensors but for their numbers.

    Of several versions of an operator, of which one is there, most are of one kind.
    """
    settings = tuple(value for name, value in vars(call.op).items() if name not in _NO_MATTER)
    tensors = tuple(one and tuple(vars(one).values()) for one in (*call.inputs, *call.outputs))
    return identity((settings, tensors))


_NO_MATTER = {"inputs", "outputs", "layer", "presence"}
"""Fields of an operator that say nothing about its time and memory."""


def _of_form(calls: Sequence[Call], make: Callable[[Call], Any]) -> list[Any]:
    """What is made of operators of one form."""
    if len(calls) == 1:
        return [make(calls[0])]
    sizes = [_sizes(call) for call in calls]
    columns = dict(zip(sizes[0], map(_column, zip(*(one.values() for one in sizes), strict=True)), strict=True))
    made = make(_with_sizes(calls[0], lambda size: columns[identity(size)]))
    if not isinstance(made, list):
        return _apart(made, len(calls))
    parts = [_apart(one, len(calls)) for one in made]
    return [[part[place] for part in parts] for place in range(len(calls))]


def _sizes(call: Call) -> dict[Hashable, Scalar]:
    """The sizes of an operator, each once."""
    sizes: dict[Hashable, Scalar] = {}
    _with_sizes(call, lambda size: sizes.setdefault(identity(size), size))
    return sizes


def _form(call: Call, sizes: dict[Hashable, Scalar]) -> Hashable:
    """All that is told of an operator by something other than numbers.

    It tells which sizes are soft, and which are equal: of a convolution that reads as many channels as its weights
    have, it is known that it has no groups.
    """
    places = {key: f"{'number' if is_number(size) else 'soft'} {n}" for n, (key, size) in enumerate(sizes.items())}
    return kind_of(_with_sizes(call, lambda size: places[identity(size)]))


def _with_sizes(call: Call, change: Callable[[Scalar], Scalar]) -> Call:
    """An operator with other sizes: all of its tensors, and of its settings those that are soft."""

    def setting(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(setting, value))
        return value if value is None or isinstance(value, str) or is_number(value) else change(value)

    def tensor(one: Tensor | None) -> Any:
        if one is None:
            return None
        return replace(one, shape=tuple(map(change, one.shape)), channels=change(one.channels), content=(), lowest=0)

    settings = {name: setting(value) for name, value in vars(call.op).items() if name not in _NO_MATTER}
    op = replace(call.op, **settings)
    return Call(op, tuple(map(tensor, call.inputs)), tuple(map(tensor, call.outputs)))


def _column(values: Sequence[Scalar]) -> Scalar:
    """The same size of several operators: a number if it is the same in all, else a vector."""
    first, *others = values
    is_same = is_number(first) and all(other == first for other in others)
    return first if is_same else stacked(values)


def _apart(made: Scalar, count: int) -> list[Scalar]:
    """What was made of operators of one form, for each."""
    if is_number(made):
        return [made] * count
    if isinstance(made, np.ndarray):
        return list(made.tolist())
    from keras import ops

    return list(ops.unstack(made, count))
