"""Law 6: a search that is saved, loaded in a new process and trained on is one that was never interrupted."""

import json
import pathlib
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from keras import layers

import keras_pit
from tests.versions import since

ROOT = pathlib.Path(__file__).parents[2]
SEARCHED = ("channels", "kernel", "dilation", "branches")

PROCESS = """
import pathlib
import sys

import numpy as np
import tensorflow as tf

# Masks are read at a threshold, so the last digit of a sum can decide what the next step does.
tf.config.experimental.enable_op_determinism()
tf.config.threading.set_intra_op_parallelism_threads(1)

import keras
from tests.search.test_saving import compiled, fit

task, folder = sys.argv[1], pathlib.Path(sys.argv[2])
if task == "resumed":
    keras.utils.set_random_seed(7)
    search = keras.models.load_model(folder / "search.keras")
else:
    search = compiled()
    fit(search, 2)
    search.strength = 1.5
    search.save(folder / "search.keras")
fit(search, 2)
state = [*search.variables, *search.optimizer.variables]
np.savez(folder / f"{task}.npz", *[keras.ops.convert_to_numpy(variable) for variable in state])
"""


def branching() -> keras.Model:
    """Tied masks, a branch of a shared layer, a nested model, dropout."""
    inputs = keras.Input((16, 3))
    x = layers.Conv1D(6, 5, padding="same", name="stem")(inputs)
    shared = layers.Conv1D(6, 3, padding="same", name="shared")
    x = layers.Add(name="sum")([x, shared(shared(x))])
    nested_in = keras.Input((16, 6))
    nested_out = layers.ReLU()(layers.BatchNormalization(name="norm")(layers.Conv1D(5, 3, name="inner")(nested_in)))
    x = keras.Model(nested_in, nested_out, name="block")(x)
    x = layers.Dropout(0.2, seed=3)(x)
    return keras.Model(inputs, layers.Dense(3, name="out")(layers.GlobalAveragePooling1D()(x)), name="branching")


def compiled(strength: float = 3.0) -> keras_pit.SearchModel:
    keras.utils.set_random_seed(0)
    search = keras_pit.convert(branching(), "macs", strength=strength, exclude=["inner"], search=SEARCHED)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    search.compile(keras.optimizers.Adam(0.01), loss, jit_compile=False)
    return search


def batches() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(24, 16, 3)).astype("float32"), rng.integers(3, size=24)


def fit(search: keras.Model, epochs: int, **options) -> None:
    search.fit(*batches(), batch_size=8, epochs=epochs, shuffle=False, verbose=0, **options)


