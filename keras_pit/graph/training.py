"""Layers that act in training only: noise and augmentation. In inference they hand on what they get.

A microcontroller does nothing for them. In a search they go on acting, so how channels pass matters as for any layer:

    ELEMENTWISE   each element by itself: dropout, noise
    BY_CHANNEL    within each channel, all alike or each on its own: flips, rotations, brightness
    COLOURS       hue, saturation and what contains them: red, green and blue are mixed
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from .kinds import kind_of


def _known(*names: str) -> tuple[Any, ...]:
    """The layers of these names that this version of Keras has."""
    return tuple(getattr(layers, name) for name in names if hasattr(layers, name))


ELEMENTWISE = _known("ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise")
BY_CHANNEL = _known(
    "CutMix", "MixUp", "RandomBrightness", "RandomContrast", "RandomCrop", "RandomElasticTransform", "RandomErasing",
    "RandomFlip", "RandomGaussianBlur", "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation",
    "RandomSharpness", "RandomShear", "RandomTranslation", "RandomZoom", "Solarization", "SpatialDropout1D",
    "SpatialDropout2D", "SpatialDropout3D",
)  # fmt: skip
COLOURS = _known(
    "AugMix", "RandAugment", "RandomColorDegeneration", "RandomColorJitter", "RandomGrayscale", "RandomHue",
    "RandomSaturation",
)  # fmt: skip


def acts_in_training_only(operation: Any) -> bool:
    """Whether a layer returns its input in inference; a `RandomCrop` does if it has the size of its crops already."""
    if isinstance(operation, layers.TimeDistributed):
        return acts_in_training_only(operation.layer)
    if isinstance(operation, _known("Pipeline")):
        return all(map(acts_in_training_only, operation.layers))
    if isinstance(operation, keras.layers.Layer):
        return kind_of(operation) in (*ELEMENTWISE, *BY_CHANNEL, *COLOURS)
    return False
