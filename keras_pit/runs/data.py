"""Data as users have it: arrays in a file, or what a function of theirs returns.

    data.npz          x, y, and if there are some x_val, y_val (while training) and x_test, y_test (in the end)
    data.npy          x alone, as for calibration
    module:function   returns (x, y), (x, y, x_val, y_val), ((x, y), (x_val, y_val)), or a dictionary of the names above
    file.py:function  the same, from a file

`x` is an array (samples, *input), or a list or dictionary of arrays for models of several inputs.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import checks

KINDS = "an .npz file with x and y, an .npy file with x, or module:function that returns them"
ARRAYS = ("x", "y", "x_val", "y_val", "x_test", "y_test")
HELD_OUT = 0.2
"""Share of the samples that are held out where no validation data is given."""


@dataclass(frozen=True)
class Data:
    """Samples and targets: to train on, to watch the training, and to measure the result."""

    x: Any
    y: Any = None
    x_val: Any = None
    y_val: Any = None
    x_test: Any = None
    y_test: Any = None
    held_out: bool = False
    """Whether the validation data was taken from the samples to train on (so the seed may have been trained on it)."""

    @property
    def measured(self) -> tuple[Any, Any, str]:
        """What results are measured on, and its name: the test data, else the validation data, else all."""
        name = next(end for end in ("_test", "_val", "") if not end or getattr(self, f"x{end}") is not None)
        return getattr(self, f"x{name}"), getattr(self, f"y{name}"), f"x{name}"

    def require_targets(self) -> Data:
        """The data, if there is something to learn.

        Raises:
            ValueError: if there are no targets.
        """
        if self.y is None:
            raise ValueError("The data has x alone: expected x and y to train with. Add y, the targets.")
        return self

    def with_validation(self, seed: int) -> Data:
        """The data, with a part of it held out if there is no validation data."""
        if self.x_val is not None:
            return self
        order = np.random.default_rng(seed).permutation(count(self.x))
        held = max(1, round(HELD_OUT * len(order)))
        if held >= len(order):
            raise ValueError(f"The data has {len(order)} samples: too few to hold some out. Give x_val and y_val, too.")
        out, kept = np.sort(order[:held]), np.sort(order[held:])
        return replace(
            self,
            x=take(self.x, kept),
            y=take(self.y, kept),
            x_val=take(self.x, out),
            y_val=take(self.y, out),
            held_out=True,
        )

    def fingerprint(self) -> str:
        """A short text that other data would not have."""
        digest = hashlib.blake2b(digest_size=16)
        for field in ARRAYS:
            for name, array in _parts(getattr(self, field), field):
                digest.update(f"{name} {array.dtype} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def count(x: Any) -> int:
    """The number of samples."""
    return min(len(array) for _, array in _parts(x, "x"))


def take(x: Any, which: np.ndarray) -> Any:
    """Some of the samples, in the same form."""
    if isinstance(x, Mapping):
        return {name: part[which] for name, part in x.items()}
    return [part[which] for part in x] if isinstance(x, (list, tuple)) else x[which]


def spread(x: Any, limit: int) -> Any:
    """Of more samples than `limit`, so many at even distances."""
    samples = count(x)
    return x if samples <= limit else take(x, np.linspace(0, samples - 1, limit).round().astype(int))


def read(source: str) -> Data:
    """The data of a file or function.

    Args:
        source: "data.npz", "x.npy", "module:function" or "file.py:function".

    Raises:
        ValueError: if it is none of these, or does not hold what it should.
        FileNotFoundError: if there is no such file.

    Example:

        read("data.npz").x.shape  # (1000, 64, 3)
    """
    checks.text(source, "The data")
    if ":" in source and not Path(source).exists():
        return _checked(_named(_called(source), source), source)
    path = Path(source)
    if path.suffix not in (".npz", ".npy"):
        raise ValueError(f"The data {source!r} is of an unknown kind: expected {KINDS}.")
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {source!r}: expected {KINDS}.")
    try:
        found = np.load(path, allow_pickle=False)
        arrays = {"x": found} if path.suffix == ".npy" else {name: found[name] for name in found.files}
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"The data {source!r} cannot be read ({error}): expected {KINDS}.") from error
    return _checked(arrays, source)


def _called(source: str) -> Any:
    place, _, name = source.rpartition(":")
    function = getattr(module(place), name, None)
    if function is None:
        raise ValueError(f"The data {source!r}: {place} has no function {name!r}. Name one that returns x and y.")
    return checks.function(function, f"The data {source!r}", "a function that returns x and y")()


def module(name: str) -> Any:
    """A module by its name or file, also from the current folder.

    Raises:
        FileNotFoundError: if there is none.
    """
    path = Path(name)
    here = str(path.parent.resolve() if path.suffix == ".py" else Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    wanted = path.stem if path.suffix == ".py" else name
    try:
        return importlib.import_module(wanted)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{wanted}.".startswith(f"{error.name}."):
            raise
        raise FileNotFoundError(
            f"There is no module {name!r}: expected module:function or file.py:function."
        ) from error


def _named(found: Any, source: str) -> Mapping[str, Any]:
    """What a function returned, by name."""
    if isinstance(found, Mapping):
        return found
    if isinstance(found, (list, tuple)) and found:
        if all(isinstance(part, (list, tuple)) and len(part) == 2 for part in found):
            found = [array for pair in found for array in pair]
        if len(found) in (2, 4, 6):
            return dict(zip(ARRAYS, found, strict=False))
    expected = "(x, y), (x, y, x_val, y_val), ((x, y), (x_val, y_val)) or a dictionary of these names"
    raise ValueError(f"The data {source!r} returned {checks.described(found)}: expected {expected}.")


def _checked(arrays: Mapping[str, Any], source: str) -> Data:
    unknown = [name for name in arrays if name not in ARRAYS]
    if "x" not in arrays or unknown:
        raise ValueError(
            f"The data {source!r} holds {', '.join(arrays) or 'nothing'}: expected x and y, and if there are some "
            "x_val, y_val, x_test, y_test."
        )
    data = Data(**{name: _arrays(value) for name, value in arrays.items()})
    for end in ("", "_val", "_test"):
        _check_pair(getattr(data, f"x{end}"), getattr(data, f"y{end}"), end, source)
    return data


def _arrays(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: np.asarray(part) for name, part in value.items()}
    if isinstance(value, tuple) or (isinstance(value, list) and value and hasattr(value[0], "shape")):
        return [np.asarray(part) for part in value]
    return None if value is None else np.asarray(value)


def _check_pair(x: Any, y: Any, end: str, source: str) -> None:
    if x is None:
        if y is not None:
            raise ValueError(f"The data {source!r} holds y{end} without x{end}: expected both.")
        return
    if end and y is None:
        raise ValueError(f"The data {source!r} holds x{end} without y{end}: expected both.")
    counts = {name: len(array) if array.ndim else 0 for name, array in (*_parts(x, f"x{end}"), *_parts(y, f"y{end}"))}
    if min(counts.values()) == 0 or len(set(counts.values())) > 1:
        found = ", ".join(f"{name} has {number}" for name, number in counts.items())
        raise ValueError(f"The data {source!r} has samples of different number, or none: {found}. Make them equal.")
    for name, array in _parts(x, f"x{end}"):
        if array.dtype.kind not in "biuf":
            raise ValueError(f"The data {source!r} holds {name} of type {array.dtype}: expected numbers.")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"The data {source!r} holds NaN or infinite values in {name}: leave these samples out.")


def _parts(value: Any, name: str) -> list[tuple[str, np.ndarray]]:
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [(f"{name}[{key!r}]", part) for key, part in value.items()]
    if isinstance(value, list):
        return [(f"{name}[{index}]", part) for index, part in enumerate(value)]
    return [(name, value)]
