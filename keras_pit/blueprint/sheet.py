"""The operators and tensors that are written down so far, by number; constants that are equal are written once.

Of what masks decide, several versions stand side by side, each with its presence, which is 0 or 1:

    PAD a, PAD b                 b is not present where a makes the same; then what reads b is written for both
    DEPTHWISE_CONV_2D c          not present where all that read it fold it; then they read what it reads
    ADD d                        not present where its branch is off; then what reads d reads the shortcut
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product as every
from typing import Any

import numpy as np
from keras import ops

from ..costs.operators import Operator, Tensor
from ..costs.sizes import Scalar, is_number, product
from ..graph.needs import ALWAYS, Need
from ..lowering import Node

Choice = tuple[int, Scalar]
"""A tensor that an operator may read, and its presence."""


@dataclass(frozen=True, eq=False)
class Padded:
    """What a PAD in front of a convolution makes."""

    number: int
    code: Scalar
    """Which zeros it adds."""
    possible: frozenset[int]
    presence: Scalar


@dataclass(frozen=True, eq=False)
class Fold:
    """An affine that some states fold."""

    source: int
    """What it reads, and its readers do where it is folded."""
    takers: tuple[Node, ...]
    is_folded: Scalar


class Sheet:
    """Operators and tensors.

    Args:
        is_searched: whether what is written depends on masks.
    """

    def __init__(self, *, is_searched: bool) -> None:
        self.is_searched = is_searched
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []
        self.shared: dict[Any, int] = {}
        self.settings: dict[Any, int] = {}
        self.folds: dict[int, Fold] = {}
        self.codes: dict[Any, int] = {}
        self.pads: dict[int, list[Padded]] = {}
        self.choices: dict[int, list[Choice]] = {}
        self.need: Need = ALWAYS
        """When what is being written is needed."""
        self.there: Scalar = 1
        """1 where that is so, 0 where not."""

    def tensor(
        self,
        shape: Sequence[Scalar],
        dtype: str = "int8",
        *,
        constant: bool = False,
        channels: Scalar = 1,
        centred: bool = False,
        content: tuple[Scalar, ...] = (),
    ) -> int:
        """A new tensor; its number."""
        scales = channels if dtype == "int8" else 0
        self.tensors.append(Tensor(tuple(shape), dtype, constant, scales, centred=centred, content=content))
        return len(self.tensors) - 1

    def setting(self, value: np.ndarray, content: tuple[Scalar, ...] | None = None) -> int:
        """A constant that is no weight; equal ones are one.

        Args:
            value: what it holds if nothing is searched.
            content: what the masks leave of it; () if that is not followed.
        """
        content = self.content(value) if content is None else content
        key = (value.shape, content) if content and all(map(is_number, content)) else len(self.tensors)
        if key not in self.settings:
            known = content if self.is_searched else ()
            self.settings[key] = self.tensor(value.shape, "int32", constant=True, content=known)
        return self.settings[key]

    def content(self, value: np.ndarray) -> tuple[Scalar, ...]:
        """Numbers that tell a constant from others of its shape: of a PAD's zeros, one for all (see `pads_of`)."""
        if value.shape == (4, 2) and not value[[0, 3]].any():
            return (self.code(tuple((int(before), int(after)) for before, after in value[1:3])),)
        return tuple(int(number) for number in value.flat)

    def code(self, pads: Any) -> int:
        """A number for these zeros."""
        return self.codes.setdefault(pads, len(self.codes))

    def once(self, key: Any, constants: list[int]) -> list[int]:
        """Weights and bias of an operator that several nodes may have: the same weights, but each its bias."""
        return [self.shared.setdefault(key, constants[0]), *constants[1:]]

    def weights(
        self, shape: Sequence[Scalar], bias: np.ndarray, made: Scalar | None = None, *, must: bool = True
    ) -> list[int]:
        """Weights and bias; some operators do without one (`must`) if it is zeros, but a search may train one."""
        made = shape[0] if made is None else made
        kernel = self.tensor(shape, constant=True, channels=made)
        if not must and not bias.any() and not self.is_searched:
            return [kernel]
        return [kernel, self.tensor((made,), "int32", constant=True, channels=made)]

    def put(
        self, name: str, inputs: Sequence[int], shape: Sequence[Scalar], dtype: str = "int8", **options: Any
    ) -> int:
        """A new operator; the number of the tensor that it makes."""
        centred = name == "TANH" or (name == "RESHAPE" and self.tensors[inputs[0]].centred)
        number = self.tensor(shape, dtype, centred=centred)
        self.add(Operator(name, tuple(inputs), (number,), **options))
        return number

    def add(self, operator: Operator, taker: Node | None = None, *, sees_zeros: bool = False) -> None:
        """An operator, in several versions if what it reads is there in some states only.

        Args:
            operator: what to add.
            taker: the searched convolution that it is a form of.
            sees_zeros: whether that form adds zeros, so that it takes no affine.
        """
        distinct = list(dict.fromkeys(operator.inputs))
        choices = [self.read(distinct[0], taker, sees_zeros), *map(self.ways, distinct[1:])]
        for version, some in enumerate(every(*choices)):
            chosen = dict(zip(distinct, (number for number, _ in some), strict=True))
            if version:
                chosen |= {number: self.copy(number) for number in distinct if self.tensors[number].constant}
            there = product((operator.presence, *(presence for _, presence in some), self.there))
            inputs = tuple(chosen[number] for number in operator.inputs)
            self.operators.append(replace(operator, inputs=inputs, presence=there))

    def read(self, source: int, taker: Node | None, sees_zeros: bool) -> list[Choice]:
        """What an operator reads first."""
        fold = self.folds.get(source)
        if fold is None:
            return self.ways(source)
        folded = [(number, product((fold.is_folded, presence))) for number, presence in self.ways(fold.source)]
        unfolded = (source, 1 - fold.is_folded)
        if sees_zeros:
            return [unfolded]
        return folded if fold.takers == (taker,) else [*folded, unfolded]

    def ways(self, number: int) -> list[Choice]:
        """What is read in place of a tensor."""
        return self.choices.get(number, [(number, 1)])

    def copy(self, number: int) -> int:
        """Another tensor like this one; its number."""
        self.tensors.append(self.tensors[number])
        return len(self.tensors) - 1

    def fuse(self, activation: str, made: int) -> None:
        for place, operator in enumerate(self.operators):
            if made in operator.outputs:
                self.operators[place] = replace(operator, activation=activation)

    def share(self, new: Padded, source: int) -> Scalar:
        """Where an earlier PAD of the same source adds the same zeros, that one is read; how present the new one is."""
        earlier = self.pads.setdefault(source, [])
        choices: list[Choice] = []
        left: Scalar = 1
        for other in earlier:
            if new.possible & other.possible:
                same = left * other.presence * _equal(new.code, other.code)
                choices.append((other.number, same))
                left = left - same
        earlier.append(new)
        if choices:
            self.choices[new.number] = [*choices, (new.number, left)]
        return left


def _equal(one: Scalar, two: Scalar) -> Scalar:
    return int(one == two) if is_number(one) and is_number(two) else ops.cast(ops.equal(one, two), "float32")
