"""Additions whose branches are searched: whole branches and blocks that a shortcut goes round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import layers, ops

from ..costs import geometry
from .layer import PITLayer
from .masks import THRESHOLD
from .reader import Reader


@keras.saving.register_keras_serializable(package="keras_pit")
class PITAdd(PITLayer, layers.Add):
    """An addition that leaves out branches which are off; `convert(search=(..., "branches"))` puts it in.

    What is off adds exactly nothing, whatever its biases. The exported model has neither the branch nor, where a single
    operand is left, the addition.
    """

    stock = layers.Add
    searches: ClassVar[tuple[str, ...]] = ("branches",)
    places: tuple[int, ...] = ()
    """Which operands the entries of `delta` stand for."""

    def own_branches(self, places: Sequence[int]) -> None:
        """Before `build`: make a delta for these operands."""
        self.places = tuple(places)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if self.places:
            self.delta = self._mask_variable("delta", len(self.places))

    def call(self, inputs: Any) -> Any:
        operands = list(inputs)
        if self.delta is not None:
            for place, mask in zip(self.places, Reader.of(self, ()).branches(self), strict=True):
                operands[place] = operands[place] * ops.cast(mask, operands[place].dtype)
        return super().call(operands)

    def kept_branches(self) -> np.ndarray:
        """Which of the branches stay, boolean, by the entries of delta.

        Raises:
            ValueError: if one is not finite.
        """
        return self._values("delta") > THRESHOLD

    def kept_operands(self, count: int) -> list[int]:
        """Which of so many operands are added."""
        gone = {place for place, stays in zip(self.places, self.kept_branches(), strict=True) if not stays}
        return [place for place in range(count) if place not in gone]

    def stages(self, reader: Reader | None = None) -> tuple[geometry.Geometry, ...]:
        return ()
