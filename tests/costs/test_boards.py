"""The table of boards, what it says about unknown ones, and whether a network fits."""

import pathlib
import re

import keras
import numpy as np
import pytest
from keras import layers

import keras_pit
from keras_pit import boards
from keras_pit.costs import cores
from keras_pit.deployment import DeploymentError


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
        assert board.core in boards.CORES
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


def board(**changes):
    given = {"name": "mine", "title": "Mine", "chip": "X", "core": "cortex-m4", "clock_mhz": 80}
    return boards.Board(**{**given, "flash": 256 * 1024, "ram": 64 * 1024, "source": "none", **changes})


def test_every_core_of_a_board_is_known():
    assert all(cores.of_board(board(core=core)) for core in boards.CORES)
    assert set(cores.names()) == {cores.of_board(board(core=core)).name for core in boards.CORES}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"core": "z80"}, r"`core` of board 'mine' must be one of 'cortex-m0\+', 'cortex-m4', .*, received 'z80'"),
        ({"clock_mhz": 0}, r"`clock_mhz` of board 'mine' must be a finite number above 0, received 0"),
        ({"ram": -1}, r"`ram` of board 'mine' must be a finite number above 0, received -1"),
        ({"name": ""}, r"`name` of a board must be a string that is not empty"),
    ],
)
def test_wrong_boards(changes, message):
    with pytest.raises(ValueError, match=message):
        boards.register(board(**changes))


def test_only_boards_are_registered():
    with pytest.raises(TypeError, match=r"`board` must be a keras_pit\.boards\.Board, .*received 'mine' \(str\)"):
        boards.register("mine")


def network() -> keras.Model:
    inputs = keras.Input((64, 4))
    x = layers.Conv1D(16, 5, padding="same", activation="relu", name="conv")(inputs)
    return keras.Model(inputs, layers.Dense(3, name="out")(layers.GlobalAveragePooling1D()(x)))


def test_model_and_file_fit_with_the_same_margins(tmp_path):
    model = network()
    x = np.random.default_rng(0).normal(size=(16, 64, 4)).astype("float32")
    tflite = keras_pit.to_tflite(model, x)
    of_model, of_file = keras_pit.fits(model, "nano33ble"), keras_pit.fits(tflite, "nano33ble")
    assert of_model and of_file
    assert keras_pit.fits(bytearray(tflite), "nano33ble") == of_file
    (tmp_path / "model.tflite").write_bytes(tflite)
    assert keras_pit.fits(tmp_path / "model.tflite", "nano33ble") == of_file
    assert keras_pit.fits(str(tmp_path / "model.tflite"), "nano33ble") == of_file
    assert of_file.flash.used == len(tflite)
    assert of_model.flash.used == pytest.approx(len(tflite), rel=0.02)
    assert of_model.ram.used == of_file.ram.used == keras_pit.cost(model, "ram")
    assert of_model.latency.used == pytest.approx(of_file.latency.used) == keras_pit.cost(model, "latency")
    assert of_file.flash.margin == 2**20 - boards.RESERVED.flash - len(tflite)
    assert of_file.latency.margin is None


def test_what_does_not_fit_says_by_how_much():
    model, board = network(), boards.Board("tiny", "Tiny", "X", "cortex-m4", 10, 8192, 4096, "none")
    boards.register(board)
    found = keras_pit.fits(model, board, latency=1000.0, reserved=boards.Reserved(8000, 0))
    assert not found
    assert found.flash.margin == 192 - found.flash.used < 0
    assert "does not fit Tiny (cortex-m4, 10 MHz)" in str(found)
    assert "set aside: 8,000 B of flash, 0 B of RAM" in str(found)
    assert not keras_pit.fits(model, "nano33ble", latency=1e-3)
    assert keras_pit.fits(model, "nano33ble", latency=1e3).as_dict()["fits"] is True


def test_search_model_fits_as_it_would_be_exported():
    search = keras_pit.convert(network())
    search.get_layer("conv").alpha.assign([0.6] * 4 + [0.4] * 12)
    slim = keras_pit.export(search)
    assert keras_pit.fits(search, "pico") == keras_pit.fits(slim, "pico")


def test_what_is_no_network_is_refused():
    with pytest.raises(TypeError, match=r"Expected a keras\.Model, received None"):
        keras_pit.fits(None, "pico")
    with pytest.raises(FileNotFoundError, match=r"no\.tflite"):
        keras_pit.fits(pathlib.Path("no.tflite"), "pico")


def test_wrong_bounds_and_boards_are_refused():
    for wrong in (-1, 0, float("nan")):
        with pytest.raises(ValueError, match=rf"`latency` must be a finite number above 0, received {wrong!r}"):
            keras_pit.fits(network(), "pico", latency=wrong)
    with pytest.raises(TypeError, match=r"`board` must be a keras_pit\.boards\.Board .*received None"):
        keras_pit.fits(network(), None)


@pytest.mark.parametrize(("quantization", "dtype"), [("int16x8", "int16"), (None, "float32")])
def test_files_of_other_numbers_are_refused(quantization, dtype):
    x = np.random.default_rng(0).normal(size=(4, 64, 4)).astype("float32")
    tflite = keras_pit.to_tflite(network(), x, quantization=quantization, verify=False)
    with pytest.raises(DeploymentError, match=rf"The file computes with {dtype} \(.*\): expected int8"):
        keras_pit.fits(tflite, "pico")
