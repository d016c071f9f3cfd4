"""Samples with their targets as arrays, whatever they came as.

    Samples.of((x, y))              arrays, or lists and dictionaries of them
    Samples.of(dataset)             a finite tf.data.Dataset of batches (x, y) or (x, y, weights)
    Samples.of(py_dataset)          a keras.utils.PyDataset, likewise

What is measured is measured on arrays, since TFLite-Micro takes one sample at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from .. import checks

EXPECTED = "a tuple (x, y) or (x, y, weights) of arrays, a finite tf.data.Dataset or a keras.utils.PyDataset"


@dataclass(frozen=True)
class Samples:
    """Inputs, targets and perhaps weights: arrays of shape (samples, ...), or nested lists or dictionaries of them."""

    x: Any
    y: Any
    weights: Any = None

    @classmethod
    def of(cls, data: Any, name: str = "`validation_data`") -> Samples:
        """Samples of any accepted kind.

        Raises:
            TypeError: if it is none.
            ValueError: if there are none, or parts differ in number.
        """
        if isinstance(data, keras.utils.PyDataset):
            number = data.num_batches
            parts = _joined([data[index] for index in range(number or 0)], name)
        elif hasattr(data, "element_spec"):
            if int(data.cardinality()) == -1:
                raise ValueError(f"{name} is an infinite dataset; expected a finite one. Cut it: dataset.take(100).")
            parts = _joined(list(data), name)
        elif isinstance(data, (tuple, list)):
            parts = tuple(data)
        else:
            raise checks.wrong_type(name, EXPECTED, data)
        if len(parts) not in (2, 3):
            raise ValueError(f"{name} must be {EXPECTED}, received {len(parts)} parts.")
        result = cls(*(None if part is None else keras.tree.map_structure(np.asarray, part) for part in parts))
        counts = {len(array) if array.ndim else 0 for part in parts for array in _arrays(part)}
        if len(counts) != 1 or counts == {0}:
            raise ValueError(
                f"{name} must have the same number of samples, at least one, in all parts; received {sorted(counts)}."
            )
        return result

    def __len__(self) -> int:
        return len(keras.tree.flatten(self.x)[0])


def spread(x: Any, most: int) -> Any:
    """At most so many samples, evenly from beginning to end."""
    arrays = keras.tree.flatten(x)
    chosen = np.unique(np.linspace(0, len(arrays[0]) - 1, min(most, len(arrays[0]))).astype(int))
    return keras.tree.map_structure(lambda array: np.asarray(array)[chosen], x)


def _joined(batches: Sequence[Any], name: str) -> tuple[Any, ...]:
    if not batches:
        raise ValueError(f"{name} is empty; expected at least one batch.")
    if not isinstance(batches[0], (tuple, list)):
        raise ValueError(f"{name} has no targets; expected batches (x, y) or (x, y, weights).")
    return tuple(keras.tree.map_structure(lambda *parts: np.concatenate(list(map(np.asarray, parts))), *batches))


def _arrays(part: Any) -> list[np.ndarray]:
    return [] if part is None else [np.asarray(array) for array in keras.tree.flatten(part)]
