"""One operator of the whole network, as the rules see it: what it reads in the streaming network, and what it makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

from ..costs.call import Call
from ..costs.operators import Operator
from ..costs.sizes import Scalar, larger
from .builder import Builder
from .values import (
    CannotStream,
    Constant,
    Shape,
    Stream,
    Value,
    Window,
    before,
    is_turned,
    placed,
    steps_to,
    turned,
)


@dataclass(frozen=True)
class Site:
    """An operator and the values that it reads: streams (`Body`), or windows and what is made of them (`Head`)."""

    builder: Builder
    call: Call
    values: tuple[Value | None, ...]

    @property
    def op(self) -> Operator:
        """The operator of the whole network."""
        return self.call.op

    @property
    def of(self) -> int:
        """The number of its result in the whole network."""
        return self.op.outputs[0]

    @property
    def shape(self) -> Shape:
        """Of its result, in the whole network."""
        return self.call.result.shape

    @property
    def period(self) -> int:
        """It runs every so many steps."""
        raise NotImplementedError

    def length(self, axis: int | None) -> Scalar:
        """Elements along time of its result, in the streaming network."""
        raise NotImplementedError

    def made(self, number: int, axis: int | None) -> Value:
        """Its result."""
        raise NotImplementedError

    def put(self, operator: Operator, inputs: Sequence[int], axis: int | None) -> Value:
        """An operator in its place, whose result has time along an axis."""
        number = self.builder.result(self.of, placed(self.shape, axis, self.length(axis)))
        self.builder.put(replace(operator, inputs=tuple(inputs), outputs=(number,)), self.period)
        return self.made(number, axis)

    def constant(self, value: Constant, axis: int | None) -> int:
        """A constant that is computed with, where the result has time along an axis."""
        if axis is not None and len(value.shape) == len(self.shape):
            if value.shape[axis] != 1 and not isinstance(self, Head):
                raise CannotStream("computes with a constant for each step of the window: expected one for all of them")
            if is_turned(self.shape, axis):
                return self.builder.constant(value.of, turned(value.shape))
        return self.builder.constant(value.of, value.shape)


@dataclass(frozen=True)
class Body(Site):
    """What runs step by step. Its streams are in step with each other: equal periods and steps."""

    @property
    def streams(self) -> list[Stream]:
        """The streams among its inputs."""
        return [value for value in self.values if isinstance(value, Stream)]

    @property
    def period(self) -> int:
        return self.streams[0].period

    def length(self, axis: int | None) -> int:
        return 1

    def made(self, number: int, axis: int | None) -> Stream:
        if axis is None:
            raise CannotStream("makes something without time of a single step")
        return self.stream(number, axis, self.period, self.streams[0].ready)

    def stream(self, number: int, axis: int, period: int, ready: Scalar) -> Stream:
        """A stream of its result."""
        return Stream(number, self.of, self.shape, axis, period, ready, foreign=before(ready, period))

    def in_step(self) -> Body:
        """The same site with streams that bring element j at the same step."""
        here = [self.builder.here(stream) for stream in self.streams]
        periods = {stream.period for stream in here}
        if len(periods) > 1:
            raise CannotStream(
                f"joins layers that run every {' and every '.join(map(str, sorted(periods)))} steps: expected the same "
                "strides on both ways"
            )
        ready = reduce(larger, {id(stream.ready): stream.ready for stream in here}.values())
        late = iter([self.builder.delayed(stream, steps_to(ready, stream.ready)) for stream in here])
        return replace(self, values=tuple(next(late) if isinstance(one, Stream) else one for one in self.values))


@dataclass(frozen=True)
class Head(Site):
    """What runs on whole windows, every `reads` steps."""

    reads: int = 1

    @property
    def period(self) -> int:
        return self.reads

    def length(self, axis: int | None) -> Scalar:
        return 1 if axis is None else self.shape[axis]

    def made(self, number: int, axis: int | None) -> Window:
        return Window(number, self.of, self.shape, axis)


def in_step(site: Site) -> Site:
    """A site whose streams, if it has any, are in step with each other."""
    return site.in_step() if isinstance(site, Body) else site
