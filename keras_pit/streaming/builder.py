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
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ..costs.operators import Operator, Tensor
from ..costs.program import Program
from ..costs.sizes import Scalar, choose, is_number
from .values import CannotStream, Origin, Shape, Stream, Window, aligned, placed

BUFFER = "CIRCULAR_BUFFER"
LOWEST, HIGHEST = -128, 127


@dataclass(frozen=True)
class Placed:
    """An operator of the streaming network, and the one of the whole network that it is for, if there is one."""

    operator: Operator
    of: int | None


@dataclass(frozen=True)
class Taken:
    """What a window of taps reads: a tensor with `slots` elements along time, of which the taps span the oldest."""

    number: int
    span: Scalar
    slots: Scalar
    ready: int
    period: int
    newest: int
    """The tensor with the newest element alone: what is read where one slot is all."""

    @property
    def is_open(self) -> bool:
        """Whether there may be one slot or more, as its number is still searched."""
        return not is_number(self.slots) and self.slots is self.span


class Builder:
    """Collects tensors and operators."""

    def __init__(self, whole: Program) -> None:
        self.whole = whole
        self.tensors: list[Tensor] = []
        self.origins: list[Origin] = []
        self._operators: dict[int, list[Placed]] = {}
        self._gates: dict[int, list[Placed]] = {}
        self._known: dict[tuple[object, ...], int] = {}
        self.doing: int | None = None
        """The number of the operator of the whole network that is being written."""

    # -- tensors ------------------------------------------------------------------------------------------------------

    def tensor(self, of: int, shape: Shape, *, variable: bool = False) -> int:
        """A new tensor with the quantization of one of the whole network; its number."""
        whole = self.whole.tensors[of]
        return self._add(replace(whole, shape=shape, variable=variable, constant=False), Origin(of))

    def constant(self, of: int, shape: Shape) -> int:
        """A constant of the whole network in another shape, of the same order."""
        return self._once(("constant", of, *_hashable(shape)), lambda: self._add(self._constant(of, shape), Origin(of)))

    def _constant(self, of: int, shape: Shape) -> Tensor:
        return replace(self.whole.tensors[of], shape=shape)

    def setting(self, values: Sequence[Scalar], shape: Shape | None = None) -> int:
        """A constant of int32."""
        shape = shape or (len(values),)
        tensor = Tensor(shape, "int32", constant=True)
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

    # -- operators ----------------------------------------------------------------------------------------------------

    def put(self, operator: Operator, period: int, *, is_gate: bool = False) -> int:
        """An operator that runs every so many steps; the number of the tensor that it makes."""
        lists = self._gates if is_gate else self._operators
        lists.setdefault(period, []).append(Placed(operator, self.doing))
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
        key = (BUFFER, number, *_hashable((slots,)), reads)
        if key not in self._known:
            one = self.tensors[number]
            if one.dtype != "int8":
                raise CannotStream(f"keeps numbers of type {one.dtype}, and CIRCULAR_BUFFER takes int8 alone")
            map_of_one = one.shape if len(one.shape) == 4 else (1, 1, 1, one.shape[-1])
            number = self.reshaped(number, of, map_of_one, period)
            made = self.tensor(of, (1, slots, *map_of_one[2:]), variable=True)
            there = 1 if is_number(slots) else choose(slots > 1, 1, 0)
            operator = Operator(BUFFER, (number,), (made,), layer=self._layer, presence=there)
            self._known[key] = self.put(operator, period, is_gate=reads != period)
        return self._known[key]

    def taken(
        self, stream: Stream, span: Scalar, stride: int = 1, before: Scalar = 0, ahead: int | None = None
    ) -> Taken:
        """The elements that a window of taps reads.

        Args:
            stream: what it reads.
            span: elements from its first tap to its last one.
            stride: of its positions.
            before: zeros in front of element 0.
            ahead: the element that the first position reads last; None: that follows from the others.
        """
        period = stream.period * stride
        least = stream.ready + (int(span - 1 - before) if ahead is None else ahead) * stream.period
        ready = aligned(max(least, period - 1), period)
        late = (ready - least) // stream.period
        sees_zeros = bool(stream.zeros) or not is_number(before) or before > 0
        newest = self._masked(stream) if sees_zeros else stream.number
        slots = span + late if late else span
        kept = newest
        if not is_number(slots) or slots > 1:
            kept = self.buffer(newest, stream.of, slots, stream.period, period)
        return Taken(kept, span, slots, ready, period, newest)

    def delayed(self, stream: Stream, ready: int) -> Stream:
        """A stream whose element 0 is there at a later step; its zeros come, too."""
        slots = 1 + (ready - stream.ready) // stream.period
        source = self._masked(stream) if stream.zeros else stream.number
        if slots > 1:
            shape = self.tensors[stream.number].shape
            kept = self.buffer(source, stream.of, slots, stream.period, stream.period)
            source = self.reshaped(self.oldest(kept, stream.of, stream.period), stream.of, shape, stream.period)
        return replace(stream, number=source, ready=ready, zeros=0, is_clean=stream.is_clean or stream.zeros > 0)

    def here(self, stream: Stream) -> Stream:
        """A stream whose zeros come, too, as what has no taps needs them."""
        return self.delayed(stream, max(stream.ready, stream.period - 1)) if stream.zeros else stream

    def window(self, stream: Stream, complete: int, reads: int) -> Window:
        """All elements of the window that is complete at a step, and every `reads` steps later."""
        late = self.delayed(stream, stream.ready + complete - stream.complete)
        count, number = int(stream.length), late.number
        if count > 1 or reads != late.period:
            number = self.buffer(number, late.of, count, late.period, reads)
        shape = placed(stream.shape, stream.axis, count)
        return Window(self.reshaped(number, late.of, shape, reads), stream.of, stream.shape, stream.axis)

    def _masked(self, stream: Stream) -> int:
        """A stream that is zero before its first element that is none of its zeros."""
        count = stream.early + stream.zeros
        if stream.is_clean or count <= 0:
            return stream.number
        key = ("masked", stream.number, count)
        if key not in self._known:
            number = self._limited("MINIMUM", stream.number, stream, HIGHEST, count)
            if not self.whole.tensors[stream.of].lowest:
                number = self._limited("MAXIMUM", number, stream, LOWEST, count)
            self._known[key] = number
        return self._known[key]

    def _limited(self, name: str, number: int, stream: Stream, limit: int, count: int) -> int:
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
            last = gates.pop() if gates else self._spare_gate()
            result += [*gates, replace(last, operator=replace(last.operator, cycles=after // period))]
        return result + self._operators.get(periods[-1], [])

    def _spare_gate(self) -> Placed:
        """A buffer of one slot, which only ends the run."""
        of = self.whole.inputs[0]
        operator = Operator(BUFFER, (self.level(HIGHEST, of),), (self.tensor(of, (1, 1, 1, 1), variable=True),))
        return Placed(operator, None)


def _hashable(values: Sequence[Scalar]) -> tuple[object, ...]:
    """Sizes to compare: of those that are still searched, whether they are the same tensor."""
    return tuple(value if is_number(value) else ("soft", id(value)) for value in values)
