"""Data as users have it, and how well outputs meet it."""

import numpy as np
import pytest

from keras_pit import runs
from keras_pit.runs import data as sources
from keras_pit.runs.score import confusion, kind_of, score

X, Y = np.zeros((10, 4, 3), "float32"), np.arange(10) % 2


def save(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def test_files(tmp_path):
    found = runs.read(save(tmp_path / "data.npz", x=X, y=Y, x_val=X[:3], y_val=Y[:3]))
    assert found.x.shape == X.shape and found.x_val.shape == (3, 4, 3) and found.x_test is None
    assert [part is None for part in found.measured[:2]] == [False, False] and found.measured[2] == "x_val"
    np.save(tmp_path / "x.npy", X)
    assert runs.read(str(tmp_path / "x.npy")).y is None


@pytest.mark.parametrize(
    "returned", ["x, y", "x, y, x, y", "(x, y), (x, y)", "{'x': x, 'y': y}", "{'x': {'a': x, 'b': x}, 'y': y}"]
)
def test_functions(tmp_path, returned):
    code = f"import numpy as np\nx, y = np.ones((6, 2)), np.ones(6)\ndef load():\n    return {returned}\n"
    name = f"data_{abs(hash(returned))}"
    (tmp_path / f"{name}.py").write_text(code)
    found = runs.read(f"{tmp_path / name}.py:load")
    assert sources.count(found.x) == len(found.y) == 6


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"y": Y}, "holds y: expected x and y"),
        ({"x": X, "labels": Y}, "holds x, labels: expected x and y"),
        ({"x": X, "y": Y[:5]}, "x has 10, y has 5"),
        ({"x": X, "y": Y, "x_val": X}, "holds x_val without y_val"),
        ({"x": X * np.nan, "y": Y}, "NaN or infinite values in x"),
        ({"x": X[:0], "y": Y[:0]}, "samples of different number, or none"),
        ({"x": X.astype(str), "y": Y}, "holds x of type <U32: expected numbers"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path, arrays, told):
    with pytest.raises(ValueError, match=told):
        runs.read(save(tmp_path / "data.npz", **arrays))


def test_what_is_wrong_with_a_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    (tmp_path / "mine_of_data.py").write_text("def load():\n    return 7\ndef needs():\n    import nowhere_at_all\n")
    for source, kind, told in (
        ("broken.npz", ValueError, "cannot be read"),
        ("absent.npz", FileNotFoundError, "There is no file 'absent.npz'"),
        ("data.csv", ValueError, "unknown kind"),
        ("nowhere:load", FileNotFoundError, "There is no module 'nowhere'"),
        ("mine_of_data:other", ValueError, "mine_of_data has no function 'other'"),
        ("mine_of_data:load", ValueError, r"returned 7 \(int\)"),
        ("mine_of_data:needs", ModuleNotFoundError, "nowhere_at_all"),
    ):
        with pytest.raises(kind, match=told):
            runs.read(source)


def test_a_part_is_held_out():
    data = runs.Data(np.arange(50.0)[:, None], np.arange(50))
    split = data.with_validation(0)
    assert len(split.x) == 40 and len(split.x_val) == 10
    assert sorted([*split.y, *split.y_val]) == list(range(50))
    assert np.array_equal(split.x[:, 0], split.y) and np.array_equal(split.x_val[:, 0], split.y_val)
    assert np.array_equal(data.with_validation(0).y_val, split.y_val)
    assert split.with_validation(1) is split
    with pytest.raises(ValueError, match="too few to hold some out"):
        runs.Data(X[:1], Y[:1]).with_validation(0)
    with pytest.raises(ValueError, match="The data has x alone"):
        runs.Data(X).require_targets()


def test_other_data_has_another_fingerprint():
    prints = [runs.Data(X, Y), runs.Data(X, 1 - Y), runs.Data(X + 1, Y), runs.Data(X), runs.Data({"a": X}, Y)]
    assert len({data.fingerprint() for data in prints}) == len(prints)
    assert runs.Data(X.copy(), Y.copy()).fingerprint() == prints[0].fingerprint()


SHARES = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])


@pytest.mark.parametrize(
    ("y", "outputs", "kind", "expected"),
    [
        (np.array([0, 0, 1]), SHARES, "classes", {"accuracy": 2 / 3}),
        (np.array([[0], [0], [1]]), SHARES, "classes", {"accuracy": 2 / 3}),
        (np.eye(2)[[0, 0, 1]], SHARES, "classes", {"accuracy": 2 / 3}),
        (np.array([[0, 1]]), SHARES[None, :2], "classes", {"accuracy": 1.0}),
        (np.array([0, 1, 1]), SHARES[:, 1:], "binary", {"accuracy": 1.0}),
        (np.array([0, 0, 1]), np.array([[-2.0], [3.0], [4.0]]), "binary", {"accuracy": 2 / 3}),
        (np.array([0.5, 0.5, 1.0]), SHARES[:, :1], "numbers", {"mae": (0.4 + 0.1 + 0.8) / 3}),
        (np.array([0, 5, 1]), SHARES, "numbers", None),
    ],
)
def test_scores(y, outputs, kind, expected):
    assert kind_of(y, outputs) == kind
    if expected is not None:
        assert score(outputs, y, kind) == pytest.approx(expected)


def test_confusion():
    assert confusion(SHARES, np.array([0, 0, 1]), "classes") == [[1, 1], [0, 1]]
    assert confusion(SHARES[:, 1:], np.array([0, 0, 1]), "binary") == [[1, 1], [0, 1]]
    assert confusion(SHARES, SHARES, "numbers") is None
