"""Arguments: of the right type, and with a value that does for what they are used for.

    number(np.float32(2), "`strength`")   2.0
    number("2", "`strength`")             TypeError: `strength` must be a finite number of at least 0, received '2' ...
    number(-1, "`strength`")              ValueError: `strength` must be a finite number of at least 0, received -1.

One rule for all functions: a wrong type is a TypeError, a value that cannot be used a ValueError. True and False are no
numbers, None is none either, and a string is no list of its letters. Numbers may be numpy's. What computes with them
computes in float32: what that has no finite number for, is not finite.

Each function returns the argument in the one form that the package works with. `name` is what the user knows it by.
"""

from __future__ import annotations

import math
import os
import reprlib
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

LARGEST = float(np.finfo(np.float32).max)
SMALLEST = float(np.finfo(np.float32).tiny)
"""Below it, float32 loses digits and processors take 0."""

MOST_WHOLE = 2**31 - 1

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80


def number(value: Any, name: str, *, positive: bool = False, most: float = LARGEST) -> float:
    """A number that is not negative, as a float.

    Args:
        value: the argument.
        name: what it is called.
        positive: whether it must be above 0.
        most: the most that it may be.

    Raises:
        TypeError: if it is no number.
        ValueError: if it is NaN, infinite (in float32) or out of bounds.
    """
    expected = f"a finite number {'above' if positive else 'of at least'} 0"
    expected += f" and at most {most:g}" * (most < LARGEST)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise wrong_type(name, expected, value)
    try:
        result = float(value)
    except OverflowError:  # a whole number that even float64 has no room for
        result = math.inf
    if not (SMALLEST if positive else 0.0) <= result <= most:
        raise ValueError(f"{name} must be {expected}, received {shown(value)}.")
    return result


def whole(value: Any, name: str, *, least: int) -> int:
    """A whole number as an int.

    Raises:
        TypeError: if it is no number.
        ValueError: if it is not whole, below `least`, or beyond 32 bits.
    """
    expected = f"a whole number of at least {least}"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise wrong_type(name, expected, value)
    if not isinstance(value, Integral) or not least <= int(value) <= MOST_WHOLE:
        raise ValueError(f"{name} must be {expected}, received {shown(value)}.")
    return int(value)


def flag(value: Any, name: str) -> bool:
    """True or False.

    Raises:
        TypeError: if it is something else.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise wrong_type(name, "True or False", value)
    return bool(value)


def text(value: Any, name: str) -> str:
    """A string that is not empty.

    Raises:
        TypeError: if it is no string.
        ValueError: if it is empty.
    """
    expected = "a string that is not empty"
    if not isinstance(value, str):
        raise wrong_type(name, expected, value)
    if not value:
        raise ValueError(f"{name} must be {expected}, received ''.")
    return value


def one_of(value: Any, name: str, known: Iterable[str], cure: str = "") -> str:
    """One of some names.

    Args:
        value: the argument.
        name: what it is called.
        known: the names.
        cure: what else to do about an unknown one.

    Raises:
        TypeError: if it is no string.
        ValueError: if it is unknown.
    """
    known = list(known)
    expected = f"one of {', '.join(map(repr, known))}"
    if not isinstance(value, str):
        raise wrong_type(name, expected, value)
    if value not in known:
        raise ValueError(f"{name} must be {expected}, received {shown(value)}.{' ' * bool(cure)}{cure}")
    return value


def listed(value: Any, name: str, expected: str) -> tuple[Any, ...]:
    """What a list or another collection holds; a set in an order that is the same in each run.

    Args:
        value: the argument.
        name: what it is called.
        expected: what it should be.

    Raises:
        TypeError: if it is none; strings, and dictionaries, are none either.
    """
    if isinstance(value, (str, bytes, bytearray, Mapping)) or not isinstance(value, Iterable):
        raise wrong_type(name, expected, value)
    try:
        values = tuple(value)
    except TypeError as error:  # tensors of one number say that they can be iterated over
        raise wrong_type(name, expected, value) from error
    return tuple(sorted(values, key=str)) if isinstance(value, (set, frozenset)) else values


def instance(value: Any, name: str, kind: type, expected: str) -> Any:
    """An object of a class.

    Raises:
        TypeError: if it is something else.
    """
    if not isinstance(value, kind):
        raise wrong_type(name, expected, value)
    return value


def function(value: Any, name: str, expected: str) -> Callable[..., Any]:
    """A function, or what can be called like one.

    Raises:
        TypeError: if it is none.
    """
    if not callable(value):
        raise wrong_type(name, expected, value)
    return value


def path(value: Any, name: str, expected: str = "a path") -> Path:
    """A path.

    Raises:
        TypeError: if it is none.
        ValueError: if it is empty.
    """
    if not isinstance(value, (str, os.PathLike)) or isinstance(os.fspath(value), bytes):
        raise wrong_type(name, expected, value)
    if not os.fspath(value):
        raise ValueError(f"{name} must be {expected}, received ''.")
    return Path(value)


def wrong_type(name: str, expected: str, value: Any, cure: str = "") -> TypeError:
    """The error for a value of a wrong type."""
    return TypeError(f"{name} must be {expected}, received {described(value)}.{' ' * bool(cure)}{cure}")


def described(value: Any) -> str:
    """A value and its type, for an error."""
    if value is None or isinstance(value, bool):
        return repr(value)
    kind = type(value)
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if kind.__repr__ is object.__repr__ or hasattr(value, "shape") or hasattr(value, "layers"):
        return f"an object of type {kind.__name__}"
    return f"{shown(value)} ({kind.__name__})"


def shown(value: Any) -> str:
    """A value for an error, in one short line."""
    return " ".join(_short.repr(value).split())
