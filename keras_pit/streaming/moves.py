"""Operators that move numbers: reshapes, transposes, slices, padding; and reductions over axes.

Along time they are no operators: zeros in front and slices only say which element comes when (see `values`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..costs.sizes import is_number, product
from .site import Body, Site, in_step
from .values import CannotStream, Constant, Shape, Stream, Value, Window, before, is_turned, placed, turned


def is_row(stream: Stream, shape: Shape) -> bool:
    """Whether a reshape makes a single row of all steps of a window."""
    return _kept_axis(stream, shape) is None and bool(product(shape[:-1]) == 1)


def reshape(site: Site) -> Value:
    """The same numbers in another shape, if time stays an axis of its own, or all becomes one row."""
    (value,) = _moving(site)
    axis = _kept_axis(value, site.shape)
    if isinstance(site, Body) and axis is None:
        raise CannotStream("takes time apart: expected a shape that keeps it as an axis, or a single row")
    shape = placed(site.shape, axis, site.length(axis))
    number = site.builder.reshaped(value.number, site.of, shape, site.period)
    return _as(site, value, number, axis)


def transpose(site: Site) -> Value:
    """Axes in another order."""
    site = in_step(site)
    (value,) = _moving(site)
    order = site.op.permutation
    axis = None if value.axis is None else order.index(value.axis)
    if axis is not None and product(site.shape[:axis]) != 1:
        raise CannotStream("moves time behind other axes, as attention or a softmax over time does")
    moved = [place for place in order if place != value.axis and not _is_one(value.shape[place])]
    if moved == sorted(moved):
        number = site.builder.reshaped(value.number, site.of, placed(site.shape, axis, site.length(axis)), site.period)
        return _as(site, value, number, axis)
    if is_turned(value.shape, value.axis) or is_turned(site.shape, axis):
        raise CannotStream("exchanges axes of a sequence")
    return site.put(site.op, (value.number, site.builder.setting(order)), axis)


def reduction(site: Site) -> Value:
    """Over some axes; along time, of a window."""
    site = in_step(site)
    (value,) = _moving(site)
    axes = sorted(axis % len(value.shape) for axis in site.op.axes)
    kept = len(site.shape) == len(value.shape)
    axis = value.axis
    if axis in axes:
        axis = None
    elif axis is not None and not kept:
        axis -= sum(other < axis for other in axes)
    if is_turned(value.shape, value.axis):
        axes = [3 - each if each in (1, 2) else each for each in axes]
    return site.put(site.op, (value.number, site.builder.setting(axes)), axis)


@dataclass(frozen=True)
class _Part:
    """What a slice takes along each axis: from which position on, how many, and every how many."""

    begin: tuple[int, ...]
    sizes: Shape
    steps: tuple[int, ...]

    @classmethod
    def of(cls, site: Site, value: Stream | Window) -> _Part:
        """The part that an operator takes."""
        begin, sizes = site.op.begin, site.shape
        if len(begin) != len(value.shape) or len(sizes) != len(value.shape):
            raise CannotStream("is a slice that drops axes")
        positive = tuple(at + size if at < 0 else at for at, size in zip(begin, value.shape, strict=True))
        return cls(positive, sizes, site.op.strides or (1,) * len(sizes))

    def along(self, axis: int, size: int) -> _Part:
        """The same part, but all of an axis of this size."""
        return _Part(_at(self.begin, axis, 0), _at(self.sizes, axis, size), _at(self.steps, axis, 1))

    @property
    def turned(self) -> _Part:
        """With rows and columns exchanged."""
        return _Part(turned(self.begin), turned(self.sizes), turned(self.steps))

    @property
    def ends(self) -> list[int]:
        """The position behind the last one along each axis."""
        triples = zip(self.begin, self.sizes, self.steps, strict=True)
        ends = [at + step * (size - 1) + (1 if step > 0 else -1) for at, size, step in triples]
        if min(ends) < 0:
            raise CannotStream("runs backwards to the first element")
        return ends


def sliced(site: Site) -> Value:
    """A part; of time, later elements, or every so many."""
    (value,) = _moving(site)
    if isinstance(value, Window) and not site.op.begin:
        return site.put(site.op, (value.number, *_bounds(site)), value.axis)
    part = _Part.of(site, value)
    if not isinstance(site, Body) or not isinstance(value, Stream):
        return _cut(site, value, part)
    later = _later(site, value, part)
    inside = part.along(value.axis, 1)
    if inside == _Part((0,) * len(inside.begin), _at(value.shape, value.axis, 1), (1,) * len(inside.begin)):
        return later
    made = _cut(replace(site, values=(later, *site.values[1:])), later, inside)
    return replace(later, number=made.number, of=site.of, shape=site.shape) if isinstance(made, Stream) else made


def _later(site: Body, stream: Stream, part: _Part) -> Stream:
    """The elements that a slice takes along time."""
    axis = stream.axis
    begin, size, step = part.begin[axis], int(part.sizes[axis]), part.steps[axis]
    if step < 0:
        raise CannotStream("runs backwards in time")
    later = stream.cropped(begin, _at(stream.shape, axis, (size - 1) * step + 1), stream.of)
    if step > 1:
        taken = site.builder.newest(later, step)
        foreign = before(taken.ready, taken.period)
        later = replace(later, number=taken.number, period=taken.period, ready=taken.ready, zeros=0, foreign=foreign)
    return replace(later, shape=_at(stream.shape, axis, size))


def _cut(site: Site, value: Stream | Window, part: _Part) -> Value:
    """The operator on the other axes of a stream, or on all of a window."""
    part = part.turned if is_turned(value.shape, value.axis) else part
    setting = site.builder.setting
    if site.op.name == "SLICE":
        return site.put(site.op, (value.number, setting(part.begin), setting(part.sizes)), value.axis)
    inputs = (value.number, setting(part.begin), setting(part.ends), setting(part.steps))
    return site.put(replace(site.op, strides=part.steps), inputs, value.axis)


def pad(site: Site) -> Value:
    """Zeros around the other axes; in front of time they are no operator."""
    (value,) = _moving(site)
    amounts = site.op.amounts
    if isinstance(value, Window) and not amounts:
        return site.put(site.op, (value.number, *_bounds(site)), value.axis)
    if not amounts:
        raise CannotStream("pads by amounts that are not in the file")
    if isinstance(value, Window):
        return site.made(_padded(site, value, amounts, site.shape), value.axis)
    front, _ = amounts[value.axis]
    others = _at(amounts, value.axis, (0, 0))
    if not any(map(any, others)):
        return value.padded(front, site.shape, value.of)
    number = _padded(site, value, others, _at(site.shape, value.axis, value.length))
    return replace(value, number=number).padded(front, site.shape, site.of)


def _padded(site: Site, value: Stream | Window, amounts: Sequence[Any], shape: Shape) -> int:
    if is_turned(shape, value.axis):
        amounts = turned(amounts)
    setting = site.builder.setting([int(n) for pair in amounts for n in pair], (len(amounts), 2))
    number = site.builder.tensor(site.of, placed(shape, value.axis, site.length(value.axis)))
    operator = replace(site.op, inputs=(value.number, setting), outputs=(number,), amounts=tuple(amounts))
    return site.builder.put(operator, site.period)


def _bounds(site: Site) -> list[int]:
    """Amounts of a PAD, or bounds of a SLICE, which are searched and have no numbers yet."""
    return [site.builder.constant(one.of, one.shape) for one in site.values[1:] if isinstance(one, Constant)]


def _moving(site: Site) -> list[Stream | Window]:
    value = site.values[0]
    if not isinstance(value, (Stream, Window)):
        raise CannotStream("reads constants alone")
    return [value]


def _kept_axis(value: Stream | Window, shape: Shape) -> int | None:
    """Where time is in another shape of the same numbers, if it is an axis there."""
    if value.axis is None:
        return None
    before, length = product(value.shape[: value.axis]), value.shape[value.axis]
    for axis, size in enumerate(shape):
        if not is_number(size):
            return None
        if size == length and product(shape[:axis]) == before and (length != 1 or axis == value.axis):
            return axis
    return None


def _as(site: Site, value: Stream | Window, number: int, axis: int | None) -> Value:
    """The same elements at the same steps."""
    if isinstance(value, Stream) and axis is not None:
        return replace(value, number=number, of=site.of, shape=site.shape, axis=axis)
    return site.made(number, axis)


def _at(values: Sequence[Any], axis: int, value: Any) -> tuple[Any, ...]:
    """Values along axes, with another one at one of them."""
    return (*values[:axis], value, *values[axis + 1 :])


def _is_one(size: Any) -> bool:
    return is_number(size) and size == 1
