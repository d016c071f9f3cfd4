"""In which order the operators of a network run: the one for which the arena is smallest.

Where a network branches, what runs first decides what has to wait in memory. Here, the large result of b has to wait
while a runs with its scratch memory, unless a comes first:

    x -> a (much scratch memory, small result) -+
    x -> b (large result) ----------------------+-> add

The order is a function of the network alone, not of how a program lists its operators. So a file, and what is known
before there is one, have the same. The search starts with the order in which results are asked for, from the outputs
on, and goes by stretches: one ends where all operators so far have to come before all others.

    peak    The orders of a stretch are compared by what is alive at most. If there are more than `TRIALS`, the least
            peak on the way to each set of operators and from it is found by dynamic programming, one operator after
            the other; `WIDTH` sets of one size are followed at most.
    head    The planner may need more than the peak. Of what is listed, and of `TIED` orders with the least peaks, the
            first one for which it does not is taken. Only if there is none, it is asked about others: about all of
            them if there are no more than `TRIALS`, else about the best ones of each stretch.

So it is the best order of all for networks with few branches, and a good one for others. A chain costs nothing. A PAD
runs right before what reads it: nothing is gained by having the larger tensor any longer. Orders with the same peak
are compared as they are listed, paddings aside: these come and go while a network is searched (see `undecided`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import nsmallest
from itertools import pairwise, product

from . import cores
from .alive import buffers
from .listing import in_order, written
from .planner import ALIGNMENT, plan
from .program import Order, Program, Stretch
from .sizes import round_up

__all__ = ["arranged", "choices", "in_order", "order", "written"]

WIDTH = 500
"""Sets of operators that are followed at a time."""
TRIALS = 300
"""Orders that the planner is asked about."""
TIED = 5
"""Of those with the least peaks, these are tried first."""


def arranged(program: Program, *, fast: bool = False) -> Program:
    """A network with its operators in the order that needs the least arena.

    Args:
        program: the network; sizes are numbers.
        fast: as for `order`.

    Returns:
        The same network; tensors are numbered as they come, inputs first.

    Example:
        >>> arena(arranged(program)).head <= arena(program).head
        True
    """
    return in_order(program, order(program, fast=fast))


def order(program: Program, *, fast: bool = False) -> Order:
    """The order that needs the least arena.

    Args:
        program: the network; sizes are numbers.
        fast: look at a few of what is looked at else: a good order, in a second whatever the network is.

    Returns:
        The places of its operators, first to last.
    """
    places = tuple(written(program))
    return tuple(places[place] for place in _Search(in_order(program, places), 25 if fast else 1).best())


def choices(program: Program) -> list[Stretch]:
    """Each stretch with a choice, and its orders: all of them, or up to `TRIALS` at random and as many good ones.

    Args:
        program: the network, with its operators in an order in which they can run; sizes are numbers.
    """
    search = _Search(program)
    state, found = search.begin, []
    for length in search.stretches():
        listed = tuple(range(state.count, state.count + length))
        begin = replace(state, way=())
        states, is_whole = search.some_ways(begin, length)
        best = [] if is_whole else search.ways(begin, length)
        orders = dict.fromkeys([listed, *sorted({*best, *(one.way for one in states)}, key=search.turns)])
        if len(orders) > 1:
            found.append(Stretch(tuple((order,) for order in orders), is_whole))
        for place in listed:
            state = search.then(state, place)
    return found


@dataclass(frozen=True)
class _State:
    """What has run, as bits; which operators can be next, as bits, too; and bytes."""

    done: int
    ready: int
    alive: int
    peak: int
    """The most on the way here."""
    way: Order = ()
    """What has run since the stretch began."""
    due: int = 0
    """Those of which one must be next, if there are any: readers of a PAD that has just run."""

    @property
    def count(self) -> int:
        """How many have run."""
        return self.done.bit_count()

    def choices(self) -> Iterator[int]:
        """What can be next, in the order in which it is written."""
        ready = self.ready & self.due if self.due else self.ready
        while ready:
            yield (ready & -ready).bit_length() - 1
            ready &= ready - 1


class _Search:
    """Looks for the best order of a network whose operators are listed as `written` has them."""

    def __init__(self, program: Program, less: int = 1) -> None:
        operators = program.operators
        self.width, self.trials = WIDTH // less, TRIALS // less
        self.program, self.count = program, len(operators)
        makers = {number: place for place, op in enumerate(operators) for number in op.outputs}
        sizes = {n: int(round_up(program.tensors[n].bytes, ALIGNMENT)) for n in (*program.inputs, *makers)}
        self.before = [sum({1 << makers[n] for n in op.inputs if n in makers}) for op in operators]
        self.after: list[set[int]] = [set() for _ in operators]
        # What an output of the network waits for never comes.
        readers = {n: 1 << self.count if n in program.outputs else 0 for n in sizes}
        for place, op in enumerate(operators):
            for number in filter(sizes.__contains__, op.inputs):
                readers[number] |= 1 << place
                if number in makers:
                    self.after[makers[number]].add(place)
        self.follow = [self._follow(place) for place in range(self.count)]
        self.makes = [sum(sizes[number] for number in op.outputs) for op in operators]
        self.ends = [
            [(readers[n], sizes[n]) for n in dict.fromkeys((*op.inputs, *op.outputs)) if n in sizes] for op in operators
        ]
        self.scratch = [0] * self.count
        for buffer in buffers(program, cores.ORDERING):
            if buffer.tensor is None:
                self.scratch[buffer.first - 1] += int(buffer.size)
        inputs = sum(sizes[number] for number in program.inputs)
        ready = sum(1 << place for place, others in enumerate(self.before) if not others)
        self.begin = _State(0, ready, inputs, inputs)

    def best(self) -> Order:
        """The best order that is found."""
        begins, ranked, wide = [], [], []
        state = self.begin
        for length in self.stretches():
            begins.append(replace(state, way=(), peak=0))
            states, is_whole = self.some_ways(begins[-1], length)
            ranked.append(sorted(states, key=lambda one: (one.peak, self.turns(one.way))))
            wide.append([] if is_whole else self.ways(begins[-1], length))
            for place in ranked[-1][0].way:
                state = self.then(state, place)
        if all(len(some) == 1 for some in ranked):
            return _joined(some[0].way for some in ranked)
        orders = [more or [one.way for one in some] for more, some in zip(wide, ranked, strict=True)]
        trials = _Trials(self, self.peak(_joined(some[0] for some in orders)))
        trials.take([tuple(sorted(some[0].way)) for some in ranked])
        tied = [[one.way for one in some if one.peak == some[0].peak] for some in ranked]
        for turn in range(TIED):
            trials.take([some[turn % len(some)] for some in tied])
        trials.take([some[0] for some in orders])
        if math.prod(map(len, orders)) <= self.trials:
            for choice in product(*orders):
                trials.take(choice)
        else:
            for at, some in enumerate(orders):
                for way in some:
                    trials.take([*trials.best[:at], way, *trials.best[at + 1 :]])
        return _joined(trials.best)

    def turns(self, way: Order) -> Order:
        """An order without paddings, to compare it by."""
        return tuple(place for place in way if self.program.operators[place].name != "PAD")

    def peak(self, places: Order) -> int:
        """What is alive at most in an order."""
        state = self.begin
        for place in places:
            state = self.then(state, place)
        return state.peak

    def _follow(self, place: int) -> int:
        """Readers of a PAD of which one has to follow at once: all of them, if they wait for nothing else."""
        readers = self.after[place] if self.program.operators[place].name == "PAD" else set()
        return sum(1 << reader for reader in readers) if all(self.before[r] == 1 << place for r in readers) else 0

    def stretches(self) -> list[int]:
        """How many operators there are in each stretch."""
        behind = [0] * self.count
        for place, others in enumerate(self.before):
            for other in range(place):
                if others >> other & 1:
                    behind[place] |= behind[other] | 1 << other
        ends, common = [], (1 << self.count) - 1
        # What all operators from here on come after.
        for place in reversed(range(self.count)):
            common &= behind[place]
            if common == (1 << place) - 1:
                ends.append(place)
        ends = [*reversed(ends), self.count]
        return [end - start for start, end in pairwise(ends)]

    def ways(self, begin: _State, length: int) -> list[Order]:
        """Orders of a long stretch, by their peak: the best one through each set of operators that is followed."""
        levels = [{begin.done: begin}]
        for _ in range(length):
            new: dict[int, _State] = {}
            for state in levels[-1].values():
                for place in state.choices():
                    then = self.then(state, place)
                    if then.done not in new or then.peak < new[then.done].peak:
                        new[then.done] = then
            kept = nsmallest(self.width, new.values(), key=lambda one: (one.peak, one.alive, one.done))
            levels.append({state.done: state for state in kept})
        # Back from the end: what comes behind each set, and its peak.
        rests: dict[int, tuple[int, Order]] = dict.fromkeys(levels.pop(), (0, ()))
        peaks: dict[Order, int] = {}
        for level in reversed(levels):
            behind = {}
            for state in level.values():
                steps = [(self.then(replace(state, peak=0), place), place) for place in state.choices()]
                rest = [
                    (max(then.peak, rests[then.done][0]), (place, *rests[then.done][1]))
                    for then, place in steps
                    if then.done in rests
                ]
                if rest:
                    behind[state.done] = peak, places = min(rest)
                    peaks.setdefault((*state.way, *places), max(state.peak, peak))
            rests = behind
        return sorted(peaks, key=lambda places: (peaks[places], places))[: self.trials]

    def some_ways(self, begin: _State, length: int) -> tuple[list[_State], bool]:
        """Orders of a stretch, and whether these are all: else some at random, branch by branch, whatever sizes are."""
        found: list[_State] = []
        stack = [begin]
        while stack and len(found) <= self.trials:
            state = stack.pop()
            if len(state.way) == length:
                found.append(state)
            else:
                stack += [self.then(state, place) for place in state.choices()]
        if len(found) <= self.trials:
            return found, True
        rng, some = random.Random(0), {}
        for _ in range(self.trials):
            state = begin
            while len(state.way) < length:
                places = list(state.choices())
                goes_on = [place for place in places if state.way and self.before[place] == 1 << state.way[-1]]
                state = self.then(state, rng.choice(goes_on or places) if len(places) > 1 else places[0])
            some[state.way] = state
        return list(some.values()), False

    def head(self, places: Order) -> int:
        """What the planner makes of an order."""
        return max(placed.end for placed in plan(buffers(in_order(self.program, places), cores.ORDERING)))

    def then(self, state: _State, place: int) -> _State:
        """What is when one more operator has run."""
        done, ready = state.done | 1 << place, state.ready & ~(1 << place)
        for reader in self.after[place]:
            if not self.before[reader] & ~done:
                ready |= 1 << reader
        during = state.alive + self.makes[place]
        alive = during - sum(size for readers, size in self.ends[place] if not readers & ~done)
        peak = max(state.peak, during + self.scratch[place])
        return _State(done, ready, alive, peak, (*state.way, place), self.follow[place])


class _Trials:
    """The best order so far, stretch by stretch, by what the planner makes of it."""

    def __init__(self, search: _Search, peak: int) -> None:
        self.search, self.peak, self.left = search, peak, search.trials
        self.best: list[Order] = []
        self.head = math.inf

    def take(self, ways: Sequence[Order]) -> None:
        """Try an order, unless the best one cannot be beaten, or there were enough."""
        if self.head > self.peak and self.left:
            self.left -= 1
            head = self.search.head(_joined(ways))
            if head < self.head:
                self.best, self.head = list(ways), head


def _joined(ways: Iterable[Order]) -> Order:
    return tuple(place for way in ways for place in way)
