"""The commands that the README shows lead from a model and its data to a bundle, with fewer epochs."""

import json
import re
import shlex
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import keras_pit
from keras_pit.cli import main
from keras_pit.search.rates import rise

ROOT = Path(__file__).parents[2]
SHORTER = {"search": ["--epochs", "2", "--fine-tune", "1", "--batch-size", "64"]}


def commands() -> list[list[str]]:
    """The lines of the README's one block of commands, without the program."""
    (block,) = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line) for line in block.splitlines()]
    assert all(line[0] == "keras-pit" for line in lines)
    return [line[1:] for line in lines]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a model that takes more than 20 ms on the board, and its data."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=160)
    x = (rng.normal(size=(160, 128, 6)) + y[:, None, None]).astype("float32")
    inputs = keras.Input((128, 6))
    hidden = layers.Conv1D(32, 17, padding="causal", activation="relu", name="conv")(inputs)
    outputs = layers.Dense(2, activation="softmax", name="out")(layers.GlobalAveragePooling1D(name="pool")(hidden))
    model = keras.Model(inputs, outputs, name="steps")
    assert not keras_pit.fits(model, "nano33ble", latency=20)
    model.save("model.keras")
    np.savez("data.npz", x=x, y=y)
    return tmp_path


def test_from_a_model_to_a_bundle(folder, capsys):
    lines = commands()
    assert len(lines) <= 5
    for line in lines:
        code = main([*line, *SHORTER.get(line[0], [])])
        output = capsys.readouterr()
        assert code == 0, (line, output.err)
    assert (folder / "firmware" / "model_data.cc").is_file() and (folder / "run" / "report.html").is_file()
    assert keras_pit.fits("run/slim.tflite", "nano33ble", latency=20)
    result = json.loads(Path("run/result.json").read_text())
    assert [row["model"] for row in result["models"]] == ["seed", "slim", "slim int8 on TFLite-Micro"]
    assert all(0 <= row["accuracy"] <= 1 for row in result["models"])
    assert np.sum(result["confusion"]) == result["measured on"]["samples"] == 32
    assert result["memory"]["layers"] and all(result["memory"]["layers"])
    sizes = [row["costs"]["size"] for row in result["models"][:2]]
    tuned = keras.saving.load_model("run/slim.keras").optimizer
    assert float(tuned.get_config()["learning_rate"]["config"]["initial_learning_rate"]) == 1e-3 * rise(*sizes) > 1e-3
    assert main(["export", "run", "-o", "slim.keras", "--json"]) == 0
    size = json.loads(capsys.readouterr().out)["size"]
    assert size == keras_pit.cost(keras.saving.load_model("slim.keras")) == result["models"][1]["costs"]["size"]
