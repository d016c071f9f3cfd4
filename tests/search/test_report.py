"""The report: what was found, layer by layer, as a table, as dictionaries and as a picture."""

import json

import keras
import numpy as np
import pytest
from keras import layers
from rich.console import Console

import keras_pit
from examples import networks


def searched() -> keras_pit.SearchModel:
    inputs = keras.Input((16, 3), name="x")
    x = layers.Conv1D(4, 9, padding="causal", name="long")(inputs)
    x = layers.LayerNormalization(name="norm")(layers.Conv1D(4, 1, name="point")(x))
    search = keras_pit.convert(keras.Model(inputs, layers.Dense(2, name="out")(layers.Flatten()(x)), name="net"))
    layer = search.get_layer("long")
    layer.alpha.assign([0.6, 0.4, 0.6, 0.4])
    layer.beta.assign([0.6] * 7 + [0.4] * 2)
    layer.gamma.assign([0.4, 0.6, 0.6, 0.6])
    return search


def test_rows_and_totals():
    search = searched()
    report = keras_pit.summary(search)
    long, point, out = report.layers
    assert (long.before.channels, long.after.channels) == (4, 2)
    assert (long.before.kernel, long.after.kernel, long.after.dilation) == ((9,), (4,), (2,))
    assert (long.after.size, long.after.macs) == (4 * 3 * 2 + 2, 16 * 4 * 3 * 2)
    assert long.searched == ("channels", "kernel", "dilation")
    assert long.frozen is None
    assert point.frozen == "meets LayerNormalization 'norm', which is not followed"
    assert out.frozen == "reaches the output 'out'"
    assert [(kept.name, kept.kind, kept.size, kept.macs) for kept in report.kept] == [
        ("norm", "LayerNormalization", 8, 0)
    ]
    for metric in ("size", "macs"):
        assert report.total("after", metric) == keras_pit.cost(keras_pit.export(search), metric)


def test_dictionary_is_json_and_complete():
    found = json.loads(json.dumps(keras_pit.summary(searched()).as_dict()))
    assert found["layers"][0]["after"]["kernel"] == [4]
    assert found["total"]["before"]["size"] == 4 * 27 + 4 + 4 * 4 + 4 + 2 * 4 + 64 * 2 + 2


def test_table_tells_what_changed_and_why_not():
    text = str(keras_pit.summary(searched()))
    for words in (
        "long (Conv1D)",
        "4→2",
        "9→4",
        "1→2",
        "reaches the output 'out'",
        "norm (LayerNormalization)",
    ):
        assert words in text


def test_plain_model_and_open_length():
    inputs = keras.Input((None, 3))
    report = keras_pit.summary(keras.Model(inputs, layers.Conv1D(4, 3, name="conv")(inputs)))
    (row,) = report.layers
    assert row.before == row.after
    assert (row.before.size, row.before.macs) == (40, None)
    assert report.total("before", "macs") is None


def test_picture_is_written(tmp_path):
    path = keras_pit.summary(searched()).plot(tmp_path / "net.png")
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_what_is_no_model_is_refused():
    for wrong in (np.zeros(3), None, "model"):
        with pytest.raises(TypeError, match=r"Expected a keras\.Model"):
            keras_pit.summary(wrong)


def test_nothing_is_cut_off_in_80_columns():
    search = keras_pit.convert(networks.tcn())
    for layer in search.search_layers:
        for mask, least in ((layer.alpha, 9), (layer.gamma, 1)):
            if mask is not None:
                mask.assign(np.where(np.arange(mask.shape[0]) >= least, 0.6, 0.4))
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(keras_pit.summary(search))
    shown = capture.get()
    for words in ("not searched", "unknown", "13.3k→", "25→13"):
        assert words in shown
