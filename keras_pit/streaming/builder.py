"""Writes down the operators of a streaming network, by how often they run.

State is kept by TFLite-Micro's CIRCULAR_BUFFER: one operator, which moves its slots on in place and appends the newest
one. It takes some 170 instructions and 0.75 a byte on a Cortex-M4, and no memory but its slots. With states as further
inputs and outputs a step would copy them twice and the application once more; variables with handles
(READ_VARIABLE, ASSIGN_VARIABLE) need two operators and a copy of the whole state for each layer.

A reset fills it with the zero point: what a causal layer sees before the first step is exactly its zero padding.

With `cycles`, it ends the run in all but every so many steps: so strides in time are made. All that runs more often
comes before it, all that runs less often behind it:

    every step         CIRCULAR_BUFFER, CONV_2D, ..., CIRCULAR_BUFFER with cycles 2: the gate
    every second step  CONV_2D, ...

What comes before element 0 of a stream is held at zero where a later layer sees padding there: by MINIMUM (and MAXIMUM,
unless zero is the smallest number) with a tensor that a CIRCULAR_BUFFER of constants lets through some steps later.

In a search, whether there is a buffer, or such a mask, can depend on how far kernels look. What reads it then reads one
of several tensors (`one_of`), and is written down once for each, as present as that one is:

    delay 0 or more    CIRCULAR_BUFFER, SLICE, ADD where it is more; ADD of the stream itself where it is 0
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from itertools import product as combinations
from typing import NamedTuple

from ..costs.operators import Operator, Tensor
from ..costs.program import Program
from ..costs.sizes import Scalar, choose, either, floor_div, is_number, is_zero, larger, product
from .values import CannotStream, Origin, Shape, Stream, Window, aligned, is_positive, placed, steps_to

BUFFER = "CIRCULAR_BUFFER"
LOWEST, HIGHEST = -128, 127


@dataclass(frozen=True)
class Placed:
    """An operator of the streaming network, and the one of the whole network that it is for, if there is one."""

    operator: Operator
    of: int | None


@dataclass(frozen=True)
class Taken:
    """What a window of taps reads: a tensor with so many slots along time, of which the taps span the oldest."""

    number: int
    slots: Scalar
    late: Scalar
    """The newest slots, which the taps do not reach."""
    ready: Scalar
    period: int


_Way = tuple[int, Scalar]
"""A tensor, and 1 where it is the one that is there, else 0."""


class _Made(NamedTuple):
    """A tensor that several may share, its size, and how present it is."""

    number: int
    size: Scalar
    presence: Scalar


class Builder:
    """Collects tensors and operators."""

    def __init__(self, whole: Program) -> None:
        self.whole = whole
        self.tensors: list[Tensor] = []
        self.origins: list[Origin] = []
        self._operators: dict[int, list[Placed]] = {}
        self._gates: dict[int, list[Placed]] = {}
        self._known: dict[tuple[object, ...], int] = {}
        self._ways: dict[int, list[_Way]] = {}
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
        return self._once(("constant", of, *_hashable(shape)), lambda: self._add(self._constant(of, shape), Origin(of)))

    def _constant(self, of: int, shape: Shape) -> Tensor:
        return replace(self.whole.tensors[of], shape=shape)

    def setting(self, values: Sequence[Scalar], shape: Shape | None = None) -> int:
        """A constant of int32."""
        shape = shape or (len(values),)
        tensor = Tensor(shape, "int32", constant=True, content=tuple(values))
        numbers = tuple(int(value) if is_number(value) else -1 for value in values)
        key = ("setting", *_hashable(tuple(values)), *shape)
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

    def one_of(self, ways: Sequence[_Way]) -> int:
        """What stands for one of several tensors of one shape; those that are never there are left out."""
        found = [
            (number, product((presence, inner)))
            for way, presence in ways
            for number, inner in self._ways.get(way, [(way, 1)])
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

    def is_one(self, number: int) -> bool:
        """Whether a tensor is one, and does not stand for several."""
        return number not in self._ways

    def _shared(self, key: tuple[object, ...], size: Scalar, make: Callable[[], int]) -> int:
        """What is made once for all that ask for it in the same size; in a search, where sizes turn out to be equal."""
        known = self._made.setdefault(key, [])
        ways: list[_Way] = []
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
        return self.one_of([*ways, (made, rest)])

    # -- operators ----------------------------------------------------------------------------------------------------

    def put(self, operator: Operator, period: int, *, is_gate: bool = False) -> int:
        """An operator that runs every so many steps; the number of the tensor that it makes."""
        listed = (self._gates if is_gate else self._operators).setdefault(period, [])
        distinct = list(dict.fromkeys(operator.inputs))
        for ways in combinations(*(self._ways.get(number, [(number, 1)]) for number in distinct)):
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
        if _hashable(self.tensors[number].shape) == _hashable(shape):
            return number
        return self.make("RESHAPE", (number, self.setting(shape)), of, shape, period)

    def oldest(self, number: int, of: int, period: int) -> int:
        """The first element along time of a map."""
        shape = self.tensors[number].shape
        first = (shape[0], 1, *shape[2:])
        begin, size = self.setting([0] * len(shape)), self.setting(first)
        return self.make("SLICE", (number, begin, size), of, first, period)

    # -- state --------------------------------------------------------------------------------------------------------

    def buffer(self, number: int, of: int, slots: Scalar, period: int, reads: int) -> int:
        """The newest elements of a stream that comes every `period` steps, for what runs every `reads` steps."""
        ways: list[_Way] = []
        for one, presence in self._ways.get(number, [(number, 1)]):
            with self.when(presence):
                keep = partial(self._buffer, one, of, slots, period, reads)
                ways.append((self._shared((BUFFER, one, reads), slots, keep), presence))
        return self.one_of(ways)

    def _buffer(self, number: int, of: int, slots: Scalar, period: int, reads: int) -> int:
        one = self.tensors[number]
        if one.dtype != "int8":
            raise CannotStream(f"keeps numbers of type {one.dtype}, and CIRCULAR_BUFFER takes int8 alone")
        map_of_one = one.shape if len(one.shape) == 4 else (1, 1, 1, one.shape[-1])
        number = self.reshaped(number, of, map_of_one, period)
        made = self.tensor(of, (1, slots, *map_of_one[2:]), variable=True)
        return self.put(Operator(BUFFER, (number,), (made,), layer=self._layer), period, is_gate=reads != period)

    def taken(
        self,
        stream: Stream,
        span: Scalar,
        stride: int = 1,
        before: Scalar = 0,
        ahead: Scalar | None = None,
        behind: Scalar = 0,
    ) -> Taken:
        """The elements that a window of taps reads.

        Args:
            stream: what it reads.
            span: elements from its first tap to its last one.
            stride: of its positions.
            before: zeros in front of element 0.
            ahead: the element that the first position reads last; None: that follows from the others.
            behind: so many elements before element 0 it does, instead.
        """
        period = stream.period * stride
        further = span - 1 - before if ahead is None else ahead - behind
        least = stream.ready + further * stream.period
        ready, late = least, 0
        is_newest = stride == 1 and not stream.zeros and is_zero(behind)
        if not is_newest:
            ready = aligned(larger(least, period - 1), period)
            late = floor_div(ready - least, stream.period)
        source = self._masked(stream, 1 if stream.zeros else is_positive(before))
        slots = span if is_zero(late) else span + late
        has_several = is_positive(slots - 1)
        number = source
        if not is_zero(has_several):
            with self.when(has_several):
                kept = self.buffer(source, stream.of, slots, stream.period, period)
            number = self.one_of([(kept, has_several), (source, 1 - has_several)])
        return Taken(number, slots, late, ready, period)

    def newest(self, stream: Stream, stride: int) -> Taken:
        """Every so many elements of a stream; of a tensor with one slot."""
        taken = self.taken(stream, 1, stride)
        has_several = is_positive(taken.slots - 1)
        if is_zero(has_several):
            return taken
        with self.when(has_several):
            first = self.oldest(taken.number, stream.of, taken.period)
        number = self.one_of([(first, has_several), (taken.number, 1 - has_several)])
        return replace(taken, number=number, slots=1, late=0)

    def delayed(self, stream: Stream, steps: Scalar) -> Stream:
        """A stream whose elements are there so many steps later; its zeros come, too."""
        source = self._masked(stream) if stream.zeros else stream.number
        more = floor_div(steps, stream.period)
        is_later = is_positive(more)
        ready, foreign = stream.ready, 0 if stream.zeros else stream.foreign
        if not is_zero(is_later):
            ready = ready + steps
            foreign = product((is_positive(foreign), foreign + more))
            shape = self.tensors[stream.number].shape
            with self.when(is_later):
                kept = self.buffer(source, stream.of, 1 + more, stream.period, stream.period)
                late = self.reshaped(self.oldest(kept, stream.of, stream.period), stream.of, shape, stream.period)
            source = self.one_of([(late, is_later), (source, 1 - is_later)])
        return replace(stream, number=source, ready=ready, zeros=0, foreign=foreign)

    def here(self, stream: Stream) -> Stream:
        """A stream whose zeros come, too, as what has no taps needs them."""
        if not stream.zeros:
            return stream
        return self.delayed(stream, larger(stream.period - 1 - stream.ready, 0))

    def window(self, stream: Stream, complete: Scalar, reads: int) -> Window:
        """All elements of the window that is complete at a step, and every `reads` steps later."""
        late = self.delayed(stream, steps_to(complete, stream.complete))
        count, number = int(stream.length), late.number
        if count > 1 or reads != late.period:
            number = self.buffer(number, late.of, count, late.period, reads)
        shape = placed(stream.shape, stream.axis, count)
        return Window(self.reshaped(number, late.of, shape, reads), stream.of, stream.shape, stream.axis)

    def _masked(self, stream: Stream, seen: Scalar = 1) -> int:
        """A stream that is zero before its first element that is none of its zeros, if those are seen."""
        presence = product((is_positive(stream.foreign), seen))
        if is_zero(presence):
            return stream.number
        with self.when(presence):
            masked = self._shared(("masked", stream.number), stream.foreign, partial(self._mask, stream))
        return self.one_of([(masked, presence), (stream.number, 1 - presence)])

    def _mask(self, stream: Stream) -> int:
        number = self._limited("MINIMUM", stream.number, stream, HIGHEST, stream.foreign)
        if self.whole.tensors[stream.of].lowest:
            return number
        return self._limited("MAXIMUM", number, stream, LOWEST, stream.foreign)

    def _limited(self, name: str, number: int, stream: Stream, limit: int, count: Scalar) -> int:
        """At most, or at least, as much as the zero point at the first `count` elements, and any number afterwards."""
        period = stream.period
        kept = self.buffer(self.level(limit, stream.of), stream.of, count + 1, period, period)
        gate = self.oldest(kept, stream.of, period)
        return self.make(name, (number, gate), stream.of, self.tensors[number].shape, period)

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


def _hashable(values: Sequence[Scalar]) -> tuple[object, ...]:
    """Sizes to compare: of those that are still searched, whether they are the same tensor."""
    return tuple(value if is_number(value) else ("soft", id(value)) for value in values)


def _is_equal(one: Scalar, two: Scalar) -> Scalar:
    """1, or 0 if they are not."""
    if one is two:
        return 1
    return int(one == two) if is_number(one) and is_number(two) else choose(one == two, 1, 0)
