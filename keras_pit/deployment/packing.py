"""Bytes of a flatbuffer, each distinct part once and no gaps between them.

A flatbuffer consists of parts that refer to each other by distance, and nothing forbids two references to the same one:

    table     where its vtable is, then its fields: numbers, or the distance to another part
    vtable    where the fields of a table are; all tables with the same fields have one
    vector    a length, then numbers or distances

The schema orders them only by this: a part lies behind those that refer to it. What it aligns, the fields of a table
and the numbers of a vector, starts 4 bytes into the part. So the gap in front of an aligned part goes if parts that fit
anywhere, of the right sizes, are placed before it. There are plenty: each takes a multiple of 4 bytes.
"""

from __future__ import annotations

import struct
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from .flatbuffer import File
from .schema import optional

CONSTANT = 16
"""The alignment that the schema promises for the contents of constants."""
_WORD = 4
# What the schema's functions call the types of fields, and what the module struct calls them.
_FORMATS = {"Bool": "?", "Int8": "b", "Uint8": "B", "Int16": "h", "Uint16": "H", "Int32": "i", "Uint32": "I"}
_FORMATS |= {"Int64": "q", "Uint64": "Q", "Float32": "f", "Float64": "d"}
_REFERENCE = "UOffsetTRelative"


def pack(tree: Any, schema: ModuleType, identifier: bytes) -> bytes:
    """The file of a tree of objects.

    Args:
        tree: an object of the schema, such as a `ModelT`; fields that are None or have the default value are left out.
        schema: the module with the functions that the flatbuffers compiler generates.
        identifier: four letters that tell the kind of the file.

    Example:

        pack(unpack(tflite), schema, b"TFL3")
    """
    parts = Parts(schema)
    root = parts.add(tree)
    vtables = b"".join(parts.vtables)
    places = {-number - 1: at for number, at in enumerate(np.cumsum([8, *map(len, parts.vtables)]).tolist())}
    first = 8 + len(vtables) + -len(vtables) % _WORD
    places |= _places(parts.parts, root, first)
    file = bytearray(struct.pack("<I4s", places[root], identifier) + vtables)
    for number, part in sorted(enumerate(parts.parts), key=lambda one: places[one[0]]):
        file += bytes(places[number] - len(file)) + part.content
        for at, other in part.references:
            field = places[number] + at
            # A table tells how far in front of it its vtable is; all others are behind.
            distance = places[other] - field if other >= 0 else field - places[other]
            file[field : field + _WORD] = struct.pack("<i", distance)
    return bytes(file) + bytes(-len(file) % _WORD)


def repack(tree: Any) -> File:
    """The file of a changed tree, as the schema's own functions write it (`pack` finds a smaller one)."""
    builder = optional("flatbuffers").Builder(0)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return File(bytes(builder.Output()))


@dataclass(frozen=True)
class Part:
    """Content, with zeros where references (their place, and the part's number, or -1 - the vtable's) will be."""

    content: bytes
    references: tuple[tuple[int, int], ...] = ()
    alignment: int = _WORD


