"""What a streaming network is written down in: its tensors, and its operators by how often they run.

What runs more often comes before what runs less often; a CIRCULAR_BUFFER with `cycles` stands between:

    every step         CIRCULAR_BUFFER, CONV_2D, ..., CIRCULAR_BUFFER with cycles 2: the gate
    every second step  CONV_2D, ...

In a search, whether there is a buffer, or a mask, can depend on how far kernels look. What reads it then reads one of
several tensors (`one_of`), and is written down once for each, as present as that one is:

    delay 0 or more    CIRCULAR_BUFFER, SLICE, ADD where it is more; ADD of the stream itself where it is 0
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from itertools import product as combinations
from typing import NamedTuple

from ..costs.operators import Operator, Tensor
from ..costs.program import Program
from ..costs.sizes import Scalar, choose, either, identity, is_number, is_zero, product
from .values import CannotStream, Origin, Shape

BUFFER = "CIRCULAR_BUFFER"
HIGHEST = 127


@dataclass(frozen=True)
class Placed:
    """An operator of the streaming network, and the one of the whole network that it is for, if there is one."""

    operator: Operator
    of: int | None


Way = tuple[int, Scalar]
"""A tensor, and 1 where it is the one that is there, else 0."""


class _Made(NamedTuple):
    """A tensor that several may share, its size, and how present it is."""

    number: int
    size: Scalar
    presence: Scalar


class Record:
    """Collects tensors and operators."""

    def __init__(self, whole: Program) -> None:
        self.whole = whole
        self.tensors: list[Tensor] = []
        self.origins: list[Origin] = []
        self._operators: dict[int, list[Placed]] = {}
        self._gates: dict[int, list[Placed]] = {}
        self._known: dict[tuple[object, ...], int] = {}
        self._ways: dict[int, list[Way]] = {}
        """For what stands for one of several tensors, these."""
        self._made: dict[tuple[object, ...], list[_Made]] = {}
        """What several may share, by what it is made of."""
        self._presence: Scalar = 1
        self.doing: int | None = None
        """The number of the operator of the whole network that is being written."""

    # -- tensors ------------------------------------------------------------------------------------------------------

    def tensor(self, of: int, shape: Shape, *, variable: bool = False) -> int:
        """A new tensor with the quantization of one of the whole network; its number."""
        whole = self.whole.tensors[of]
        return self._add(replace(whole, shape=shape, variable=variable, constant=False), Origin(of))

    def result(self, of: int, shape: Shape) -> int:
        """The tensor for that of the whole network; several forms of an operator make the same one."""
        return self._once(("result", of), lambda: self.tensor(of, shape))

    def constant(self, of: int, shape: Shape) -> int:
        """A constant of the whole network in another shape, of the same order."""
        return self._once(("constant", of, identity(shape)), lambda: self._add(self._constant(of, shape), Origin(of)))

    def _constant(self, of: int, shape: Shape) -> Tensor:
        return replace(self.whole.tensors[of], shape=shape)

    def setting(self, values: Sequence[Scalar], shape: Shape | None = None) -> int:
        """A constant of int32."""
        shape = shape or (len(values),)
        tensor = Tensor(shape, "int32", constant=True, content=tuple(values))
        numbers = tuple(int(value) if is_number(value) else -1 for value in values)
        key = ("setting", identity(tuple(values)), *shape)
        return self._once(key, lambda: self._add(tensor, Origin(values=numbers)))

    def level(self, value: int, of: int) -> int:
        """A constant integer that is quantized as a tensor of the whole network."""
        tensor = Tensor((1, 1, 1, 1), "int8", constant=True, channels=1)
        return self._once(("level", value, of), lambda: self._add(tensor, Origin(of, (value,))))

    def _once(self, key: tuple[object, ...], make: Callable[[], int]) -> int:
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    def _add(self, tensor: Tensor, origin: Origin) -> int:
        self.tensors.append(tensor)
        self.origins.append(origin)
        return len(self.tensors) - 1

    # -- what is there in some states of a search ---------------------------------------------------------------------

    def one_of(self, ways: Sequence[Way]) -> int:
        """What stands for one of several tensors of one shape; those that are never there are left out."""
        found = [
            (number, product((presence, inner)))
            for way, presence in ways
            for number, inner in self.ways(way)
            if not is_zero(presence)
        ]
        if len(found) == 1 and is_number(found[0][1]):
            return found[0][0]
        number = self._add(self.tensors[found[0][0]], self.origins[found[0][0]])
        self._ways[number] = found
        return number

    @contextmanager
    def when(self, presence: Scalar) -> Iterator[None]:
        """What is written down in this context is as present."""
        before, self._presence = self._presence, product((self._presence, presence))
        try:
            yield
        finally:
            self._presence = before

    def ways(self, number: int) -> list[Way]:
        """The tensors of which a tensor is one: itself, unless it stands for several."""
        return self._ways.get(number, [(number, 1)])

    def is_one(self, number: int) -> bool:
        """Whether a tensor is one, and does not stand for several."""
        return number not in self._ways

    def shared(self, key: tuple[object, ...], size: Scalar, make: Callable[[], int]) -> int:
        """What is made once for all that ask for it in the same size; in a search, where sizes turn out to be equal."""
        known = self._made.setdefault(key, [])
        ways: list[Way] = []
        rest: Scalar = 1
        for other in known:
            shared = product((_is_equal(other.size, size), other.presence, rest))
            ways.append((other.number, shared))
            rest = rest - shared
        if is_zero(rest):
            return self.one_of(ways)
        with self.when(rest):
            made = make()
            known.append(_Made(made, size, self._presence))
        return self.one_of([(made, rest), *ways])

    # -- operators ----------------------------------------------------------------------------------------------------

    def put(self, operator: Operator, period: int, *, is_gate: bool = False) -> int:
        """An operator that runs every so many steps; the number of the tensor that it makes."""
        listed = (self._gates if is_gate else self._operators).setdefault(period, [])
        distinct = list(dict.fromkeys(operator.inputs))
        for ways in combinations(*map(self.ways, distinct)):
            numbers = dict(zip(distinct, (number for number, _ in ways), strict=True))
            inputs = tuple(numbers[number] for number in operator.inputs)
            presence = product((operator.presence, self._presence, *(presence for _, presence in ways)))
            listed.append(Placed(replace(operator, inputs=inputs, presence=presence), self.doing))
        return operator.outputs[0]

    def make(self, name: str, inputs: Sequence[int], of: int, shape: Shape, period: int) -> int:
        """A new operator without settings, whose result is quantized as a tensor of the whole network."""
        return self.put(Operator(name, tuple(inputs), (self.tensor(of, shape),), layer=self._layer), period)

    @property
    def _layer(self) -> str:
        return self.whole.operators[self.doing].layer if self.doing is not None else ""

    def reshaped(self, number: int, of: int, shape: Shape, period: int) -> int:
        """A tensor in another shape."""
        if identity(self.tensors[number].shape) == identity(shape):
            return number
        return self.make("RESHAPE", (number, self.setting(shape)), of, shape, period)

    def oldest(self, number: int, of: int, period: int) -> int:
        """The first element along time of a map."""
        shape = self.tensors[number].shape
        first = (shape[0], 1, *shape[2:])
        begin, size = self.setting([0] * len(shape)), self.setting(first)
        return self.make("SLICE", (number, begin, size), of, first, period)

    # -- the whole ----------------------------------------------------------------------------------------------------

    def ordered(self) -> list[Placed]:
        """All operators, the frequent ones first; samples come every step, whatever reads them."""
        periods = sorted({1, *self._operators, *self._gates})
        result: list[Placed] = []
        for period, after in pairwise(periods):
            result += self._operators.get(period, [])
            gates = self._gates.get(period, [])
            if after % period:
                culprit = (self._operators.get(after) or self._gates[after])[0].of
                raise CannotStream(
                    f"would run every {after} steps beside layers that run every {period}: expected rates of which "
                    "each is a multiple of the one before. Choose strides that are",
                    culprit,
                )
            spare = 1 - either([gate.operator.presence for gate in gates])
            if period > 1:  # with all that is as frequent, its gate goes
                listed = [*self._operators.get(period, []), *gates]
                spare = product((spare, either([one.operator.presence for one in listed])))
            if not is_zero(spare):
                gates = [self._spare_gate(spare), *gates]
            last = gates.pop()
            result += [*gates, replace(last, operator=replace(last.operator, cycles=after // period))]
        return result + self._operators.get(periods[-1], [])

    def _spare_gate(self, presence: Scalar) -> Placed:
        """A buffer of one slot, which only ends the run."""
        of = self.whole.inputs[0]
        made = self.tensor(of, (1, 1, 1, 1), variable=True)
        return Placed(Operator(BUFFER, (self.level(HIGHEST, of),), (made,), presence=presence), None)


def _is_equal(one: Scalar, two: Scalar) -> Scalar:
    """1, or 0 if they are not."""
    if one is two:
        return 1
    return int(one == two) if is_number(one) and is_number(two) else choose(one == two, 1, 0)
