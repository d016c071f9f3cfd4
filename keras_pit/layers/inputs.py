"""Inputs that are searched: which axes of a sensor, features or colours a model needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import keras
from keras import layers

from ..costs import geometry
from .layer import PITLayer
from .reader import Reader


@keras.saving.register_keras_serializable(package="keras_pit")
class PITInput(PITLayer, layers.InputLayer):
    """An input layer whose channels, along the last axis, are searched; `convert(search=(..., "inputs"))` puts it in.

    What is switched off is not read by the layers that follow. The exported model takes only what is read.
    """

    stock = layers.InputLayer
    searches: ClassVar[tuple[str, ...]] = ("inputs",)

    def own(self, sizes: Sequence[int], block: int) -> None:
        # Sensors have few axes: each may go alone. An input layer is built when it is made.
        super().own(sizes, block=1)
        if self.blocks is not None:
            self.alpha = self._mask_variable("alpha", len(self.blocks.group_of))

    def stages(self, reader: Reader | None = None) -> tuple[geometry.Geometry, ...]:
        return ()
