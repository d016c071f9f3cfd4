"""State of a streaming network: what it keeps of the newest steps, and how what reads it finds its own.

State is kept by TFLite-Micro's CIRCULAR_BUFFER: one operator, which moves its slots on in place and appends the newest
one. It takes some 170 instructions and 0.75 a byte on a Cortex-M4, and no memory but its slots. With states as further
inputs and outputs a step would copy them twice and the application once more; variables with handles
(READ_VARIABLE, ASSIGN_VARIABLE) need two operators and a copy of the whole state for each layer.

A reset fills it with the zero point: what a causal layer sees before the first step is exactly its zero padding. With
`cycles`, it ends the run in all but every so many steps: so strides in time are made.

What comes before element 0 of a stream is held at zero where a later layer sees padding there: by MINIMUM (and MAXIMUM,
unless zero is the smallest number) with a tensor that a CIRCULAR_BUFFER of constants lets through some steps later.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from ..costs.operators import Operator
from ..costs.sizes import Scalar, floor_div, is_one, is_zero, larger, product
from .record import BUFFER, HIGHEST, Record, Way
from .values import CannotStream, Stream, Window, aligned, is_positive, placed, steps_to

LOWEST = -128


@dataclass(frozen=True)
class Taken:
    """What a window of taps reads: a tensor with so many slots along time, of which the taps span the oldest."""

    number: int
    slots: Scalar
    late: Scalar
    """The newest slots, which the taps do not reach."""
    ready: Scalar
    period: int


class Builder(Record):
    """Writes down operators and the state between them."""

    def buffer(self, number: int, of: int, slots: Scalar, period: int, reads: int) -> int:
        """The newest elements of a stream that comes every `period` steps, for what runs every `reads` steps."""
        ways: list[Way] = []
        for one, presence in self.ways(number):
            with self.when(presence):
                keep = partial(self._buffer, one, of, slots, period, reads)
                ways.append((self.shared((BUFFER, one, reads), slots, keep), presence))
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
            masked = self.shared(("masked", stream.number), stream.foreign, partial(self._mask, stream))
        return self.one_of([(masked, presence), (stream.number, 1 - presence)])

    def _mask(self, stream: Stream) -> int:
        number = self._limited("MINIMUM", stream.number, stream, HIGHEST, stream.foreign)
        is_lowest = self.whole.tensors[stream.of].lowest
        if is_one(is_lowest):
            return number
        with self.when(1 - is_lowest):
            limited = self._limited("MAXIMUM", number, stream, LOWEST, stream.foreign)
        return self.one_of([(limited, 1 - is_lowest), (number, is_lowest)])

    def _limited(self, name: str, number: int, stream: Stream, limit: int, count: Scalar) -> int:
        """At most, or at least, as much as the zero point at the first `count` elements, and any number afterwards."""
        period = stream.period
        kept = self.buffer(self.level(limit, stream.of), stream.of, count + 1, period, period)
        gate = self.oldest(kept, stream.of, period)
        return self.make(name, (number, gate), stream.of, self.tensors[number].shape, period)
