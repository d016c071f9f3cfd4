"""What a front tells: tables, dictionaries, pictures, the best point within bounds."""

import json

import pytest
from sweeps.fake import VALUES, fronts

import keras_pit
from keras_pit.sweeps import hypervolume
from keras_pit.sweeps.measure import higher_is_better, monitored
from keras_pit.sweeps.pareto import undominated
from keras_pit.sweeps.store import Step, Store


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("front")
    fronts(directory)
    return directory


@pytest.fixture
def front(directory):
    return keras_pit.Front.load(directory)


def test_best(front):
    large, small = front
    assert front.best() is large
    assert front.best(max_flash=large.costs["flash"]) is large
    assert front.best(max_flash=large.costs["flash"] - 1) is small
    assert front.best(max_latency=small.costs["latency"], max_ram=1e6) is small
    assert front.best(max_macs=1e9, min_accuracy=0.7) is large
    assert front.best(min_accuracy=0.6) is small  # nothing but an accuracy: the cheapest
    assert front.best(min_accuracy=0.7) is large
    assert keras_pit.cost(front.best(max_size=large.costs["size"]).model()) == large.costs["size"]


def test_nothing_is_best(front):
    with pytest.raises(ValueError, match=r"accuracy of at least 0\.95: the best that meets the other bounds has 0\.75"):
        front.best(min_accuracy=0.95)
    with pytest.raises(ValueError, match=r"flash of at most 10 .*the least of all points is flash 1,\d{3}"):
        front.best(max_flash=10, min_accuracy=0.1)
    with pytest.raises(TypeError, match="`max_ram` must be a finite number"):
        front.best(max_ram="32k")


def test_less_is_better(directory, tmp_path):
    """Where a loss is monitored, the least counts."""
    front = fronts(tmp_path, {name: (1 - a, 1 - b) for name, (a, b) in VALUES.items()}, monitor="loss")
    for step in Store(tmp_path).steps():
        path = Store(tmp_path).folder(step) / "figures.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "monitor": "loss", "higher_is_better": False}))
    front = keras_pit.Front.load(tmp_path)
    assert front.best() is front[0] and front.best(min_accuracy=0.4) is front[1]
    with pytest.raises(ValueError, match=r"loss of at most 0\.1"):
        front.best(min_accuracy=0.1)


def test_dominated_points(tmp_path):
    front = fronts(tmp_path, {**VALUES, "point-0-1": (0.5, 0.5)})
    assert [(point.number, kept) for point, kept in front.rank("size")] == [(2, True), (1, False)]
    assert [row["dominated"] for row in front.as_dict()["points"]] == [True, False]
    assert undominated([(1, 1), (1, 1), (2, 1), (2, 2), (0, 0)]) == [True, True, False, True, True]


def test_table_and_dictionary(front):
    front.add("by hand", 0.7, size=33)
    text = str(front)
    for word in ("seed", "point 1", "0.7500", "by hand", f"{int(front[0].costs['flash']):,}", "board 'nano33ble'"):
        assert word in text
    content = json.loads(json.dumps(front.as_dict(), allow_nan=False))
    assert [row["accuracy_int8"] for row in content["points"]] == [0.75, 0.625]
    assert content["others"][0]["costs"] == {"size": 33.0} and content["missing"] == 0
    assert content["points"][0]["layers"][0]["name"] == "conv" and content["plan"]["costs"] == ["size"]


def test_what_cannot_be_added(front):
    with pytest.raises(ValueError, match="at least one cost"):
        front.add("by hand", 0.7)
    with pytest.raises(TypeError, match="`accuracy` must be a finite number"):
        front.add("by hand", "good", size=3)
    front.add("by hand", 0.7, size=3)
    with pytest.raises(ValueError, match="'by hand' was added to the front by its figures: it has no model"):
        front.others[0].model()


def test_picture(front, tmp_path, monkeypatch):
    front.add("by hand", 0.7, flash=1500)
    front.add("by hand", 0.6, flash=1400)
    path = front.plot(tmp_path / "front.svg", x="flash")
    text = path.read_text()
    assert "flash (B)" in text and "by hand" in text and "seed" in text
    assert (front.plot(tmp_path / "front.png")).read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="'speed' is not known of the points"):
        front.plot(tmp_path / "front.png", x="speed")
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"keras_pit\[plot\]"):
        front.plot(tmp_path / "front.png")


def test_failures_are_told(directory):
    store = Store(directory)
    step = Step("search", 0, 3)
    store.fail(step, OSError("disk full"))
    try:
        front = keras_pit.Front.load(directory)
        assert [(failure.step, failure.reason) for failure in front.failures] == [(step, "OSError: disk full")]
        assert "search-0-3 has failed: OSError: disk full" in str(front)
        assert front.as_dict()["failures"][0]["step"] == "search-0-3"
    finally:
        store.forgive()
    assert not keras_pit.Front.load(directory).failures


def test_hypervolume():
    """By hand: two steps of 1 e-fold each."""
    e = 2.718281828459045
    points = [(e, 0.5), (1.0, 0.25), (e**3, 0.9), (2.0, 0.1)]
    assert hypervolume(points, (e**2, 0.0), best=1.0) == pytest.approx(0.25 * 2 + 0.25 * 1)
    assert hypervolume(points, (e**2, 0.0), best=e) == pytest.approx(0.25 * 1 + 0.25 * 1)
    assert hypervolume([], (e**2, 0.0), best=1.0) == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, True) for name in ("accuracy", "sparse_categorical_accuracy", "auc", "f1_score", "mean_iou")),
        *((name, False) for name in ("loss", "mae", "mean_squared_error")),
    ],
)
def test_which_way_is_better(name, expected):
    assert higher_is_better(name, "auto") is expected
    assert higher_is_better(name, "max") and not higher_is_better(name, "min")


def test_what_is_monitored():
    assert monitored({"loss": 1.0, "accuracy": 0.5, "auc": 0.4}, None) == "accuracy"
    assert monitored({"loss": 1.0}, None) == "loss"
    with pytest.raises(ValueError, match="`monitor` is 'f1', but the model is compiled for 'loss'"):
        monitored({"loss": 1.0}, "f1")
