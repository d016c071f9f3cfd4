"""The network of a whole window as one of a single step.

First the body: operators that know what they make of the newest steps, one after the other as they come. What needs all
of a window, and all that depends on it, is the head: it waits until all streams that it reads are known, and is then
written down for the step at which the last of them is complete:

    body   Conv1D, Conv1D, ...                       every step, or every so many behind strides
    head   CIRCULAR_BUFFER of a window, pooling, Dense     every `every` of these

A head computes what the whole network computes of these steps: with squeeze-and-excitation in the middle of a network,
all that comes behind it is head.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from ..costs.call import Call
from ..costs.program import Program
from ..costs.sizes import Scalar, either, identity, larger, product, the_one
from . import taps
from .builder import Builder
from .moves import is_row
from .rules import RULES, UNABLE
from .site import Body, Head
from .timing import Timing
from .values import CannotStream, Constant, Origin, Stream, Value, Window, aligned, placed, steps_to


@dataclass(frozen=True)
class Streamed:
    """The network of a step."""

    program: Program
    origins: tuple[Origin, ...]
    """What each of its tensors is made of."""
    sources: tuple[int | None, ...]
    """The number of the operator of the whole network that each of its operators is for."""
    timing: Timing
    outputs: tuple[Stream | Window, ...]
    """The outputs: elements of a sequence, or of the whole window."""
    head: tuple[int, ...]
    """The numbers of the operators of the whole network that run on whole windows."""
    streams: dict[int, Stream]
    """What the head reads, and sequences among the outputs, by their numbers in the whole network."""
    body: dict[int, tuple[int, int]]
    """For each tensor of the whole network that comes step by step: its axis of time, and its period."""


def streamed(program: Program, *, every: int = 1) -> Streamed:
    """The network of one time step.

    Args:
        program: of a whole window, int8; time is the first axis of its inputs that is longer than 1.
        every: how often the head runs: at each decision that is possible, or at every so many of them.

    Raises:
        CannotStream: tells the operator that cannot run step by step, and why.

    Example:
        >>> streamed(program).timing
        Timing(window=128, period=1, first=127, delay=0)
    """
    work = _Work(program)
    for number, call in enumerate(program.calls()):
        work.take(number, call)
    return work.finish(every)


class _Work:
    """The values of all tensors so far."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.builder = Builder(program)
        self.values: dict[int, Value] = {}
        self.versions: dict[int, list[tuple[Value, Scalar]]] = {}
        """For each tensor what the versions of its operator make, with their presences."""
        self.head: list[tuple[int, Call]] = []
        self.waiting: set[int] = set()
        """The tensors that the head makes."""
        for number, tensor in enumerate(program.tensors):
            if tensor.constant:
                self.values[number] = Constant(number, tensor.shape)
        for number in program.inputs:
            self.values[number] = self._input(number)
        self.inputs = tuple(self.values[number].number for number in program.inputs)  # type: ignore[union-attr]
        lengths = {self.values[number].length for number in program.inputs}  # type: ignore[union-attr]
        if len(lengths) != 1:
            raise CannotStream(
                f"has inputs of {' and '.join(map(str, sorted(lengths)))} time steps: expected one length"
            )
        (self.length,) = lengths

    def _input(self, number: int) -> Stream:
        tensor = self.program.tensors[number]
        axis = next((axis for axis, size in enumerate(tensor.shape) if size != 1), 1)
        if len(tensor.shape) < 3 and tensor.dtype == "int8":
            raise CannotStream(
                f"has an input of shape {tensor.shape[1:]} without a time axis: expected (time, channels)"
            )
        if len(tensor.shape) == 4 and axis == 3:
            axis = 2
        shape = placed(tensor.shape, axis, 1)
        return Stream(self.builder.tensor(number, shape), number, tensor.shape, axis, 1, 0)

    def take(self, number: int, call: Call) -> None:
        """Write down an operator, or keep it for the head."""
        self.builder.doing = number
        values = tuple(None if one < 0 else self.values.get(one) for one in call.op.inputs)
        waits = any(one in self.waiting for one in call.op.inputs) or self._needs_window(call, values)
        if any((one in self.versions and waits) or (one in self.waiting and not waits) for one in call.op.outputs):
            raise CannotStream(
                "runs on whole windows while a branch before it is there, and step by step when it has gone: expected "
                "the same in both cases. Leave 'branches' out of what is searched",
                number,
            )
        if waits:
            self.head.append((number, call))
            self.waiting.update(call.op.outputs)
            return
        self._apply(number, Body(self.builder, call, values))

    def _needs_window(self, call: Call, values: Sequence[Value | None]) -> bool:
        stream = next((value for value in values if isinstance(value, Stream)), None)
        if stream is None:
            return False
        name = call.op.name
        if name in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
            return taps.is_global(call.op, stream, call.result.shape)
        if name in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"):
            return stream.axis in [axis % len(stream.shape) for axis in call.op.axes]
        if name in ("RESHAPE", "SQUEEZE", "EXPAND_DIMS"):
            return is_row(stream, call.result.shape)
        return name == "FULLY_CONNECTED"

    def _apply(self, number: int, site: Body | Head) -> None:
        self.builder.doing = number
        name, presence = site.op.name, site.op.presence
        alone = replace(site, call=replace(site.call, op=replace(site.op, presence=1)))
        try:
            if name not in RULES or len(site.op.outputs) != 1:
                raise CannotStream(UNABLE.get(name, f"is {name}, of which no form for a single step is known"))
            with self.builder.when(presence):
                self.versions.setdefault(site.of, []).append((RULES[name](alone), presence))
            self.values[site.of] = _one_of(self.versions[site.of])
        except CannotStream as error:
            raise CannotStream(error.reason, number if error.number is None else error.number) from None

    def finish(self, every: int) -> Streamed:
        """The head, and what the whole makes."""
        outputs = self.program.outputs
        readers: dict[int, list[Scalar]] = {}
        for _, call in self.head:
            for one in call.op.inputs:
                readers.setdefault(one, []).append(call.op.presence)
        for one in outputs:
            readers.setdefault(one, []).append(1)
        found = {one: self.values.get(one) for one in readers}
        streams = {one: value for one, value in found.items() if isinstance(value, Stream)}
        read = {one: either(readers[one]) for one in streams}
        if every > 1 and not self.head:
            raise CannotStream(
                "has no layer that needs a whole window, and decides at each step: leave out decide_every"
            )
        slowest = max((stream.period for stream in streams.values()), default=1)
        complete = _together([(stream, read[one]) for one, stream in streams.items()], slowest)
        period = slowest * (every if self.head else 1)
        self._write_head(complete, period, read)
        results: list[Stream | Window] = []
        for number in outputs:
            value = self.values[number]
            if isinstance(value, Stream):
                value = self._output(value, complete, period)
                if not self.builder.is_one(value.number):
                    raise CannotStream(
                        "has several sequences as outputs, and how long one waits for another is searched: expected "
                        "kernels that do not look ahead"
                    )
            if isinstance(value, Constant):
                raise CannotStream("has an output that is a constant")
            results.append(value)
        written = self.builder.ordered()
        program = Program(
            tuple(one.operator for one in written),
            tuple(self.builder.tensors),
            self.inputs,
            tuple(result.number for result in results),
        )
        program, origins = _compact(program, self.builder.origins)
        ready = [result.ready for result in results if isinstance(result, Stream)]
        first = complete if self.head else reduce(larger, ready)
        timing = Timing(int(self.length), period, first, complete - int(self.length) + 1)
        sources, head = tuple(one.of for one in written), tuple(number for number, _ in self.head)
        body = {one: (v.axis, v.period) for one, v in self.values.items() if isinstance(v, Stream)}
        return Streamed(program, origins, sources, timing, tuple(results), head, streams, body)

    def _write_head(self, complete: Scalar, period: int, read: Mapping[int, Scalar]) -> None:
        """What runs on whole windows.

        Args:
            complete: the step at which they are.
            period: it runs every so many steps.
            read: for each stream that it reads, 1, or 0 where what does has gone with a branch.
        """
        windows: dict[int, Window] = {}
        for number, call in self.head:
            self.builder.doing = number
            values = []
            for one in call.op.inputs:
                value = None if one < 0 else self.values[one]
                if isinstance(value, Stream):
                    if one not in windows:
                        with self.builder.when(read[one]):
                            windows[one] = self.builder.window(value, complete, period)
                    value = windows[one]
                values.append(value)
            self._apply(number, Head(self.builder, call, tuple(values), period))

    def _output(self, stream: Stream, complete: Scalar, period: int) -> Stream:
        """A sequence among the outputs: its element that is the last one of the window that is decided about."""
        if stream.period != period:
            raise CannotStream(
                f"makes an output every {stream.period} steps beside another one every {period}: expected the same rate"
            )
        return self.builder.delayed(stream, steps_to(complete, stream.complete))


