"""Examples in a short form: small seeds, few samples, an epoch."""

import json
import pathlib
from functools import partial

import pytest
import tensorflow as tf

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def where_examples_find_each_other(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))


def given(example, tmp_path, *options):
    return example.parser().parse_args([*options, "--output", str(tmp_path)])


def test_front(tmp_path, monkeypatch):
    import front

    # A seed of one layer: what takes long is tracing its search.
    monkeypatch.setattr(front, "tcn", partial(front.tcn, depth=1, channels=8))
    found = front.main(given(front, tmp_path, "--points", "1", "--epochs", "1", "--every", "60"))
    assert len(found) == 1 and not found.failures
    assert found[0].costs["size"] <= found[0].bound["size"]
    assert json.loads((tmp_path / "front.json").read_text())["points"][0]["costs"] == found[0].costs
    assert (tmp_path / "front.png").stat().st_size > 5000 and (tmp_path / "front.html").stat().st_size > 5000


def test_loop(tmp_path):
    """Some epochs are enough to see channels go, digits told apart, and what was searched exported."""
    import loop

    table = loop.main(**vars(given(loop, tmp_path, "--epochs", "4", "--factor", "1e-5")))
    assert table["slim"]["macs"] == table["search"]["macs"] < 0.9 * table["seed"]["macs"]
    assert table["slim"]["error of the export"] < 1e-5
    assert abs(table["slim"]["accuracy"] - table["search"]["accuracy"]) < 0.05 and table["slim"]["accuracy"] > 0.2
    assert (tmp_path / "slim.tflite").stat().st_size == table["slim"]["bytes"]


@pytest.mark.filterwarnings("ignore:Even though:UserWarning")
def test_stream(tmp_path, monkeypatch, request):
    """Each decision of the stream is the one of the window that ends there, number for number."""
    import stream

    tf.config.run_functions_eagerly(True)  # tracing takes longer than a few steps
    request.addfinalizer(lambda: tf.config.run_functions_eagerly(False))
    monkeypatch.setattr(stream, "network", partial(stream.network, 6))
    table = stream.main(**vars(given(stream, tmp_path, "--epochs", "1", "--every", "30", "--share", "0.7")))
    assert table["stream"]["decisions"] > 100 and table["stream"]["largest difference in steps"] == 0
    assert table["slim"]["streaming_latency"] <= 0.7 * table["seed"]["streaming_latency"]
    assert (tmp_path / "firmware" / "model_data.cc").is_file()


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_is_short(path):
    """Networks are a list, and the demo is the whole way."""
    most = {"networks.py": 400, "watch.py": 230}.get(path.name, 150)
    assert len(path.read_text().splitlines()) < most
