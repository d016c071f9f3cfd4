"""Arguments: every public function refuses what it cannot use, in words, and takes numpy's numbers.

A table: functions, their arguments, and what each does not take. What is of a wrong type is a TypeError, what is of the
right type and cannot be used a ValueError; both name the argument and show what came. None of the raw errors of Python
comes through, as "object is not iterable" or "unhashable type".
"""

import json
import math
import pathlib
import re

import keras
import numpy as np
import pytest
from keras import layers

import keras_pit
from keras_pit import boards, callbacks, checks, costs, deployment
from keras_pit.costs import cores

NAN, INF, HUGE = math.nan, math.inf, 1e300
SOMETHING = object()

NO_NUMBER = [None, True, False, "1", b"1", [1], (), {}, SOMETHING, np.zeros(2), 1j, np.bool_(True)]
NOT_FINITE = [NAN, INF, -INF, HUGE, -HUGE, 10**400, np.float32("nan"), np.float64("inf")]
NEGATIVE = [*NOT_FINITE, -1, -1e-9, np.int64(-1), np.float32(-2)]
NOT_POSITIVE = [*NEGATIVE, 0, 0.0, -0.0, 1e-300, np.int8(0)]
NO_STRING = [None, True, 3, 2.5, b"x", [], ["x"], {}, SOMETHING, {"x"}]
NO_FLAG = [None, 0, 1, "yes", "False", [], SOMETHING]
NO_PATH = [None, True, 3, b"x", ["x"], {}, SOMETHING]
NO_LIST = [3, 2.5, True, "abc", b"abc", {"a": 1}, SOMETHING]


def network() -> keras.Model:
    inputs = keras.Input((8, 3))
    x = layers.Conv1D(4, 3, name="conv")(inputs)
    return keras.Model(inputs, layers.Dense(2, name="out")(layers.Flatten()(x)), name="net")


MODEL = network()
X = np.random.default_rng(0).normal(size=(8, 8, 3)).astype("float32")
SEARCH = keras_pit.convert(MODEL)
SWEEP = {"model": MODEL, "x": lambda model, stage: None, "validation_data": (X, X), "directory": "front"}
TFLITE = keras_pit.to_tflite(MODEL, X, verify=False)
REPORT, SUMMARY = keras_pit.profile(TFLITE), keras_pit.summary(MODEL)
BOARD = {"name": "mine", "title": "Mine", "chip": "X", "core": "cortex-m4", "clock_mhz": 80, "flash": 2**18}
BOARD |= {"ram": 2**16, "source": "none"}
NO_MODEL = [None, True, 3, "model.keras", pathlib.Path("model.keras"), b"x", [MODEL], {}, SOMETHING, keras.Model]
NO_MODEL += [MODEL.layers[1], np.zeros(3)]


def set_strength(value):
    SEARCH.strength = value


def scheduled(value):
    schedule = callbacks.StrengthSchedule(lambda epoch: value)
    schedule.set_model(SEARCH)
    schedule.on_epoch_begin(3)


