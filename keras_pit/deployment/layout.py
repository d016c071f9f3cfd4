"""Whether bytes are a flatbuffer of the TFLite schema, before anything is read from them.

A flatbuffer consists of parts that refer to each other by distance:

    Model -> [SubGraph] -> [Tensor] -> shape, quantization -> scale, ...
                       '-> [Operator] -> inputs, outputs, options

`PARTS` has, for each kind of table, the slots that refer to others. `check` follows all of them: each part must lie
inside of the file. As the schema has no circles, the walk ends; as parts may be shared, it counts their bytes as often
as something refers to them, which is as often as a reader unpacks them. Numbers in tables are left to the reader.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from typing import Any

from ..errors import UnreadableFileError
from .limits import LIMITS, beyond, damaged
from .schema import names

_IDENTIFIER = b"TFL3"


@dataclass(frozen=True)
class Vector:
    """Numbers of so many bytes."""

    width: int


@dataclass(frozen=True)
class Table:
    """A table of one kind."""

    kind: str


@dataclass(frozen=True)
class Tables:
    """A vector of tables of one kind."""

    kind: str


@dataclass(frozen=True)
class Union:
    """A table whose kind another slot tells, by its number in an enumeration of the schema."""

    slot: int
    enumeration: str


Reference = Vector | Table | Tables | Union
_BYTES, _INTS = Vector(1), Vector(4)

PARTS: dict[str, dict[int, Reference]] = {
    "Model": {
        1: Tables("OperatorCode"),
        2: Tables("SubGraph"),
        3: _BYTES,
        4: Tables("Buffer"),
        5: _INTS,
        6: Tables("Metadata"),
        7: Tables("SignatureDef"),
        8: Tables("ExternalBufferGroup"),
        9: Tables("ExternalBuffer"),
    },
    "OperatorCode": {1: _BYTES},
    "SubGraph": {0: Tables("Tensor"), 1: _INTS, 2: _INTS, 3: Tables("Operator"), 4: _BYTES},
    "Tensor": {
        0: _INTS,
        3: _BYTES,
        4: Table("QuantizationParameters"),
        6: Table("SparsityParameters"),
        7: _INTS,
        9: Tables("VariantSubType"),
    },
    "QuantizationParameters": {
        0: _INTS,
        1: _INTS,
        2: _INTS,
        3: Vector(8),
        5: Union(4, "QuantizationDetails"),
    },
    "CustomQuantization": {0: _BYTES},
    "SparsityParameters": {0: _INTS, 1: _INTS, 2: Tables("DimensionMetadata")},
    "DimensionMetadata": {3: Union(2, "SparseIndexVector"), 5: Union(4, "SparseIndexVector")},
    "Int32Vector": {0: _INTS},
    "Uint16Vector": {0: Vector(2)},
    "Uint8Vector": {0: _BYTES},
    "VariantSubType": {0: _INTS},
    "Operator": {
        1: _INTS,
        2: _INTS,
        4: Union(3, "BuiltinOptions"),
        5: _BYTES,
        7: _BYTES,
        8: _INTS,
        12: Union(11, "BuiltinOptions2"),
    },
    "Buffer": {0: _BYTES},
    "Metadata": {0: _BYTES},
    "SignatureDef": {0: Tables("TensorMap"), 1: Tables("TensorMap"), 2: _BYTES},
    "TensorMap": {0: _BYTES},
    "ExternalBufferGroup": {0: _BYTES},
    "ExternalBuffer": {4: _BYTES},
    # The options that hold more than numbers and vectors of numbers, which are read without a copy.
    "VarHandleOptions": {0: _BYTES, 1: _BYTES},
    "StablehloCustomCallOptions": {0: _BYTES, 2: _BYTES},
    "StableHLOCompositeOptions": {0: _BYTES},
}
_MOST = {"SubGraph": LIMITS.subgraphs, "Operator": LIMITS.operators, "Tensor": LIMITS.tensors}


def check(content: bytes) -> None:
    """Refuse what is not a whole .tflite file, or one that is beyond the limits.

    Args:
        content: the file's bytes.

    Raises:
        DeploymentError: if a part does not lie inside of the file, or there are too many.

    Example:

        check(tflite[:-100])  # DeploymentError: The .tflite file is damaged: ...
    """
    if content[4:8] != _IDENTIFIER:
        raise UnreadableFileError(
            "Expected the content of a .tflite file (with the identifier 'TFL3'); received "
            f"{len(content):,} bytes starting with {bytes(content[:8])!r}. Make one of a Keras model with "
            "keras_pit.to_tflite."
        )
    check_size(len(content))
    walk = _Walk(content)
    walk.table(walk.follow(0, "the file"), "Model")


def check_size(size: int) -> None:
    """Refuse a file that is too large to be read."""
    if size > LIMITS.bytes:
        raise beyond(f"it has {size:,} bytes", LIMITS.bytes)


class _Walk:
    """Visits every part, and counts what it has seen."""

    def __init__(self, content: bytes):
        self._content = content
        self._bytes = 0
        self._most = LIMITS.sharing * len(content) + LIMITS.slack
        self._tables: Counter[str] = Counter()

    def table(self, at: int, kind: str) -> None:
        """Visit a table and all that it refers to."""
        where = f"the table {kind} at byte {at:,}"
        self._need(at, 4, where)
        vtable = at - self._read("<i", at)
        self._need(vtable, 4, where)
        room, size = self._read("<H", vtable), self._read("<H", vtable + 2)
        self._need(vtable, max(room, 4), where)
        self._need(at, max(size, 4), where)
        self._count(room + size, where)
        places = struct.unpack_from(f"<{max(room - 4, 0) // 2}H", self._content, vtable + 4)
        if any(place >= max(size, 4) for place in places):
            raise damaged(f"{where} has a field outside of it")
        for slot, reference in PARTS.get(kind, {}).items():
            if slot < len(places) and places[slot]:
                target = self.follow(at + places[slot], where)
                if isinstance(reference, Union):
                    number = self._number(at, places, reference.slot)
                    reference = Table(names(reference.enumeration).get(number, "unknown"))
                self._visit(reference, target, f"{where}, field {slot}")

    def follow(self, at: int, where: str) -> int:
        """Where a reference leads."""
        self._need(at, 4, where)
        target = at + int(self._read("<I", at))
        self._need(target, 4, where)
        return target

    def _visit(self, reference: Reference, at: int, where: str) -> None:
        match reference:
            case Table(kind):
                self.table(at, kind)
            case Tables(kind):
                length = self._vector(at, 4, where)
                self._tables[kind] += length
                most = _MOST.get(kind, LIMITS.tables)
                if self._tables[kind] > most:
                    raise beyond(f"it has {self._tables[kind]:,} tables of the kind {kind}", most)
                for place in range(at + 4, at + 4 + 4 * length, 4):
                    self.table(self.follow(place, where), kind)
            case Vector(width):
                self._vector(at, width, where)

    def _vector(self, at: int, width: int, where: str) -> int:
        length = int(self._read("<I", at))
        self._need(at + 4, width * length, where)
        self._count(4 + width * length, where)
        return length

    def _number(self, at: int, places: tuple[int, ...], slot: int) -> int:
        return self._content[at + places[slot]] if slot < len(places) and places[slot] else 0

    def _count(self, size: int, where: str) -> None:
        self._bytes += size
        if self._bytes > self._most:
            raise beyond(f"its shared parts come to {self._bytes:,} bytes, at {where}", self._most)

    def _need(self, at: int, size: int, where: str) -> None:
        if at < 0 or at + size > len(self._content):
            raise damaged(f"{where} ends outside of its {len(self._content):,} bytes")

    def _read(self, form: str, at: int) -> Any:
        return struct.unpack_from(form, self._content, at)[0]