class Parts:
    """The parts of a tree, children first; equal ones have the same number."""

    def __init__(self, schema: ModuleType):
        self._schema = schema
        self._numbers: dict[Part, int] = {}
        self.vtables: dict[bytes, int] = {}

    @property
    def parts(self) -> list[Part]:
        """The parts by their numbers."""
        return list(self._numbers)

    def add(self, value: Any, alignment: int = 1) -> int:
        """The number of a table, vector or string."""
        if isinstance(value, (bytes, str)):
            text = value.encode() if isinstance(value, str) else value
            part = Part(struct.pack("<I", len(text)) + text + b"\0")
        elif isinstance(value, np.ndarray):
            numbers = value.astype(value.dtype.newbyteorder("<")).tobytes()
            aligned = max(_WORD, value.itemsize, alignment)
            part = Part(struct.pack("<I", len(value)) + numbers, alignment=aligned)
        elif isinstance(value, list):
            others = [self.add(one) for one in value]
            length = struct.pack("<I", len(others)) + bytes(_WORD * len(others))
            part = Part(length, tuple((_WORD * place, other) for place, other in enumerate(others, 1)))
        else:
            part = self._table(value)
        return self._numbers.setdefault(part, len(self._numbers))

    def _table(self, tree: Any) -> Part:
        kind = type(tree).__name__[:-1]
        noted = _Fields()
        for name, value in vars(tree).items():
            if value is None:
                continue
            field = value
            if not isinstance(value, (int, float, np.generic)):
                # A reference is never 0, which would be the default.
                field = 1 + self.add(value, CONSTANT if kind == "Buffer" else 1)
            getattr(self._schema, f"{kind}Add{name[0].upper()}{name[1:]}")(noted, field)
        # The widest fields first: so each is aligned without gaps.
        fields = sorted(noted.fields, key=lambda field: -field.width)
        content, references, offsets = bytes(_WORD), [], [0] * (1 + max((field.slot for field in fields), default=-1))
        for field in fields:
            offsets[field.slot] = len(content)
            if field.type == _REFERENCE:
                references.append((len(content), field.value - 1))
                content += bytes(_WORD)
            else:
                content += struct.pack("<" + _FORMATS[field.type], field.value)
        vtable = struct.pack(f"<{2 + len(offsets)}H", 4 + 2 * len(offsets), len(content), *offsets)
        references.append((0, -1 - self.vtables.setdefault(vtable, len(self.vtables))))
        return Part(content, tuple(references), max((_WORD, *(field.width for field in fields))))


@dataclass(frozen=True)
class _Field:
    slot: int
    type: str
    value: Any

    @property
    def width(self) -> int:
        return _WORD if self.type == _REFERENCE else struct.calcsize("<" + _FORMATS[self.type])


class _Fields:
    """What the schema's functions get for a builder: it notes the fields that they would prepend to a table."""

    def __init__(self) -> None:
        self.fields: list[_Field] = []

    def __getattr__(self, name: str) -> Any:
        def prepend(slot: int, value: Any, default: Any) -> None:
            if value != default:
                self.fields.append(_Field(slot, name.removeprefix("Prepend").removesuffix("Slot"), value))

        return prepend


def _places(parts: list[Part], root: int, at: int) -> dict[int, int]:
    """Where each part goes: behind those that refer to it, aligned."""
    children = [[other for _, other in part.references if other >= 0] for part in parts]
    missing = Counter(other for others in children for other in others)
    # Parts that can be placed, by alignment and the size's rest modulo 16.
    ready: dict[tuple[int, int], list[int]] = defaultdict(list)
    found: dict[int, int] = {}
    new = [root]
    while True:
        for number in new:
            ready[parts[number].alignment, _size(parts[number]) % CONSTANT].append(number)
        kind = next((kind for kind in _wanted(at) if ready[kind]), None)
        if kind is None:
            return found
        number = ready[kind].pop(0)
        at += -(at + _WORD) % kind[0]
        found[number] = at
        at += _size(parts[number])
        missing.subtract(children[number])
        new = [other for other in dict.fromkeys(children[number]) if missing[other] == 0]


def _size(part: Part) -> int:
    return len(part.content) + -len(part.content) % _WORD


def _wanted(at: int) -> Iterator[tuple[int, int]]:
    """Kinds of parts in the order in which they should be placed.

    First those that are aligned here; then what leads to a place where all are, directly or by two parts. Where nothing
    is left that fits anywhere, there will be a gap.
    """
    rests = range(0, CONSTANT, _WORD)
    aligned = [alignment for alignment in (16, 8) if (at + _WORD) % alignment == 0]
    missing = (12 - at) % CONSTANT
    for alignment in aligned:
        yield from ((alignment, rest) for rest in rests)
    yield from ((_WORD, rest) for rest in (0, missing, 8, 4, 12))
    for alignment in (8, 16):
        yield from ((alignment, rest) for rest in rests)
