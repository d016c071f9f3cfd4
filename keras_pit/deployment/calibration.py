"""Calibration data in one form: a list with one array of shape (samples, *input) per input of the model.

Users have arrays, lists or dictionaries of them, or a `tf.data.Dataset` of inputs or of (inputs, targets), batched or
not. These are real activations, from which the ranges of the integers are taken: wrong data gives a wrong file without
an error, so shape, type and finiteness are checked here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from .. import checks
from ..lowering import form

_RANDOM_SAMPLES = 8


def as_samples(inputs: Sequence[keras.KerasTensor], calibration: Any) -> list[np.ndarray]:
    """Calibration data of any accepted kind as one checked array per input."""
    parts = as_arrays(inputs, calibration)
    samples = [_check_samples(tensor, part) for tensor, part in zip(inputs, parts, strict=True)]
    counts = [len(array) for array in samples]
    if min(counts) == 0 or min(counts) != max(counts):
        raise ValueError(
            f"calibration needs the same number of samples, at least one, for every input; received {counts} for "
            f"{_named(inputs)}."
        )
    return samples


def as_arrays(inputs: Sequence[keras.KerasTensor], data: Any, what: str = "calibration") -> list[Any]:
    """Data of any accepted kind as one part per input; only the shapes in a dataset are checked."""
    if hasattr(data, "element_spec"):
        return _read_dataset(inputs, data, what)
    if not hasattr(data, "__array__") and not isinstance(data, (list, tuple, Mapping)):
        expected = "an array of shape (samples, *input), a list or dictionary of such arrays, or a tf.data.Dataset"
        raise checks.wrong_type(f"`{what}`", expected, data)
    if isinstance(data, (list, tuple)) and len(data) != len(inputs):
        raise ValueError(
            f"{what} is a {type(data).__name__} of {len(data)}; expected one array per input of the model, "
            f"{len(inputs)} in all ({_named(inputs)}). Leave out targets, and join samples to one array with "
            "numpy.stack."
        )
    return _pick(inputs, data, what)


def _read_dataset(inputs: Sequence[keras.KerasTensor], dataset: Any, what: str) -> list[np.ndarray]:
    if int(dataset.cardinality()) == -1:
        raise ValueError(f"{what} is an infinite dataset; expected a finite one. Cut it: {what}=dataset.take(200).")
    columns: list[list[np.ndarray]] = [[] for _ in inputs]
    for element in dataset:
        for column, tensor, part in zip(columns, inputs, _pick(inputs, element, what), strict=True):
            value, sample = np.asarray(part), tuple(tensor.shape[1:])
            # A sample of its own, or a batch of them; a sequence may be the map that it is in a file.
            fits = form((1, *value.shape)), form(value.shape or (1,))
            column.append(value.reshape(-1, *sample) if form((1, *sample)) in fits else value)
    if not columns[0]:
        raise ValueError(f"{what} is an empty dataset; expected at least one sample.")
    for column, tensor in zip(columns, inputs, strict=True):
        for value in column:
            _check_shape(tensor, value, what)
    return [np.concatenate(column) for column in columns]


def _pick(inputs: Sequence[keras.KerasTensor], element: Any, what: str) -> list[Any]:
    """The part of `element` for each input; `element` may be (inputs, targets, ...)."""
    nested = (list, tuple, Mapping)
    if isinstance(element, (list, tuple)) and element:
        flat = len(element) == len(inputs) and not any(isinstance(e, nested) for e in element)
        if flat:
            return list(element)
        if len(inputs) == 1 or isinstance(element[0], nested):
            return _pick(inputs, element[0], what)
    elif isinstance(element, Mapping):
        missing = [tensor.name for tensor in inputs if tensor.name not in element]
        if not missing:
            return [element[tensor.name] for tensor in inputs]
    elif len(inputs) == 1:
        return [element]
    if isinstance(element, Mapping):
        received = f"a dictionary of {', '.join(map(repr, element))}"
    elif isinstance(element, (list, tuple)):
        received = f"a {type(element).__name__} of {len(element)}"
    else:
        received = f"one {type(element).__name__}"
    raise ValueError(
        f"{what} holds {received}; expected one array for each of the model's {len(inputs)} inputs, in this order or "
        f"by name: {_named(inputs)}."
    )


def _check_samples(tensor: keras.KerasTensor, part: Any) -> np.ndarray:
    array = np.asarray(part)
    _check_shape(tensor, array)
    if array.dtype.kind not in "biuf" or not np.can_cast(array.dtype, tensor.dtype, "same_kind"):
        raise ValueError(
            f"calibration for input {tensor.name!r} is of type {array.dtype}; expected {tensor.dtype}. Convert it with "
            f"x.astype({tensor.dtype!r})."
        )
    with np.errstate(over="ignore"):
        array = array.astype(tensor.dtype)
    if array.dtype.kind == "f":
        finite = np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
        if not finite.all():
            raise ValueError(
                f"calibration for input {tensor.name!r} has NaN or infinite values in {np.count_nonzero(~finite)} of "
                f"{len(array)} samples, first in sample {np.argmin(finite)}; expected finite values. Leave these "
                "samples out."
            )
    return array


def _check_shape(tensor: keras.KerasTensor, array: np.ndarray, what: str = "calibration") -> None:
    sample = tuple(tensor.shape[1:])
    if array.ndim == 0 or array.shape[1:] != sample:
        cure = "Add the batch axis: x[None]." if array.shape == sample else "Prepare the data as for model.predict."
        raise ValueError(
            f"{what} for input {tensor.name!r} has shape {array.shape}; expected {('samples', *sample)}. {cure}"
        )


def require_varied(inputs: Sequence[keras.KerasTensor], samples: Sequence[np.ndarray]) -> None:
    """Refuse data from which no range can be taken: an input of floats that is one number throughout."""
    for tensor, array in zip(inputs, samples, strict=True):
        if array.dtype.kind == "f" and np.ptp(array) == 0:
            raise ValueError(
                f"calibration for input {tensor.name!r} is {array.flat[0]:g} in all of {len(array)} samples; expected "
                "typical inputs, from which the ranges of the integers are taken. Pass real data, for example "
                "calibration=x_train[:200]."
            )


def random_samples(inputs: Sequence[keras.KerasTensor]) -> list[np.ndarray]:
    """Samples to verify a float file with: normal numbers, zeros for integer inputs."""
    generator = np.random.default_rng(0)
    return [
        (generator.normal(size=(_RANDOM_SAMPLES, *t.shape[1:])) * ("float" in t.dtype)).astype(t.dtype) for t in inputs
    ]


def _named(inputs: Sequence[keras.KerasTensor]) -> str:
    return ", ".join(f"{tensor.name!r} {tuple(tensor.shape)}" for tensor in inputs)
