"""Microcontroller boards: what a network may use there.

    board = boards.get("nano33ble")         core, clock, flash, RAM
    board.bounds()                          {"flash": ..., "ram": ...} that is left for a network, in bytes

A board's memory also holds TFLite-Micro, the application and the stack. What these take is set aside first: `RESERVED`
states it, and every function that takes a board's bounds takes other amounts.

The RAM of a board is its largest contiguous block, since the tensor arena is one array. Where the flash is a separate
chip it is that of the board named; networks run from there, but more slowly.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from . import checks

KB = 1024

CORES = ("cortex-m0+", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55", "xtensa-lx6", "xtensa-lx7")
"""The processors that a board may have: those that `costs.cores` knows."""


def _set(fields: Any, name: str, value: Any) -> None:
    """Set a field of a frozen dataclass while it is made."""
    object.__setattr__(fields, name, value)


@dataclass(frozen=True)
class Reserved:
    """Bytes that are not for the network.

    Raises:
        TypeError: if one is no number.
        ValueError: if one is negative or not finite.
    """

    flash: int
    ram: int

    def __post_init__(self) -> None:
        for name in ("flash", "ram"):
            _set(self, name, int(checks.number(getattr(self, name), f"`{name}` of boards.Reserved")))


RESERVED = Reserved(flash=160 * KB, ram=32 * KB)
"""Flash: TFLite-Micro without kernels takes 66 kB, the int8 kernels of a convolutional network 52 kB (measured on
Cortex-M4, with CMSIS-NN); the rest is for the application. RAM: stack, buffers for the sensor, C library."""


@dataclass(frozen=True)
class Board:
    """One board.

    Raises:
        TypeError: if a field is of another type.
        ValueError: if the name is empty, the core unknown, or the clock or a memory not above 0.
    """

    name: str
    title: str
    chip: str
    core: str
    """One of `CORES`."""
    clock_mhz: float
    flash: int
    """Bytes."""
    ram: int
    """Bytes, largest contiguous block."""
    source: str
    """The data sheet of the chip, or the page of the board."""
    external_flash: bool = False

    def __post_init__(self) -> None:
        checks.text(self.name, "`name` of a board")
        for name in ("title", "chip", "source"):
            if not isinstance(getattr(self, name), str):
                raise checks.wrong_type(f"`{name}` of board '{self.name}'", "a string", getattr(self, name))
        checks.one_of(self.core, f"`core` of board '{self.name}'", CORES, "Take the most similar one.")
        for name, kind in (("clock_mhz", float), ("flash", int), ("ram", int)):
            value = checks.number(getattr(self, name), f"`{name}` of board '{self.name}'", positive=True)
            _set(self, name, kind(value))
        _set(self, "external_flash", checks.flag(self.external_flash, f"`external_flash` of board '{self.name}'"))

    def bounds(self, reserved: Reserved = RESERVED) -> dict[str, float]:
        """What is left for a network: bytes by the names of the costs "flash" and "ram".

        Raises:
            TypeError: if `reserved` is no `Reserved`.
            ValueError: if nothing is left.
        """
        checks.instance(reserved, "`reserved`", Reserved, "a keras_pit.boards.Reserved(flash=..., ram=...)")
        left = {"flash": float(self.flash - reserved.flash), "ram": float(self.ram - reserved.ram)}
        for name, value in left.items():
            if value <= 0:
                raise ValueError(
                    f"Board '{self.name}' has {getattr(self, name):,} bytes of {name}, of which "
                    f"{getattr(reserved, name):,} are reserved for everything but the network: reserve less "
                    "(boards.Reserved), or take a larger board."
                )
        return left

    def target(self, *, latency: float | None = None, reserved: Reserved = RESERVED) -> dict[str, float]:
        """The `target` of `convert` for this board: what is left for a network, by the names of costs.

        Args:
            latency: milliseconds that one inference may take; None if time does not matter.
            reserved: what is not for the network.

        Raises:
            TypeError: if `latency` is no number, or `reserved` no `Reserved`.
            ValueError: if nothing is left, or `latency` is not above 0.

        Example:

            search = keras_pit.convert(model, target=boards.get("nano33ble").target(latency=20))
        """
        left = self.bounds(reserved)
        bounds = {"flash": left["flash"], f"ram:{self.name}": left["ram"]}
        if latency is None:
            return bounds
        return {**bounds, f"latency:{self.name}": checks.number(latency, "`latency`", positive=True)}


_TABLE = (
    # name, title, chip, core, MHz, flash, RAM (kB), source, flash is external
    ("arduino-zero", "Arduino Zero", "SAMD21G18", "cortex-m0+", 48, 256, 32, "Microchip DS40001882", False),
    ("disco-f746ng", "ST 32F746GDISCOVERY", "STM32F746NG", "cortex-m7", 216, 1024, 320, "ST DS10916", False),
    ("esp32-s3", "ESP32-S3-DevKitC-1-N8", "ESP32-S3", "xtensa-lx7", 240, 8192, 512, "Espressif ESP32-S3 DS", True),
    ("microbit-v2", "BBC micro:bit v2", "nRF52833", "cortex-m4", 64, 512, 128, "Nordic nRF52833 PS", False),
    ("nano33ble", "Arduino Nano 33 BLE (Sense)", "nRF52840", "cortex-m4", 64, 1024, 256, "Nordic nRF52840 PS", False),
    ("nrf5340-dk", "Nordic nRF5340 DK", "nRF5340", "cortex-m33", 128, 1024, 512, "Nordic nRF5340 PS", False),
    ("nucleo-f401re", "ST NUCLEO-F401RE", "STM32F401RE", "cortex-m4", 84, 512, 96, "ST DS10086", False),
    ("nucleo-f411re", "ST NUCLEO-F411RE", "STM32F411RE", "cortex-m4", 100, 512, 128, "ST DS10314", False),
    ("nucleo-h743zi", "ST NUCLEO-H743ZI2", "STM32H743ZI", "cortex-m7", 480, 2048, 512, "ST DS12110", False),
    ("nucleo-l476rg", "ST NUCLEO-L476RG", "STM32L476RG", "cortex-m4", 80, 1024, 96, "ST DS10198", False),
    ("nucleo-l4r5zi", "ST NUCLEO-L4R5ZI", "STM32L4R5ZI", "cortex-m4", 120, 2048, 640, "ST DS12023", False),
    ("nucleo-u575zi", "ST NUCLEO-U575ZI-Q", "STM32U575ZI", "cortex-m33", 160, 2048, 768, "ST DS13737", False),
    ("pico", "Raspberry Pi Pico", "RP2040", "cortex-m0+", 125, 2048, 264, "Raspberry Pi RP2040 DS", True),
    ("pico2", "Raspberry Pi Pico 2", "RP2350", "cortex-m33", 150, 4096, 520, "Raspberry Pi RP2350 DS", True),
    ("portenta-h7", "Arduino Portenta H7", "STM32H747XI", "cortex-m7", 480, 2048, 512, "ST DS12930", False),
    ("teensy41", "PJRC Teensy 4.1", "i.MX RT1062", "cortex-m7", 600, 7936, 512, "PJRC Teensy 4.1", True),
)  # fmt: skip

_boards: dict[str, Board] = {}


def register(board: Board) -> Board:
    """Make a board known by its name.

    Raises:
        TypeError: if it is no `Board`.
        ValueError: if the name is taken.

    Example:

        boards.register(boards.Board("mine", "Mine", "STM32L431", "cortex-m4", 80, 256 * 1024, 64 * 1024, "DS11453"))
    """
    checks.instance(
        board,
        "`board`",
        Board,
        'a keras_pit.boards.Board, as boards.Board("mine", "Mine", "STM32L431", "cortex-m4", 80, 256 * 1024, '
        '64 * 1024, "ST DS11453")',
    )
    if board.name in _boards:
        raise ValueError(f"A board named '{board.name}' is registered already: choose another name.")
    _boards[board.name] = board
    return board


def get(name: str) -> Board:
    """The board of a name.

    Raises:
        TypeError: if it is no string.
        ValueError: if there is none; the message names similar ones.
    """
    if checks.text(name, "The name of a board") in _boards:
        return _boards[name]
    close = difflib.get_close_matches(name.lower(), names(), n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"expected one of {', '.join(names())}."
    raise ValueError(f"Unknown board {name!r}: {hint} Boards of your own: keras_pit.boards.register.")


def names() -> list[str]:
    """The registered names."""
    return sorted(_boards)


def with_room(reserved: Reserved = RESERVED) -> list[str]:
    """The names of the boards that have something left for a network.

    Raises:
        TypeError: if `reserved` is no `Reserved`.
    """
    checks.instance(reserved, "`reserved`", Reserved, "a keras_pit.boards.Reserved(flash=..., ram=...)")
    return [name for name in names() if _boards[name].flash > reserved.flash and _boards[name].ram > reserved.ram]


for _name, _title, _chip, _core, _clock, _flash, _ram, _source, _external in _TABLE:
    register(Board(_name, _title, _chip, _core, _clock, _flash * KB, _ram * KB, _source, _external))