FUNCTIONS = {
    "convert": lambda **a: keras_pit.convert(**{"model": MODEL, **a}),
    "widen": lambda **a: keras_pit.widen(**{"model": MODEL, **a}),
    "sweep": lambda **a: keras_pit.sweep(**{**SWEEP, **a}),
    "export": keras_pit.export,
    "cost": lambda **a: keras_pit.cost(**{"model": MODEL, **a}),
    "soft_cost": lambda **a: keras_pit.soft_cost(**{"search": SEARCH, **a}),
    "get_regularization_loss": keras_pit.get_regularization_loss,
    "mask_variables": keras_pit.mask_variables,
    "net_variables": keras_pit.net_variables,
    "summary": lambda **a: keras_pit.summary(**{"model": MODEL, **a}),
    "Report.total": lambda **a: SUMMARY.total(**{"when": "before", "metric": "size", **a}),
    "Report.plot": SUMMARY.plot,
    "SearchModel.strength": lambda strength: set_strength(strength),
    "PITConv1D": lambda **a: keras_pit.layers.PITConv1D(4, 3, **a),
    "to_tflite": lambda **a: keras_pit.to_tflite(**{"model": MODEL, "calibration": X, "verify": False, **a}),
    "quantize_aware": lambda **a: keras_pit.quantize_aware(**{"model": MODEL, **a}),
    "profile": keras_pit.profile,
    "DeploymentReport.milliseconds": lambda **a: REPORT.milliseconds(**{"core": "cortex-m4", "clock_mhz": 64, **a}),
    "DeploymentReport.plot": lambda **a: REPORT.plot(**{"path": "/nowhere/at/all.png", **a}),
    "fits": lambda **a: keras_pit.fits(**{"model": MODEL, "board": "pico", **a}),
    "deploy": lambda **a: keras_pit.deploy(**{"model": TFLITE, "directory": "/nowhere/at/all", **a}),
    "trim": deployment.trim,
    "verify": lambda **a: deployment.verify(**{"tflite": TFLITE, "samples": X, **a}),
    "run_tflite_micro": lambda **a: deployment.run_tflite_micro(**{"tflite": TFLITE, "inputs": X, **a}),
    "run_litert": lambda **a: deployment.run_litert(**{"tflite": TFLITE, "inputs": X, **a}),
    "run_stream": lambda **a: deployment.run_stream(**{"tflite": TFLITE, "recordings": X[None], **a}),
    "boards.get": boards.get,
    "boards.register": boards.register,
    "Board": lambda **a: boards.Board(**{**BOARD, **a}),
    "Board.bounds": boards.get("nano33ble").bounds,
    "Board.target": boards.get("nano33ble").target,
    "Reserved": lambda **a: boards.Reserved(**{"flash": 0, "ram": 0, **a}),
    "costs.get": costs.get,
    "costs.register": lambda **a: costs.register(**{"name": "mine", **a}),
    "costs.register()": lambda function: costs.register("mine")(function),
    "cores.get": cores.get,
    "WarmUp": callbacks.WarmUp,
    "StopWhenSettled": callbacks.StopWhenSettled,
    "StrengthSchedule": callbacks.StrengthSchedule,
    "StrengthSchedule()": lambda schedule: scheduled(schedule),
    "BestWithinTarget": lambda **a: callbacks.BestWithinTarget(**{"filepath": "best.keras", **a}),
    "ArchitectureLog.plot": callbacks.ArchitectureLog().plot,
}

