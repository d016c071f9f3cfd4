"""The order of operators: the best one where all can be tried, and the same whoever lists them."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import tensorflow as tf

from keras_pit.costs import cores, schedule
from keras_pit.costs.arena import arena
from keras_pit.costs.listing import by_turns, is_ordered
from keras_pit.costs.operators import Operator, Tensor
from keras_pit.costs.program import Program
from keras_pit.costs.schedule import arranged, choices, in_order, order, written


class Maker:
    """Writes down a random program with branches."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.tensors, self.operators = [], []

    def activation(self, length, channels):
        self.tensors.append(Tensor((1, 1, length, channels), channels=1))
        return len(self.tensors) - 1

    def operator(self, x):
        _, _, length, channels = self.tensors[x].shape
        if self.rng.random() < 0.6:
            width, taps = int(self.rng.choice([4, 8, 16, 32])), int(self.rng.choice([1, 3, 9]))
            self.tensors.append(Tensor((width, 1, taps, channels), "int8", True, width))
            kernel, y = len(self.tensors) - 1, self.activation(length, width)
            self.operators.append(Operator("CONV_2D", (x, kernel, -1), (y,), padding="same"))
        else:
            y = self.activation(length, channels)
            self.operators.append(Operator("LOGISTIC", (x,), (y,)))
        return y

    def program(self, blocks, width, depth):
        x = inputs = self.activation(int(self.rng.choice([20, 50])), int(self.rng.choice([1, 4])))
        for _ in range(blocks):
            ends = []
            for _ in range(width):
                y = x
                for _ in range(self.rng.integers(0, depth + 1)):
                    y = self.operator(y)
                ends.append(y)
            ends = list(dict.fromkeys(ends))
            joined = self.activation(self.tensors[x].shape[2], sum(self.tensors[end].shape[-1] for end in ends))
            self.operators.append(Operator("CONCATENATION", tuple(ends), (joined,)))
            x = self.operator(joined)
        return Program(tuple(self.operators), tuple(self.tensors), (inputs,), (x,))


def head(program):
    return arena(program, cores.ORDERING).head


def makers(program):
    return {number: place for place, op in enumerate(program.operators) for number in op.outputs}


def can_run(program, places):
    """Whether every operator comes behind those that it reads."""
    made, turn = makers(program), {place: at for at, place in enumerate(places)}
    return all(
        turn[made[number]] < turn[place]
        for place, op in enumerate(program.operators)
        for number in op.inputs
        if number in made
    )


def shuffled(program, rng):
    """The same network as another program would list it."""
    made, left, places = makers(program), set(range(len(program.operators))), []
    while left:
        ready = [p for p in sorted(left) if all(made.get(n) not in left for n in program.operators[p].inputs)]
        places.append(int(rng.choice(ready)))
        left.remove(places[-1])
    return in_order(program, places)


@pytest.mark.parametrize("seed", range(40))
def test_small_networks_get_the_best_order_of_all(seed):
    program = Maker(seed).program(1 + seed % 2, 2 + seed % 2, 2)
    if len(program.operators) > 8:
        program = Maker(seed).program(1, 2, 2)
    orders = [places for places in permutations(range(len(program.operators))) if can_run(program, places)]
    assert head(arranged(program)) == min(head(in_order(program, places)) for places in orders)


@pytest.mark.parametrize("seed", range(10))
def test_the_order_does_not_depend_on_the_list(seed):
    program, rng = Maker(seed).program(3, 3, 3), np.random.default_rng(seed)
    best = arranged(program)
    assert can_run(program, order(program))
    assert arranged(best) == best
    for _ in range(3):
        assert arranged(shuffled(program, rng)) == best


@pytest.mark.parametrize("seed", range(5))
def test_wide_networks_get_a_good_order(seed, monkeypatch):
    """Beyond what can be followed: not above the order as written, and near that of a wide search."""
    program, rng = Maker(seed).program(1, 6, 4), np.random.default_rng(seed)
    wide = head(arranged(program))
    monkeypatch.setattr(schedule, "WIDTH", 20)
    narrow = head(arranged(program))
    others = [head(shuffled(program, rng)) for _ in range(20)]
    assert max(wide, narrow) <= min(others)


