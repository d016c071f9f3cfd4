"""Values as C++ literals, so that they read back as they are, and arrays of them in lines of at most `COLUMNS`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import DeploymentError

COLUMNS = 100

C_TYPES = {
    **{f"{sign}int{bits}": f"std::{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "float32": "float",
    "bool": "bool",
}
"""The C++ type for each type of numbers that a tensor may have."""

_SUFFIXES = {"uint32": "u", "int64": "LL", "uint64": "ULL", "float32": "f"}


def literal(number: Any, dtype: str) -> str:
    """One value of a tensor of type `dtype`."""
    if dtype == "bool":
        return str(bool(number)).lower()
    if dtype == "float32":
        if not np.isfinite(number):
            raise DeploymentError(
                f"An output for the test data is {number}; expected finite numbers. Train the model again, or pass "
                "other test_data."
            )
        return f"{np.float32(number)!s}f"  # the shortest digits that read back as the same float32
    if dtype == "int64" and int(number) == np.iinfo(np.int64).min:
        return f"{int(number) + 1}LL - 1"
    return f"{int(number)}{_SUFFIXES.get(dtype, '')}"


def number_rows(array: np.ndarray, dtype: str) -> str:
    """The elements of a row of an array, with room for its braces in the first and the last line."""
    lines, line = [], ""
    for number in array:
        text = literal(number, dtype)
        if len(line) + len(text) + 10 > COLUMNS:
            lines.append(line)
            line = ""
        line += (", " if line else "") + text
    return ",\n     ".join([*lines, line])


def byte_rows(content: bytes) -> str:
    """The elements of an array of bytes, 16 a line."""
    rows = (content[start : start + 16] for start in range(0, len(content), 16))
    return "\n".join("    " + ", ".join(f"0x{byte:02x}" for byte in row) + "," for row in rows)


def string(text: str) -> str:
    """A string literal; what is not plain ASCII as octal escapes of its UTF-8 bytes."""
    plain = [chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in text.encode()]
    return f'"{"".join(plain)}"'
