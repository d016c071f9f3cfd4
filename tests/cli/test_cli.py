"""The command line: answers, exit codes, errors in one line, and the way from a model to a bundle."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from small import samples
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

import keras_pit
from keras_pit.cli import main

ROOT = Path(__file__).parents[2]
MODEL = str(ROOT / "tflite" / "watch" / "model.tflite")
COMMANDS = (
    "summary",
    "search",
    "sweep",
    "export",
    "convert",
    "deploy",
    "profile",
    "fits",
    "boards",
    "verify",
    "report",
)


@pytest.fixture
def call(capsys):
    """Run the command line here: exit code, stdout, stderr."""

    def run(*arguments):
        capsys.readouterr()  # what a test itself has printed
        code = main([str(one) for one in arguments])
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a trained model and its data."""
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("cli")
    x = inputs = keras.Input((32, 3))
    x = layers.Conv1D(8, 9, padding="causal", name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    model = keras.Model(inputs, layers.Dense(3, activation="softmax", name="out")(x), name="waves")
    x, y = samples()
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=3, verbose=0)
    model.save(folder / "model.keras")
    np.savez(folder / "data.npz", x=x, y=y)
    np.save(folder / "x.npy", x)
    return folder


def one_line(error: str) -> str:
    assert error.startswith("error: ") and error.count("\n") == 1 and "Traceback" not in error
    return error


def test_files_on_the_way(call, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, data = place / "model.keras", place / "data.npz"
    code, answer, error = call("convert", model, "--calibration", place / "x.npy", "-o", "new/model.tflite", "--json")
    assert code == 0, error
    assert json.loads(answer)["bytes"] == len(Path("new/model.tflite").read_bytes())
    code, answer, error = call("verify", "new/model.tflite", "--data", data, "--json", "--limit", "20")
    assert code == 0, error
    assert json.loads(answer)["samples"] == 20 and 0 <= json.loads(answer)["accuracy"] <= 1
    deploy = ("deploy", "new/model.tflite", "--data", data, "--out", "firmware")
    code, answer, error = call(*deploy, "--labels", "slow,middle,fast", "--json")
    assert code == 0, error
    assert "model_data.cc" in json.loads(answer)["files"] and Path("firmware/README.md").is_file()
    code, answer, error = call(*deploy)
    assert code == 2 and "overwrite" in one_line(error)
    code, _, error = call("verify", "new/model.tflite", "--data", "numbers.npy")
    assert code == 2 and "There is no file 'numbers.npy'" in one_line(error)


def test_a_file_that_differs_is_a_no(call, place, tmp_path):
    """A file that leaves its shapes open computes something else on TFLite-Micro."""
    model = keras.saving.load_model(place / "model.keras")
    function = tf.function(lambda x: model(x)).get_concrete_function(tf.TensorSpec((None, 32, 3)))
    frozen = convert_variables_to_constants_v2(function)  # with variables, the oldest TensorFlow's converter aborts
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    (tmp_path / "open.tflite").write_bytes(converter.convert())
    code, answer, error = call("verify", tmp_path / "open.tflite", "--data", place / "data.npz", "--json")
    assert code == 1 and "leaves a dimension open" in one_line(error)
    assert json.loads(answer)["equal"] is False


def test_a_search_goes_on_where_it_was(call, place, tmp_path, monkeypatch):
    asked = (
        "search", place / "model.keras", "--data", place / "data.npz", "--out", tmp_path / "run", "--cost", "macs",
        "--strength", "1", "--epochs", "3", "--fine-tune", "0", "--json",
    )  # fmt: skip
    from keras_pit.cli import progress

    class Stopped(progress.Bar):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            if epoch == 1:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(progress, "Bar", Stopped)
        code, *_ = call(*asked)
    assert code == 130 and not (tmp_path / "run" / "search.keras").exists()
    code, _, error = call(*asked)
    assert code == 0, error
    epochs = [json.loads(line)["epoch"] for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert epochs == [0, 1, 2]
    result = (tmp_path / "run" / "result.json").read_text()
    before = (tmp_path / "run" / "search.keras").stat().st_mtime_ns
    code, answer, _ = call(*asked)
    assert code == 0 and json.loads(answer) == {"run": str(tmp_path / "run"), **json.loads(result)}
    assert (tmp_path / "run" / "search.keras").stat().st_mtime_ns == before
    code, _, error = call(*asked, "--epochs", "4")
    assert code == 2 and "epochs 3 then, 4 now" in one_line(error)


def test_summary(call, place):
    code, answer, _ = call("summary", place / "model.keras", "--json")
    found = json.loads(answer)
    model = keras.saving.load_model(place / "model.keras")
    assert code == 0
    assert found["costs"]["macs"] == keras_pit.cost(model, "macs")
    assert found["costs"]["latency"] == pytest.approx(keras_pit.cost(model, "latency:nano33ble"))
    assert {row["layer"]: row["searched"] for row in found["searchable"]} == {
        "conv": ["channels", "kernel", "dilation"],
        "out": [],
    }
    code, answer, _ = call("summary", place / "model.keras", "--board", "pico2")
    assert code == 0 and "1 of 2 layers can be searched" in answer


def test_profile_and_fits_say_what_the_functions_do(call):
    code, answer, _ = call("profile", MODEL, "--json")
    assert code == 0 and json.loads(answer) == json.loads(json.dumps(keras_pit.profile(MODEL).as_dict()))
    code, answer, _ = call("fits", MODEL, "--board", "pico", "--json")
    assert code == 0 and json.loads(answer) == json.loads(json.dumps(keras_pit.fits(MODEL, "pico").as_dict()))
    assert call("fits", MODEL, "--board", "pico", "--latency", "1")[0] == 1
    code, answer, _ = call("fits", MODEL, "--json", "--latency", "10")
    rows = {row["board"]: row["fits"] for row in json.loads(answer)["boards"]}
    assert code == 0 and rows["teensy41"] and not rows["nano33ble"]
    assert call("fits", MODEL, "--latency", "0.001")[0] == 1
    code, answer, _ = call("profile", MODEL)
    assert code == 0 and "memory in bytes" in answer


def test_boards(call):
    code, answer, _ = call("boards", "--json")
    assert code == 0 and [row["name"] for row in json.loads(answer)["boards"]] == keras_pit.boards.names()
    code, answer, _ = call("boards", "pico2")
    assert code == 0 and "Raspberry Pi Pico 2" in answer


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["fits", "nothing.tflite"], "There is no file 'nothing.tflite'"),
        (["fits", MODEL, "--board", "picox"], "did you mean 'pico' or 'pico2'"),
        (["fits", MODEL, "--bord", "pico"], "No such option"),
        (["fits", MODEL, "--latency", "soon"], "'soon' is not a valid float"),
        (["fit", MODEL], "No such command 'fit'"),
        (["profile", __file__], "Expected the content of a .tflite file"),
        (["summary", MODEL], "is a .tflite file"),
        (["convert", "model.keras", "-o", "model.bin"], "must end in .tflite"),
        (["convert", "model.keras", "-o", "model.tflite"], "--calibration is missing"),
        (["verify", MODEL, "--data", "data.csv"], "of an unknown kind"),
        (["search", "model.keras", "--data", "nowhere:load", "--out", "run"], "There is no module 'nowhere'"),
        (["report", "nowhere"], "There is no run in 'nowhere'"),
    ],
)
def test_errors_are_one_line(call, arguments, told):
    code, answer, error = call(*arguments)
    assert told in one_line(error) and answer == ""
    assert code == 2


