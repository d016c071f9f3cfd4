"""The report of a run: complete, self-contained, escaped, and read by a real browser at two widths."""

import json
import re

import pytest
from browser import DESKTOP, PHONE, browser, look  # noqa: F401  a fixture

import keras_pit
from keras_pit import runs

MODEL = "tflite/watch/model.tflite"
NASTY = "<script>alert('x')</script>"


def shape(channels):
    return {"channels": channels, "kernel": [9], "dilation": [1], "size": 9 * channels, "macs": 90 * channels}


def request(**changes):
    asked = {
        "model": "waves", "regularizer": "macs", "strength": 2.0, "target": {"macs": 20000.0}, "exclude": [],
        "round_to": 1, "board": "pico", "latency": 20.0, "epochs": 3, "fine_tune": None, "batch_size": 32,
        "learning_rate": 1e-3, "seed": 0,
    }  # fmt: skip
    return {**asked, **changes}


def history(name="conv"):
    layers = {name: {"channels": 8, "span": 9, "dilation": 1}}
    logs = {"loss": 0.5, "accuracy": 0.9, "macs": 30000.0}
    search = [{"phase": "search", "epoch": epoch, "logs": logs, "layers": layers} for epoch in range(3)]
    return [*search, {"phase": "fine-tune", "epoch": 0, "logs": {"loss": 0.4, "val_loss": 0.6}}]


def result(name="conv"):
    profile = keras_pit.profile(MODEL)
    costs = {"size": 90.0, "macs": 900.0, "flash": 8124.0, "ram": 9464.0, "latency": 51.8}
    layer = {"name": name, "kind": "Conv1D", "before": shape(16), "after": shape(8), "searched": ["channels"]}
    models = [
        {"model": "seed", "accuracy": 0.95, "costs": {**costs, "latency": None}},
        {"model": "slim", "accuracy": 0.9375, "costs": costs},
        {"model": "slim int8 on TFLite-Micro", "accuracy": 0.925, "costs": costs, "file": 8124, "arena": 10048},
    ]
    return {
        "measured on": {"data": "x_val", "samples": 80, "held out": True},
        "task": "classes",
        "told": "cross-entropy of classes",
        "unmet": [],
        "models": models,
        "layers": {"model": "waves", "layers": [{**layer, "frozen": None}], "kept": [], "total": {}, "unknown": []},
        "profile": profile.as_dict(),
        "boards": [keras_pit.fits(MODEL, board, latency=20).as_dict() for board in ("pico", "teensy41")],
        "memory": {"core": "cortex-m4", "layers": [name] * len(profile.operators), "rows": profile.memory()},
        "confusion": [[38, 2], [4, 36]],
    }


@pytest.fixture
def folder(tmp_path):
    def written(asked=None, epochs=(), found=None):
        run = runs.Folder(tmp_path / "run")
        run.put_json("request.json", asked or request())
        run.put("history.jsonl", lambda path: path.write_text("".join(json.dumps(row) + "\n" for row in epochs)))
        if found is not None:
            run.put_json("result.json", found)
        return run

    return written


def test_a_browser_shows_it_all(folder, browser):  # noqa: F811
    page = runs.report(folder(epochs=history(), found=result()))
    assert page.name == "report.html"
    for size in (DESKTOP, PHONE):
        look(browser, page, size)
        titles = [one.text for one in browser.find_elements("css selector", "h2")]
        expected = ["Result", "What was searched", "Over time", "Architecture", "Accuracy", "Costs by layer", "Memory"]
        assert titles == [*expected, "Boards", "Next steps"]
        sizes = browser.execute_script("return [...document.images].map(image => [image.complete, image.naturalWidth])")
        assert len(sizes) == 6 and all(complete and width > 100 for complete, width in sizes)
    text = browser.find_element("tag name", "main").text
    for told in ("93.75%", "92.50%", "macs at most 20,000", "does not fit", "PJRC Teensy 4.1", "keras-pit deploy"):
        assert told in text
    rows = browser.find_elements("css selector", "#accuracy tbody tr")
    assert [row.text.split() for row in rows] == [["0", "38", "2", "95.00%"], ["1", "4", "36", "90.00%"]]


def test_nothing_is_outside_of_the_page(folder):
    text = runs.report(folder(epochs=history(), found=result())).read_text()
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert sources and all(source.startswith(("data:image/svg+xml;base64,", "#")) for source in sources)
    assert "<script" not in text and "url(" not in text and "@import" not in text
    assert all(f'id="{source[1:]}"' in text for source in sources if source.startswith("#"))


def test_names_are_escaped(folder):
    run = folder(request(model=NASTY, exclude=[NASTY]), history(NASTY), result(NASTY))
    text = runs.report(run).read_text()
    assert "<script" not in text and "&lt;script&gt;" in text


def test_a_run_that_is_not_over(folder, tmp_path):
    page = runs.report(folder(epochs=history()[:2]), tmp_path / "elsewhere" / "page.html")
    text = page.read_text()
    assert page == tmp_path / "elsewhere" / "page.html"
    assert "not over (2 epochs so far)" in text and "Call the same" in text and 'id="accuracy"' not in text
    assert runs.report(folder()).read_text().count("<section") == 3


def test_without_matplotlib_it_says_what_is_missing(folder, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    text = runs.report(folder(epochs=history(), found=result())).read_text()
    assert "pip install &quot;keras_pit[plot]&quot;" in text and "<img" not in text


def test_what_is_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no run in"):
        runs.report(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="is a file"):
        runs.report(tmp_path / "file")