NO_FILE = [None, True, 3, ["x"], {}, SOMETHING, MODEL]
WRONG = [
    # function, argument, TypeErrors, ValueErrors
    ("convert", "model", NO_MODEL, []),
    (
        "convert",
        "regularizer",
        [3, True, [3], [None], [["size"]], b"size", SOMETHING, {3: 1.0}],
        ["flops", "", [], {}, ["size", "x"]],
    ),
    (
        "convert",
        "regularizer",
        [{"size": value} for value in NO_NUMBER],
        [{"size": value} for value in [*NOT_POSITIVE, 1e30]],
    ),
    ("convert", "strength", NO_NUMBER, [*NEGATIVE, 1e30]),
    (
        "convert",
        "target",
        [True, [1], (), b"pico", SOMETHING, np.zeros(2), 1j, {3: 1.0}],
        [*NOT_POSITIVE, "nano34", "", {}],
    ),
    ("convert", "target", [{"size": value} for value in NO_NUMBER], [{"size": value} for value in NOT_POSITIVE]),
    (
        "convert",
        "input_shape",
        [3, 2.5, True, "8", b"8", SOMETHING, ("8", 3), (8.0, 3), [True, 3], {"x": "y"}],
        [(0, 3), (-1, 3), [(8, -3)]],
    ),
    (
        "convert",
        "exclude",
        [None, 3, True, b"conv", [3], [None], [["conv"]], [MODEL.layers[1]], SOMETHING],
        ["none", ["conv", "x"], int],
    ),
    (
        "convert",
        "search",
        [None, 3, True, b"kernel", [3], [None], [["kernel"]], {"kernel": 1}, SOMETHING],
        ["depth", "", [], ["kernel", "x"]],
    ),
    ("convert", "round_to", NO_NUMBER, [*NOT_POSITIVE, 1.5, 2.0]),
    ("widen", "model", NO_MODEL, []),
    ("widen", "kernels", NO_NUMBER, [*NOT_POSITIVE, 1.5, 2.0]),
    ("sweep", "model", NO_MODEL, []),
    ("sweep", "points", NO_NUMBER, [*NOT_POSITIVE, 1.5, 2.0]),
    ("sweep", "directory", NO_PATH, []),
    ("sweep", "descent", NO_FLAG, []),
    ("export", "search", [*NO_MODEL, MODEL], []),
    ("cost", "model", NO_MODEL, []),
    ("cost", "metric", NO_STRING, ["flops", "", "size:pico", "ram:nowhere"]),
    ("soft_cost", "search", [*NO_MODEL, MODEL], []),
    ("soft_cost", "metric", NO_STRING, ["flops", ""]),
    ("get_regularization_loss", "search", [*NO_MODEL, MODEL], []),
    ("mask_variables", "search", [*NO_MODEL, MODEL], []),
    ("net_variables", "search", [*NO_MODEL, MODEL], []),
    ("summary", "model", NO_MODEL, []),
    ("Report.total", "when", NO_STRING, ["now", ""]),
    ("Report.total", "metric", NO_STRING, ["flops", "ram"]),
    ("Report.plot", "path", NO_PATH, [""]),
    ("SearchModel.strength", "strength", NO_NUMBER, [*NEGATIVE, 1e30]),
    (
        "PITConv1D",
        "search",
        [3, True, b"kernel", [3], [None], [["kernel"]], {"kernel": 1}, SOMETHING],
        ["depth", ["kernel", "x"]],
    ),
    ("summary", "streaming", NO_FLAG, []),
    ("to_tflite", "model", NO_MODEL, []),
    (
        "to_tflite",
        "calibration",
        [3, 2.5, True, "x", b"x", SOMETHING, iter([X]), abs],
        [[], X[0], [X, X], {"x": X}, X * NAN],
    ),
    ("to_tflite", "quantization", [True, 3, b"int8", ["int8"], {}, {"int8"}, SOMETHING], ["int4", ""]),
    ("to_tflite", "logits", NO_FLAG, []),
    ("to_tflite", "core", [3, b"x", ["cortex-m4"], {}, SOMETHING], ["z80", ""]),
    ("to_tflite", "streaming", NO_FLAG, []),
    ("to_tflite", "decide_every", NO_NUMBER, [*NOT_POSITIVE, 1.5, 2]),
    ("to_tflite", "verify", NO_FLAG, []),
    ("quantize_aware", "model", NO_MODEL, []),
    ("quantize_aware", "calibration", [3, True, "x", SOMETHING], [[], X[0], [X, X]]),
    ("profile", "tflite", NO_FILE, [b"", b"no flatbuffer", ""]),
    ("DeploymentReport.milliseconds", "core", NO_STRING, ["z80", ""]),
    ("DeploymentReport.milliseconds", "clock_mhz", NO_NUMBER, NOT_POSITIVE),
    ("DeploymentReport.plot", "path", NO_PATH, [""]),
    ("DeploymentReport.plot", "core", NO_STRING, ["z80"]),
    ("fits", "model", [None, True, 3, [MODEL], {}, SOMETHING, keras.Model], [b"no flatbuffer", ""]),
    ("fits", "board", [None, True, 3, b"pico", ["pico"], {}, SOMETHING], ["nano34", ""]),
    ("fits", "latency", [value for value in NO_NUMBER if value is not None], NOT_POSITIVE),
    ("fits", "streaming", NO_FLAG, []),
    ("fits", "decide_every", NO_NUMBER, [*NOT_POSITIVE, 1.5, 2]),
    ("fits", "reserved", [None, 3, True, "x", (0, 0), {"flash": 0, "ram": 0}, SOMETHING], [boards.Reserved(2**40, 0)]),
    ("deploy", "model", [None, True, 3, [MODEL], {}, SOMETHING, keras.Model], [b"no flatbuffer", ""]),
    ("deploy", "directory", NO_PATH, [""]),
    ("deploy", "test_data", [3, True, "x", SOMETHING], [[], [X, X]]),
    ("deploy", "labels", [*NO_LIST, [1, 2], [None, "a"], [["a"], "b"]], [["a"], ["a", "a"], ["", "a"]]),
    ("deploy", "name", NO_STRING, ["", "2x", "log", "a b"]),
    ("deploy", "streaming", NO_FLAG, []),
    ("deploy", "decide_every", NO_NUMBER, [*NOT_POSITIVE, 1.5, 2]),
    ("deploy", "core", NO_STRING, ["z80", "m4"]),
    ("deploy", "margin", NO_NUMBER, [*NEGATIVE, 11]),
    ("deploy", "overwrite", NO_FLAG, []),
    ("trim", "tflite", NO_FILE, [b"", b"no flatbuffer"]),
    ("verify", "tflite", NO_FILE, [b"no flatbuffer"]),
    ("verify", "limit", NO_NUMBER, [*NOT_POSITIVE, 1.5]),
    ("verify", "timeout", NO_NUMBER, NOT_POSITIVE),
    ("run_tflite_micro", "tflite", NO_FILE, [b"no flatbuffer"]),
    ("run_tflite_micro", "timeout", NO_NUMBER, NOT_POSITIVE),
    ("run_tflite_micro", "arena_bytes", NO_NUMBER, [*NOT_POSITIVE, 1.5]),
    ("run_litert", "tflite", NO_FILE, [b"no flatbuffer"]),
    ("run_stream", "tflite", NO_FILE, [b"no flatbuffer"]),
    ("run_stream", "recordings", [], [X[0, 0], [], 3]),
    ("run_stream", "timeout", NO_NUMBER, NOT_POSITIVE),
    ("boards.get", "name", [*NO_STRING, boards.get("pico")], ["", "nano34", "Pico"]),
    ("boards.register", "board", [None, 3, "pico", {}, [], SOMETHING, boards.Board], [boards.get("pico")]),
    *(("Board", name, NO_STRING, [""] if name == "name" else []) for name in ("name", "title", "chip", "source")),
    ("Board", "core", NO_STRING, ["", "z80"]),
    *(("Board", name, NO_NUMBER, NOT_POSITIVE) for name in ("clock_mhz", "flash", "ram")),
    ("Board", "external_flash", NO_FLAG, []),
    ("Board.bounds", "reserved", [None, 3, "x", (0, 0), {}], [boards.Reserved(0, 2**40)]),
    ("Board.target", "reserved", [None, 3, "x", (0, 0), {}], [boards.Reserved(2**40, 0)]),
    ("Board.target", "latency", [value for value in NO_NUMBER if value is not None], NOT_POSITIVE),
    *(("Reserved", name, NO_NUMBER, NEGATIVE) for name in ("flash", "ram")),
    ("costs.get", "name", [*NO_STRING, costs.get("size")], ["", "flops", ":", "size:pico", "ram:x"]),
    ("costs.register", "name", [*NO_STRING, abs], ["", "a:b", "loss", "val_x"]),
    ("costs.register", "whole", NO_FLAG, []),
    ("costs.register", "replace", NO_FLAG, []),
    ("costs.register()", "function", [None, 3, "x", [], SOMETHING], []),
    ("cores.get", "name", NO_STRING, ["", "z80"]),
    ("WarmUp", "epochs", NO_NUMBER, [*NEGATIVE, 1.5, 2.0]),
    ("StopWhenSettled", "patience", NO_NUMBER, [*NOT_POSITIVE, 1.5]),
    ("StrengthSchedule", "schedule", [None, 3, "x", [], SOMETHING], []),
    ("StrengthSchedule()", "schedule", NO_NUMBER, [*NEGATIVE, 1e30]),
    ("BestWithinTarget", "filepath", NO_PATH, [""]),
    ("BestWithinTarget", "monitor", NO_STRING, [""]),
    ("ArchitectureLog.plot", "path", NO_PATH, [""]),
]

