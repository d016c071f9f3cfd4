"""An int8 network as a microcontroller runs it: operators in execution order, and the tensors between them.

    Program
      tensors    0: input (1, 1, 64, 6) int8       1: weights (8, 1, 3, 6) int8, constant, 8 channels
                 2: bias (8,) int32, constant      3: result (1, 1, 64, 8) int8
      operators  CONV_2D (0, 1, 2) -> (3,), padding "same"
      inputs (0,), outputs (3,)

It is all that arena, flash and latency depend on; `deployment.flatbuffer.read_program` reads one from a .tflite file.
For a cost function, `Program.calls` gives each operator together with its tensors.

Sizes may be soft: scalar tensors that carry the gradient of the masks of a search. So the cost functions are arithmetic
of sizes, with helpers for what is not smooth (see `sizes`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from .call import Call
from .forms import of_each
from .operators import Operator, Tensor
from .sizes import Scalar, either, is_number

Order = tuple[int, ...]
"""Places of operators, first to last."""


@dataclass(frozen=True)
class Stretch:
    """Operators in a row that can run in several orders."""

    orders: tuple[tuple[Order, ...], ...]
    """The listed one first; an order may have two forms, of which the first one that is possible is meant."""
    is_whole: bool = True
    """Whether these are all orders that there are."""


@dataclass(frozen=True)
class Program:
    """A network: operators in execution order; inputs and outputs by the numbers of their tensors."""

    operators: tuple[Operator, ...]
    tensors: tuple[Tensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    stretches: tuple[Stretch, ...] = ()
    """Where operators can run in several orders: the network has those that need the least arena, and which these are
    depends on its sizes while they are soft."""
    variants: tuple[Program, ...] = ()
    """The same network as the file may have it instead; the arena is that of the one that needs most."""
    plain: Callable[[frozenset[str]], Program] | None = field(default=None, compare=False, repr=False)
    """Of a search: the same network with one operator for each kernel that is searched, but in some layers (names)."""
    _known: dict[Hashable, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    def calls(self) -> Iterator[Call]:
        """Each operator with its tensors, in execution order."""
        for op in self.operators:
            inputs = tuple(self.tensors[number] if number >= 0 else None for number in op.inputs)
            yield Call(op, inputs, tuple(self.tensors[number] for number in op.outputs))

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What several costs ask for, made the first time: while sizes are soft, it is many operations."""
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    def of_each(self, name: Hashable, make: Callable[[Call], Any]) -> list[Any]:
        """For each operator what is made of it, under a name (see `forms`)."""
        found: list[Any] = self.once(name, lambda: of_each(self.calls(), make))
        return found

    @cached_property
    def used(self) -> dict[int, Scalar]:
        """For each tensor that is used, 1, or 0 where none of its operators is present."""
        there: dict[int, Scalar] = dict.fromkeys(self.inputs, 1)
        readers: dict[int, list[Scalar]] = {}
        for op in self.operators:
            for number in op.outputs:  # versions of an operator exclude each other
                there[number] = 1 if is_number(op.presence) else there.get(number, 0) + op.presence
            for number in op.inputs:
                if number >= 0 and self.tensors[number].constant:
                    readers.setdefault(number, []).append(op.presence)
        return there | {number: either(presences) for number, presences in readers.items()}

    def presences(self) -> dict[int, Scalar]:
        """For each tensor that is used, 1, or 0 where none of its operators is present, or an equal one is there."""
        return self._presences

    @cached_property
    def _presences(self) -> dict[int, Scalar]:
        there = dict(self.used)
        alike: dict[Any, list[int]] = {}
        for number in there:
            content = self.tensors[number].content
            if content:
                alike.setdefault((self.tensors[number].shape, len(content)), []).append(number)
        for group in alike.values():
            contents = [self.tensors[number].content for number in group]
            there |= zip(group, _distinct(contents, [there[number] for number in group]), strict=True)
        return there


def _distinct(contents: list[tuple[Scalar, ...]], there: list[Scalar]) -> list[Scalar]:
    """How present each of some contents is, if it counts only where none before has the same numbers."""
    if len(there) == 1:
        return there
    if all(is_number(value) for values in (*contents, there) for value in values):
        first = {values: place for place, values in reversed(list(enumerate(contents))) if there[place]}
        return [
            value * (first.get(values) == place)
            for place, (values, value) in enumerate(zip(contents, there, strict=True))
        ]
    from keras import ops

    rows = ops.stack([ops.cast(value, "float32") for values in contents for value in values])
    table, present = ops.reshape(rows, (len(there), -1)), ops.stack([ops.cast(value, "float32") for value in there])
    equal = ops.all(ops.equal(table[:, None], table), axis=2) & (present > 0)
    again = ops.any(equal & np.tril(np.ones((len(there),) * 2, bool), -1), axis=1)
    return list(ops.unstack(ops.where(again, 0.0, present), len(there)))


def in_numbers(program: Program) -> Program:
    """A program of soft sizes as the numbers that they have now, without what is not present."""

    def number(value: Scalar) -> int:
        return round(float(value))

    tensors = tuple(
        replace(
            tensor,
            shape=tuple(map(number, tensor.shape)),
            channels=number(tensor.channels),
            content=tuple(map(number, tensor.content)),
        )
        for tensor in program.tensors
    )
    present = tuple(
        replace(op, presence=1, dilation=(number(op.dilation[0]), number(op.dilation[1])))
        for op in program.operators
        if number(op.presence)
    )
    return replace(program, operators=present, tensors=tensors, stretches=())
