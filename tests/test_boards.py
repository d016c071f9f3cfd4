"""The table of boards, and what it says about unknown ones."""

import re

import pytest

from keras_pit import boards

CORES = {
    "cortex-m0+", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55", "xtensa-lx7",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _table(monkeypatch):
    monkeypatch.setattr(boards, "_boards", dict(boards._boards))


def test_figures_of_the_data_sheets():
    board = boards.get("nano33ble")
    assert (board.chip, board.core, board.clock_mhz) == ("nRF52840", "cortex-m4", 64)
    assert (board.flash, board.ram) == (2**20, 2**18)
    reference = boards.get("nucleo-l4r5zi")
    assert (reference.clock_mhz, reference.ram, reference.flash) == (120, 640 * 1024, 2 * 2**20)


def test_every_row_is_complete():
    assert len(boards.names()) >= 10
    for name in boards.names():
        board = boards.get(name)
        assert re.fullmatch(r"[a-z0-9-]+", name)
        assert board.core in CORES
        assert board.source
        assert board.ram < board.flash
        assert 16 <= board.clock_mhz <= 1000
    assert {boards.get(name).core for name in boards.names()} >= {"cortex-m0+", "cortex-m4", "cortex-m7", "cortex-m33"}


def test_bounds_leave_room_for_all_else():
    board = boards.get("nano33ble")
    assert board.bounds() == {"flash": 2**20 - boards.RESERVED.flash, "ram": 2**18 - boards.RESERVED.ram}
    assert board.bounds(boards.Reserved(1000, 100)) == {"flash": 2**20 - 1000, "ram": 2**18 - 100}
    with pytest.raises(ValueError, match=r"'arduino-zero' has 32,768 bytes of ram, of which 32,768 are reserved"):
        boards.get("arduino-zero").bounds()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nano33", r"Unknown board 'nano33': did you mean 'nano33ble'"),
        ("Pico", r"Unknown board 'Pico': did you mean 'pico'"),
        ("quantum", r"Unknown board 'quantum': .*keras_pit\.boards\.register"),
        (7, "Unknown board 7"),
    ],
)
def test_unknown_boards(name, message):
    with pytest.raises(ValueError, match=message):
        boards.get(name)


def test_boards_of_users():
    mine = boards.Board("mine", "Mine", "STM32L431", "cortex-m4", 80, 256 * 1024, 64 * 1024, "ST DS11453")
    assert boards.register(mine) is mine
    assert boards.get("mine") is mine
    with pytest.raises(ValueError, match="'mine' is registered already"):
        boards.register(mine)
