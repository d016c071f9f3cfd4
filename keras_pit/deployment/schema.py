"""The TFLite schema as `ai_edge_litert` has it, and the names that it gives to numbers.

A file may hold numbers that this version of the schema does not know: newer operators and types, or damage. They get a
name of their own ("operator 250"), so that whoever does not know the name does not know them either.
"""

from __future__ import annotations

import importlib
import platform
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

INSTALL = 'Install it with: pip install "keras_pit[deploy]"'


def optional(name: str) -> ModuleType:
    """A module of an optional package, or an error that says how to install it."""
    package = name.partition(".")[0]
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise unloadable(package, error) from error
        raise ImportError(f"This needs {package}, which is not installed. {INSTALL}") from error
    except ImportError as error:
        raise unloadable(package, error) from error


def unloadable(package: str, reason: object) -> ImportError:
    """What to say of a package that is there, and that Python cannot load, as when it was built for another Python."""
    return ImportError(
        f"{package} is installed, but cannot be loaded: {reason}\nInstall a version of it that is built for this "
        f"Python ({platform.python_version()}). {INSTALL}"
    )


def schema() -> ModuleType:
    """The readers, objects and enumerations of the schema."""
    return optional("ai_edge_litert.schema_py_generated")


@cache
def names(enumeration: str) -> dict[int, str]:
    """The names of an enumeration of the schema by their numbers."""
    found = vars(getattr(schema(), enumeration))
    return {value: key for key, value in found.items() if isinstance(value, int)}


def type_name(number: int) -> str:
    """The name of a tensor's type in lower case, as numpy has it ("int8")."""
    return names("TensorType").get(number, f"unknown ({number})").lower()


def operator_name(builtin: int, custom: str) -> str:
    """The name of an operator: of a builtin one in the schema ("CONV_2D"), of a custom one its own ("CIRCULAR_BUFFER").

    A custom one that is called like a builtin one is told apart.
    """
    builtins = names("BuiltinOperator")
    if builtins.get(builtin) != "CUSTOM":
        return builtins.get(builtin, f"operator {builtin}")
    return f"custom {custom}" if custom in builtins.values() or not custom else custom


def keep(model: Any, numbers: np.ndarray) -> int:
    """Add the contents of a constant to the tree of a file; the number of its buffer."""
    buffer = schema().BufferT()
    buffer.data = np.frombuffer(numbers.tobytes(), np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1