NAMES = {
    "model": r"keras\.Model|\.tflite",
    "search": r"`search`|[Ss]earch model",
    "tflite": r"\.tflite",
    "metric": r"`metric`|cost|[Bb]oard",
    "calibration": "calibration",
    "test_data": "test_data",
    "name": r"`name`|name|board|cost|`core`",
    "board": "[Bb]oard",
    "target": "`target|[Bb]oard",
    "regularizer": "`regularizer|cost",
    "labels": "[Ll]abel",
    "reserved": "reserved",
    "filepath": "filepath",
    "function": "function",
}
"""How errors name an argument, where not by its name in backticks."""
RAW = re.compile(
    r"not iterable|unhashable|has no attribute|not subscriptable|not supported between|argument of type|NoneType"
)


def cases():
    for function, argument, types, values in WRONG:
        yield from ((function, argument, TypeError, value) for value in types)
        yield from ((function, argument, ValueError, value) for value in values)


def test_the_table_has_every_public_function():
    assert len(list(cases())) >= 900
    public = {name for name in keras_pit.__all__ if callable(getattr(keras_pit, name)) and name[0].islower()}
    assert public <= set(FUNCTIONS)


@pytest.mark.parametrize(
    ("function", "argument", "types", "values"), WRONG, ids=lambda x: x if isinstance(x, str) else ""
)
def test_wrong_arguments_are_told(function, argument, types, values):
    for error, value in [*((TypeError, value) for value in types), *((ValueError, value) for value in values)]:
        with pytest.raises((TypeError, ValueError, keras_pit.DeploymentError)) as caught:
            FUNCTIONS[function](**{argument: value})
        said = f"{function}({argument}={checks.described(value)}) says {type(caught.value).__name__}: {caught.value}"
        damaged = isinstance(value, bytes) and isinstance(caught.value, keras_pit.DeploymentError)
        assert type(caught.value) is error or damaged, said
        assert re.search(NAMES.get(argument, f"`{argument}`"), str(caught.value)), said
        if error is TypeError:
            assert re.search("(must be|Expected) .* received|is missing: write", str(caught.value)), said
        assert not RAW.search(str(caught.value)), said