def _one_of(versions: Sequence[tuple[Value, Scalar]]) -> Value:
    """What an operator makes, of which one of several versions is there: behind a branch that may be off."""
    made, _ = versions[-1]
    if not isinstance(made, Stream):
        return made
    streams = [(stream, presence) for stream, presence in versions if isinstance(stream, Stream)]
    if any(stream.zeros != made.zeros for stream, _ in streams):
        raise CannotStream("reads padding in front of a branch or behind it: expected a layer between them")
    ready = the_one([(stream.ready, presence) for stream, presence in streams])
    return replace(made, ready=ready, foreign=the_one([(stream.foreign, presence) for stream, presence in streams]))


def _together(streams: Sequence[tuple[Stream, Scalar]], slowest: int) -> Scalar:
    """The first step at which windows of all streams that are there are complete, and operators of the slowest run."""
    ends: dict[Hashable, tuple[Scalar, list[Scalar]]] = {}
    for stream, presence in streams:
        ends.setdefault(identity(stream.complete), (stream.complete, []))[1].append(presence)
    if not ends:
        return 0
    (end, _), *others = ends.values()
    if others:
        end = reduce(larger, (product((one, either(presences))) for one, presences in ends.values()))
    return end if all(stream.period == slowest for stream, _ in streams) else aligned(end, slowest)


def _compact(program: Program, origins: Sequence[Origin]) -> tuple[Program, tuple[Origin, ...]]:
    """A program without tensors that nothing uses, and where those that stay are from."""
    read = (number for op in program.operators for number in (*op.inputs, *op.outputs) if number >= 0)
    used = sorted({*program.inputs, *program.outputs, *read})
    places = {-1: -1} | {number: place for place, number in enumerate(used)}

    def renumbered(numbers: Sequence[int]) -> tuple[int, ...]:
        return tuple(places[number] for number in numbers)

    operators = tuple(
        replace(op, inputs=renumbered(op.inputs), outputs=renumbered(op.outputs)) for op in program.operators
    )
    tensors = tuple(program.tensors[number] for number in used)
    compact = Program(operators, tensors, renumbered(program.inputs), renumbered(program.outputs))
    return compact, tuple(origins[number] for number in used)