def softened(program):
    """The same network, its channels as tensors, listed as it is written, with all orders of its stretches."""
    listed = in_order(program, tuple(written(program)))
    tensors = [
        one if one.constant else replace(one, shape=(*one.shape[:-1], tf.constant(float(one.shape[-1]))))
        for one in listed.tensors
    ]
    return replace(listed, tensors=tuple(tensors), stretches=tuple(choices(listed)))


@pytest.mark.parametrize("seed", range(6))
def test_soft_sizes_find_the_best_order(seed):
    """On the core that orders are chosen for; on others, the estimate is not below."""
    program = Maker(seed).program(1 + seed % 3, 2 + seed % 2, 2)
    soft, best = softened(program), arranged(program)
    assert float(arena(soft, cores.ORDERING).head) == pytest.approx(head(best), rel=1e-6)
    for core in ("cortex-m0+", "cortex-m55"):
        known, file = arena(soft, core), arena(best, core)
        assert float(known.total) >= file.total * (1 - 1e-6)
        assert float(known.needed) >= file.needed * (1 - 1e-6)


def padded():
    """Two convolutions that pad the same tensor, each by itself."""
    x, wider, y, joined = (Tensor((1, 1, size, 4), channels=1) for size in (20, 24, 20, 40))
    kernel = Tensor((4, 1, 5, 4), "int8", True, 4)
    tensors = (x, wider, kernel, y, wider, kernel, y, joined)
    operators = (
        Operator("PAD", (0,), (1,)),
        Operator("PAD", (0,), (4,)),
        Operator("CONV_2D", (1, 2, -1), (3,)),
        Operator("CONV_2D", (4, 5, -1), (6,)),
        Operator("CONCATENATION", (3, 6), (7,)),
    )
    return Program(operators, tensors, (0,), (7,))


def test_a_pad_runs_right_before_its_reader():
    names = ["PAD", "CONV_2D", "PAD", "CONV_2D", "CONCATENATION"]
    assert [op.name for op in arranged(padded()).operators] == names
    listed = in_order(padded(), tuple(written(padded())))
    (stretch,) = choices(listed)
    assert stretch.orders == (((0, 1, 2, 3),), ((2, 3, 0, 1),))


def test_what_is_listed_in_an_order():
    program = padded()
    assert is_ordered(program)
    assert not is_ordered(replace(program, operators=program.operators[::-1]))
    assert not is_ordered(replace(program, operators=program.operators[:1] * 2))
    assert by_turns(program, range(4), {0: 3, 1: 1, 2: 2, 3: 0}) == (1, 3, 0, 2)


def test_a_chain_is_left_alone():
    program = Maker(0).program(0, 1, 0)
    x = program.inputs[0]
    maker = Maker(1)
    maker.tensors, maker.operators = list(program.tensors), []
    for _ in range(200):
        x = maker.operator(x)
    chain = Program(tuple(maker.operators), tuple(maker.tensors), program.inputs, (x,))
    assert order(chain) == tuple(range(200))


def test_what_has_much_scratch_memory_runs_while_little_waits():
    """100 positions of 4 channels; 16 channels beside a convolution with 5 taps and its buffer of 160 bytes."""
    x, small, large, joined = (Tensor((1, 1, 100, size), channels=1) for size in (4, 16, 16, 16))
    one, five = Tensor((16, 1, 1, 4), "int8", True, 16), Tensor((16, 1, 5, 4), "int8", True, 16)
    tensors = (x, one, small, five, large, joined)
    shortcut = Operator("CONV_2D", (0, 1, -1), (2,), padding="same")
    main = Operator("CONV_2D", (0, 3, -1), (4,), padding="same")
    add = Operator("ADD", (2, 4), (5,))
    both = [Program((*ops, add), tensors, (0,), (5,)) for ops in ((shortcut, main), (main, shortcut))]
    assert arranged(both[0]) == arranged(both[1])
    assert head(arranged(both[0])) == min(map(head, both))
