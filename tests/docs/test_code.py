"""Every block of Python in the guides and READMEs runs, page by page from top to bottom.

The blocks of a page share their names. All pages start with those of `start`: a tiny trained network and its data, as a
reader has them. What else a page takes for granted stands in a comment that readers do not see:

    <!-- test
    other = ...
    -->
"""

import re
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_pit

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "tflite" / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^(?:```python|<!-- test)\n(.*?)^(?:```|-->)$", re.MULTILINE | re.DOTALL)

pytestmark = [
    pytest.mark.filterwarnings("ignore:The target is met by model:UserWarning"),
    pytest.mark.filterwarnings("ignore:`strength` .* comes together with a `target`:UserWarning"),
]


def start() -> dict[str, object]:
    """What every page takes for granted."""
    inputs = keras.Input((16, 3))
    x = keras.layers.Conv1D(8, 5, padding="causal", activation="relu", name="conv")(inputs)
    x = keras.layers.GlobalAveragePooling1D(name="pool")(x)
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="out")(x), name="tiny")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 16, 3)).astype("float32"), rng.integers(3, size=64)
    return {
        "__name__": "page",
        "keras": keras,
        "keras_pit": keras_pit,
        "np": np,
        "tf": tf,
        "model": model,
        "slim": model,
        "names": ["rest", "walk", "run"],
        "task_loss": keras.losses.SparseCategoricalCrossentropy(),
        "mask_optimizer": keras.optimizers.Adam(1e-2),
        "net_optimizer": keras.optimizers.Adam(1e-3),
        **dict.fromkeys(("x", "x_train", "x_val", "x_test"), x),
        **dict.fromkeys(("y", "y_train", "y_val", "y_test"), y),
    }


def blocks(page: str) -> list[tuple[int, str]]:
    """The blocks of a page, each with the number of lines before it."""
    return [(page[: found.start(1)].count("\n"), found[1]) for found in BLOCK.finditer(page)]


WITH_CODE = [path for path in PAGES if blocks(path.read_text())]


@pytest.mark.parametrize("path", WITH_CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_page_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(keras_pit, "sweep", short(keras_pit.sweep))
    registered = {kind: set(kind.names()) for kind in (keras_pit.costs, keras_pit.boards)}
    names = start()
    try:
        for line, block in blocks(path.read_text()):
            exec(compile("\n" * line + block, str(path), "exec"), names)
    finally:
        for kind, before in registered.items():
            forget(kind, before)


def short(sweep):
    """A sweep of one point, in this process unless the page says where; of files there are other pages."""

    class Here:
        def submit(self, function, *arguments):
            value = function(*arguments)
            return SimpleNamespace(result=lambda: value)

    return lambda *given, **options: sweep(*given, **{"executor": Here(), **options, "points": 1, "quantization": None})


def forget(kind, before):
    """Take away what a page has registered, for other tests."""
    registry = kind._boards if kind is keras_pit.boards else kind.registry._metrics
    for name in set(kind.names()) - before:
        del registry[name]


def test_a_block_that_fails_is_found(tmp_path):
    page = "text\n\n<!-- test\na = 1\n-->\n\n```python\nb = a + 1\n```\n\n```cpp\nint c;\n```\n"
    assert blocks(page) == [(3, "a = 1\n"), (7, "b = a + 1\n")]