def test_saved_and_resumed_in_a_new_process(tmp_path):
    for task in ("whole", "resumed"):
        command = [sys.executable, "-c", PROCESS, task, str(tmp_path)]
        environment = {"PYTHONPATH": str(ROOT), "PATH": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
        subprocess.run(command, check=True, env=environment)
    whole, resumed = (np.load(tmp_path / f"{task}.npz") for task in ("whole", "resumed"))
    assert len(whole) > 40
    for name in whole:
        np.testing.assert_array_equal(whole[name], resumed[name])


# Keras up to 3.10 warns of the structure of the inputs of any Functional model that it has loaded.
@pytest.mark.filterwarnings("ignore:The structure of `inputs`")
def test_loaded_search_is_the_same_search(tmp_path):
    search = compiled()
    fit(search, 3)
    search.strength = 0.75
    search.save(tmp_path / "search.keras")
    loaded = keras.models.load_model(tmp_path / "search.keras")
    x, _ = batches()
    np.testing.assert_array_equal(loaded(x), search(x))
    assert loaded.strength == 0.75
    assert keras_pit.summary(loaded).as_dict() == keras_pit.summary(search).as_dict()
    for one, two in zip(keras_pit.mask_variables(search), keras_pit.mask_variables(loaded), strict=True):
        assert one.path == two.path
        np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(keras_pit.export(loaded)(x), search(x), atol=1e-5)


def test_weights_only_checkpoint(tmp_path):
    search = compiled()
    fit(search, 3)
    search.save_weights(tmp_path / "search.weights.h5")
    fresh = keras_pit.convert(branching(), "macs", exclude=["inner"], search=SEARCHED)
    fresh.load_weights(tmp_path / "search.weights.h5")
    x, _ = batches()
    np.testing.assert_array_equal(fresh(x), search(x))
    assert keras_pit.cost(fresh) == keras_pit.cost(search)


def test_backup_and_restore(tmp_path):
    class Crash(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise RuntimeError("power cut")

    whole = compiled()
    fit(whole, 4)
    broken = compiled()
    with pytest.raises(RuntimeError, match="power cut"):
        fit(broken, 4, callbacks=[keras.callbacks.BackupAndRestore(tmp_path), Crash()])
    again = compiled()
    fit(again, 4, callbacks=[keras.callbacks.BackupAndRestore(tmp_path)])
    for one, two in zip(keras_pit.mask_variables(whole), keras_pit.mask_variables(again), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


FILES = """
import pathlib
import sys

import tensorflow as tf

tf.config.experimental.enable_op_determinism()

import keras
import keras_pit
from tests.search.test_saving import batches, branching, fit

keras.utils.set_random_seed(0)
folder = pathlib.Path(sys.argv[1])
search = keras_pit.convert(branching(), {"size", "macs"}, strength=5.0, search={"channels", "kernel", "dilation"})
search.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(True), jit_compile=False)
fit(search, 2)
search.save(folder / "search.keras")
slim = keras_pit.export(search)
slim.save(folder / "slim.keras")
keras_pit.deploy(slim, folder / "bundle", calibration=batches()[0])
"""


def test_two_runs_write_identical_files(tmp_path):
    contents = []
    for seed in ("1", "2"):  # of the hashes of strings, which decide the order of sets
        folder = tmp_path / seed
        folder.mkdir()
        environment = {"PYTHONPATH": str(ROOT), "PATH": "", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", FILES, str(folder)], check=True, env=environment)
        found = {
            path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()
        }
        for name in ("search.keras", "slim.keras"):
            with zipfile.ZipFile(folder / name) as archive:
                found |= {f"{name}/{part}": archive.read(part) for part in archive.namelist()}
            found[f"{name}/metadata.json"] = json.loads(found[f"{name}/metadata.json"])["keras_version"]
            del found[name]  # the files of an archive have the time of their writing
        contents.append(found)
    assert len(contents[0]) > 15 and "bundle/model.tflite" in contents[0]
    assert contents[0] == contents[1]


def test_slim_model_needs_nothing_of_this_package(tmp_path):
    search = compiled()
    fit(search, 3)
    keras_pit.export(search).save(tmp_path / "slim.keras")
    x, _ = batches()
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys, numpy as np, keras\n"
        "model = keras.models.load_model(sys.argv[1])\n"
        "np.save(sys.argv[3], model(np.load(sys.argv[2])))\n"
        "assert 'keras_pit' not in sys.modules"
    )
    paths = [str(tmp_path / name) for name in ("slim.keras", "x.npy", "y.npy")]
    subprocess.run([sys.executable, "-c", code, *paths], check=True, cwd=tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), search(x), atol=1e-5)


@since("keras", "3.15", "does not read the files that it wrote")
def test_search_models_of_earlier_versions():
    """Saved by version 0.1.0, in the middle of a search for 200 MACs."""
    search = keras.models.load_model(ROOT / "tests/data/search_0_1_0.keras")
    np.testing.assert_allclose(search(np.ones((1, 16, 2))), [[-0.11476423, -0.19155918]], atol=1e-6)
    assert search.origin.arguments.target == {"macs": 200.0}
    assert search.cost("macs") == 196
    search.fit(np.ones((4, 16, 2)), np.ones((4, 2)), verbose=0)