def test_debug_shows_where_an_error_comes_from(call):
    for arguments in (["--debug", "fits", "nothing"], ["fits", "nothing", "--debug"]):
        code, _, error = call(*arguments)
        assert code == 2 and "Traceback" in error and "FileNotFoundError" in error


def test_help_has_examples(call):
    code, answer, _ = call("--help")
    assert code == 0 and all(f"\n  {name} " in answer for name in COMMANDS)
    for name in COMMANDS:
        code, answer, _ = call(name, "--help")
        assert code == 0 and f"keras-pit {name} " in answer and "--json" in answer and "--debug" in answer
    assert call() == call("--help")
    assert call("--version")[1] == f"keras-pit, version {keras_pit.__version__}\n"


def test_the_shell_completes_names(capsys, monkeypatch):
    monkeypatch.setenv("_KERAS_PIT_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "keras-pit fits model.tflite --board pic")
    monkeypatch.setenv("COMP_CWORD", "4")
    with pytest.raises(SystemExit):
        main([])
    assert capsys.readouterr().out.split() == ["plain,pico", "plain,pico2"]


def test_a_saved_model_is_told_apart(call, place, tmp_path):
    (tmp_path / "saved").mkdir()
    code, _, error = call("search", tmp_path / "saved", "--data", place / "data.npz", "--out", tmp_path / "run")
    assert code == 2 and "is a SavedModel, which Keras 3 reads as one layer" in one_line(error)
    code, _, error = call("summary", tmp_path / "saved")
    assert code == 2 and "no saved_model.pb" in one_line(error)


def test_boards_and_costs_of_your_own(call, tmp_path, monkeypatch):
    monkeypatch.setattr("keras_pit.boards._boards", dict(keras_pit.boards._boards))
    (tmp_path / "mine.py").write_text(
        "from keras_pit import boards\n"
        "boards.register(boards.Board('mine', 'Mine', 'chip', 'cortex-m4', 80, 2**19, 2**17, 'source'))\n"
    )
    code, _, error = call("fits", MODEL, "--board", "mine", "--import", tmp_path / "mine.py")
    assert code == 0, error


def test_a_file_needs_no_tensorflow():
    code = (
        "import sys; from keras_pit.cli import main\n"
        f"assert main(['profile', {MODEL!r}]) == 0 and main(['fits', {MODEL!r}]) == 0 and main(['boards']) == 0\n"
        "assert main(['--help']) == 0 and main(['search', '--help']) == 0\n"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL).returncode == 0


def test_the_start_is_quiet(place):
    run = subprocess.run(
        [sys.executable, "-m", "keras_pit", "export", place / "model.keras", "-o", "slim.keras"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 2
    assert "is no search model" in one_line(run.stderr)


def test_a_sweep_from_the_command_line(call, place, tmp_path):
    sweep = ("sweep", place / "model.keras", "--data", place / "data.npz", "--out", tmp_path / "front", "--points", 1)
    epochs = ("--search-epochs", 1, "--fine-tune", 1, "--float", "--processes", 1, "--json")
    code, answer, _ = call(*sweep, *epochs)
    found = json.loads(answer)
    assert code == 0 and len(found["points"]) == 1 and found["failures"] == []
    assert "front.html" in found["page"] and (tmp_path / "front" / "front.html").is_file()
    code, _, error = call(*sweep, *epochs, "--cost", "macs")
    assert code == 2 and "holds another sweep" in one_line(error)
    code, _, error = call(*sweep, "--bounds", "much")
    assert code == 2 and "expected numbers" in one_line(error)