def test_nothing_is_written_and_nothing_changes_when_an_argument_is_wrong():
    before = SEARCH.strength
    for wrong in (NAN, "1", None, 1e300):
        with pytest.raises((TypeError, ValueError)):
            SEARCH.strength = wrong
    assert SEARCH.strength == before
    assert not pathlib.Path("/nowhere").exists()


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int8, np.int32, np.uint64, int, float])
def test_numbers_of_all_kinds_are_taken(kind):
    whole = kind if issubclass(kind, (int, np.integer)) else int
    search = keras_pit.convert(MODEL, {"size": kind(2)}, strength=kind(3), round_to=whole(2))
    search.strength = kind(1)
    assert search.strength == 1.0
    assert type(checks.number(kind(2), "x")) is float
    reserved = boards.Reserved(kind(8), kind(0))
    large = (np.int32 if kind is np.int8 else whole)(60_000)
    board = boards.Board("kinds", "", "", "cortex-m4", kind(64), large, large, "")
    found = keras_pit.fits(TFLITE, board, latency=kind(100), reserved=reserved)
    assert found and json.loads(json.dumps(found.as_dict()))["reserved"] == {"flash": 8, "ram": 0}
    assert REPORT.milliseconds("cortex-m4", kind(64)) == REPORT.milliseconds("cortex-m4", 64)
    assert callbacks.WarmUp(whole(3)).epochs == callbacks.StopWhenSettled(whole(3)).patience == 3
    json.dumps(search.get_config())


def test_a_model_of_keras_2_is_named_as_such():
    tf_keras = pytest.importorskip("tf_keras")
    model = tf_keras.Sequential([tf_keras.layers.Dense(2, input_shape=(3,))])
    for function in (keras_pit.convert, keras_pit.cost, keras_pit.summary, keras_pit.quantize_aware):
        with pytest.raises(TypeError, match=r"received a Sequential of tf_keras, which is Keras 2: .*import keras"):
            function(model)


@pytest.mark.parametrize("value", [NAN, INF, -1, "1", None, True, np.ones(2)])
@pytest.mark.parametrize("whole", [False, True])
def test_costs_of_users_are_checked_wherever_they_are_computed(value, whole):
    name = f"wrong_{whole}"
    costs.register(name, whole=whole, replace=True)(lambda *_: value)
    for compute in (keras_pit.convert, keras_pit.cost):
        with pytest.raises(ValueError, match=rf"Cost '{name}' .*expected a finite number of at least 0"):
            compute(MODEL, name)
    # A cost that goes wrong in the course of a search.
    costs.register(name, replace=True)(lambda stage: stage.outputs)
    search = keras_pit.convert(MODEL, name)
    costs.register(name, replace=True)(lambda stage: value)
    with pytest.raises(ValueError, match=rf"Cost '{name}' .*expected a finite number of at least 0"):
        keras_pit.cost(search, name)


def test_what_is_searched_is_saved_in_one_order():
    for given in ({"dilation", "channels"}, ["dilation", "channels"], ("channels", "dilation")):
        assert keras_pit.convert(MODEL, search=given).get_config()["search"] == ("channels", "dilation")
    names = keras_pit.convert(MODEL, {"size", "macs"}).get_config()["regularizer"]
    assert list(names) == ["macs", "size"]
