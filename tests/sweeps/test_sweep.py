"""A whole sweep: what it makes, how it goes on, what it refuses."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from sweeps.tiny import FAST, LOSS, Here, data, network, sweep

import keras_pit
from keras_pit.deployment import run_tflite_micro
from keras_pit.sweeps import page
from keras_pit.sweeps.job import Data, Job, load, save
from keras_pit.sweeps.samples import Samples
from keras_pit.sweeps.store import Step, Store


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A sweep of two points with int8 files."""
    directory = tmp_path_factory.mktemp("made")
    keras.utils.set_random_seed(0)
    front = keras_pit.sweep(
        network(), *data(), validation_data=data(), directory=directory, executor=Here(), metric="macs", **FAST
    )
    return front, directory


def test_points(made):
    front, _ = made
    assert [point.number for point in front] == [1, 2] and not front.failures and not front.missing
    for point in front:
        model, tflite = point.model(), point.tflite()
        assert point.costs["macs"] == keras_pit.cost(model, "macs") <= point.bound["macs"]
        assert point.costs["size"] == keras_pit.cost(model)
        assert point.costs["flash"] == len(tflite)
        assert point.costs["ram"] == keras_pit.fits(tflite, "nano33ble").ram.used
        assert point.costs["latency"] == keras_pit.fits(tflite, "nano33ble").latency.used
        x, y = data()
        assert point.accuracy == pytest.approx((model.predict(x, verbose=0).argmax(-1) == y).mean())
        run = run_tflite_micro(tflite, x)
        assert point.accuracy_int8 == pytest.approx((run.outputs[0].reshape(len(x), -1).argmax(-1) == y).mean())
        assert point.figures["arena_here"] == run.arena_bytes


def test_bounds_are_even_in_the_logarithm(made):
    front, _ = made
    bounds = [point.bound["macs"] for point in front]
    search = keras_pit.convert(network(), "macs")
    for mask in keras_pit.mask_variables(search):
        mask.assign(np.zeros(mask.shape))
    seed, least = keras_pit.cost(network(), "macs"), keras_pit.cost(search, "macs")
    np.testing.assert_allclose(bounds, [seed * (least / seed) ** share for share in (1 / 3, 2 / 3)], rtol=1e-3)


def test_descent_goes_on_from_what_was_exported(made):
    _, directory = made
    store = Store(directory)
    one, two = (keras.models.load_model(store.folder(Step("search", 0, n)) / "model.keras") for n in (1, 2))
    assert keras_pit.cost(two, "macs") < keras_pit.cost(one, "macs")
    channels = [layer.after.channels for layer in keras_pit.summary(one).layers]
    assert all(a.after.channels <= b for a, b in zip(keras_pit.summary(two).layers, channels, strict=True))
    history = json.loads((store.folder(Step("point", 0, 2)) / "history.json").read_text())
    assert len(history["fine-tune"]["loss"]) == FAST["fine_tune_epochs"]


def test_called_again_it_makes_nothing_anew(made):
    front, directory = made
    times = {path: path.stat().st_mtime_ns for path in directory.rglob("*.keras")}

    class No:
        def submit(self, *_):
            raise AssertionError("nothing is left to do")

    again = keras_pit.sweep(
        network(), *data(), validation_data=data(), directory=directory, executor=No(), metric="macs", **FAST
    )
    assert again.as_dict() == front.as_dict() == keras_pit.Front.load(directory).as_dict()
    assert times == {path: path.stat().st_mtime_ns for path in directory.rglob("*.keras")}
    hidden = {path.name for path in directory.iterdir() if path.name.startswith(".") or path.suffix == ".pickle"}
    assert hidden <= {".lock"}


def test_another_sweep_is_refused(made):
    _, directory = made
    with pytest.raises(ValueError, match=r"holds another sweep: epochs is .*'search': 2.*, now .*'search': 3"):
        keras_pit.sweep(
            network(),
            *data(),
            validation_data=data(),
            directory=directory,
            metric="macs",
            **{**FAST, "search_epochs": 3},
        )


def test_test_adds_a_column(made):
    _, directory = made
    front = keras_pit.Front.load(directory)
    x, y = data(10)
    front.test(x, 1 - y)
    for row, point in zip(front.as_dict()["points"], front, strict=True):
        assert row["test"] == pytest.approx(1 - (point.model().predict(x, verbose=0).argmax(-1) == y).mean(), abs=1e-6)
        assert row["test_int8"] is not None
    assert "test in int8" in str(front)


def test_a_trained_seed_is_not_trained_again(tmp_path):
    model = network()
    model.fit(*data(), epochs=3, batch_size=32, verbose=0)
    front = sweep(tmp_path, model, points=1, epochs=None, search_epochs=None, fine_tune_epochs=None)
    # A function does not tell how long its epochs are.
    assert front.plan.trained and front.plan.epochs.seed == 30
    np.testing.assert_array_equal(front.seeds[0].model().get_weights()[0], model.get_weights()[0])


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        x, y = data()
        return x[32 * index : 32 * index + 32], y[32 * index : 32 * index + 32]


def test_an_optimizer_that_has_done_nothing_yet(tmp_path):
    """Keras warns that there is no state to load; here warnings are errors."""
    model = network()
    model.compile("adam", LOSS, metrics=["accuracy"], run_eagerly=True)
    assert not sweep(tmp_path, model, points=1).failures


def test_datasets(tmp_path):
    """Datasets of TensorFlow and of Keras; how long the seed was trained is told by its optimizer."""
    dataset = tf.data.Dataset.from_tensor_slices(data()).shuffle(64).batch(32)
    model = network()
    model.fit(dataset, epochs=4, shuffle=False, verbose=0)
    for x, folder in ((dataset, "tf.data"), (Batches(), "PyDataset")):
        given = {"validation_data": Batches() if x is dataset else dataset, "executor": Here(), "verbose": False}
        with pytest.raises(RuntimeError, match="The target size 1 cannot be met"):
            keras_pit.sweep(model, x, directory=tmp_path / folder, quantization=None, bounds=[1], **given)
        front = keras_pit.Front.load(tmp_path / folder)
        assert (front.plan.epochs.seed, front.plan.epochs.search) == (4, 2)
        _, y = data()
        right = (model.predict(data()[0], verbose=0).argmax(-1) == y).mean()
        assert front.seeds[0].accuracy == pytest.approx(right)


def test_a_dataset_travels_as_its_graph(tmp_path):
    """It is shuffled anew in each epoch, and draws at random; what calls Python cannot travel."""
    dataset = (
        tf.data.Dataset.range(64).map(lambda x: tf.cast(x, "float32") + tf.random.uniform(())).shuffle(64).batch(4)
    )
    samples = Samples.of(data())
    save(Job(Data(dataset), samples, None, None), tmp_path / "job")
    again = load(tmp_path / "job").data.x
    first, second = (np.concatenate([batch.numpy() for batch in again]) for _ in range(2))
    np.testing.assert_array_equal(np.sort(np.floor(first)), np.arange(64))
    assert len({value % 1 for value in first}) > 32
    assert list(np.floor(first)) != list(np.floor(second))
    generated = tf.data.Dataset.from_generator(lambda: iter([1.0]), output_signature=tf.TensorSpec(()))
    with pytest.raises(ValueError, match="calls Python code"):
        save(Job(Data(generated), samples, None, None), tmp_path / "job")


def test_several_costs_and_seeds(tmp_path):
    front = sweep(tmp_path, metric=["size", "macs"], points=1, seeds=[3, 5], descent=False)
    assert [(point.seed, point.label) for point in front] == [(3, "point 1 (3)"), (5, "point 1 (5)")]
    assert all(point.costs[name] <= bound for point in front for name, bound in point.bound.items())
    assert [step.name for step in Store(tmp_path).steps()] == [
        *("point-3-1", "point-5-1", "search-3-1", "search-5-1", "seed-3", "seed-5")
    ]


def test_a_failing_point(tmp_path):
    """The second bound is out of reach: it is told, and the third would be, too; the first is there."""
    with pytest.raises(RuntimeError, match=r"No point of the sweep could be made\. search-0-1: ValueError: The target"):
        sweep(tmp_path / "none", bounds=[1])
    front = sweep(tmp_path / "some", bounds=[20, 2, 1])
    assert [point.number for point in front] == [1] and front.missing == 2
    assert [failure.step.name for failure in front.failures] == ["search-0-2", "search-0-3"]
    assert "cannot be met" in front.failures[0].reason and "Traceback" in front.failures[0].details
    assert "search-0-2 has failed: ValueError: The target size 2" in " ".join(str(front).split())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": None, "y": None}, ValueError, "either data to train with"),
        ({"validation_data": None}, ValueError, "`validation_data` is missing"),
        ({"validation_data": 3}, TypeError, r"`validation_data` must be a tuple \(x, y\)"),
        ({"points": 0}, ValueError, "`points` must be a whole number of at least 1"),
        ({"bounds": []}, ValueError, "at least one target"),
        ({"bounds": 7}, TypeError, "`bounds` must be a list of targets"),
        ({"metric": "speed"}, ValueError, "Unknown cost 'speed'"),
        ({"seeds": [1, 1]}, ValueError, "each once"),
        ({"epochs": 0}, ValueError, "`epochs` must be a whole number"),
        ({"mode": "up"}, ValueError, "`mode` must be one of"),
        ({"executor": "dask"}, TypeError, r"`executor.submit` must be a function"),
        ({"executor": 0}, ValueError, r"`executor` must be a whole number of at least 1"),
        ({"callbacks": []}, ValueError, "`callbacks` of `fit` is the sweep's own"),
        ({"search": ("channels", "inputs")}, ValueError, "`search` has 'inputs'"),
        ({"speed": 3}, TypeError, "no argument `speed`, and neither has `fit`"),
        ({"quantization": "int4"}, ValueError, "`quantization` must be one of 'int8'"),
    ],
)
def test_what_is_refused(arguments, error, message, tmp_path):
    x, y = data()
    given = {"x": x, "y": y, "validation_data": (x, y), "directory": tmp_path / "new", **arguments}
    with pytest.raises(error, match=message):
        keras_pit.sweep(network(), **given)
    assert not (tmp_path / "new").exists()


def test_seeds_that_are_refused(tmp_path):
    compiled = network()
    plain = keras.Model(compiled.inputs, compiled.outputs, name="tiny")
    with pytest.raises(ValueError, match="'tiny' is not compiled"):
        keras_pit.sweep(plain, *data(), validation_data=data(), directory=tmp_path)
    with pytest.raises(TypeError, match="pass the seed"):
        keras_pit.sweep(keras_pit.convert(network()), *data(), validation_data=data(), directory=tmp_path)
    with pytest.raises(ValueError, match="holds no sweep"):
        keras_pit.Front.load(tmp_path)


def test_branches_vanish_in_a_sweep(tmp_path):
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((12, 2))
    for name in "ab":
        y = keras.layers.Conv1D(2, 3, padding="causal", activation="relu", name=f"{name}_in")(x)
        x = keras.layers.Add(name=name)([x, keras.layers.Conv1D(2, 3, padding="causal", name=f"{name}_out")(y)])
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling1D()(x)), name="deep")
    model.compile("sgd", LOSS, metrics=["accuracy"], run_eagerly=True)
    options = {**FAST, "points": None, "bounds": [{"size": 40}], "search": ("branches",)}
    front = keras_pit.sweep(
        model, *data(), validation_data=data(), directory=tmp_path, executor=Here(), metric="size", **options
    )
    (point,) = front
    assert sum(isinstance(layer, keras.layers.Add) for layer in point.model().layers) == 1


def test_a_cost_of_the_sweeps_own_board_is_told_once(tmp_path, capsys):
    front = sweep(tmp_path, metric="latency:pico2", bounds=[0.06], points=None, verbose=True)
    assert "latency:pico2 0.0" in capsys.readouterr().err
    (point,) = front.points
    assert point.costs["latency:pico2"] == point.costs["latency"]
    assert str(front).count("latency (ms)") == 1 and "board 'pico2'" in str(front)
    content = page._content(front, "latency:pico2")
    assert [cost["title"] for cost in content["costs"]].count("latency (ms)") == 1
    assert content["x"] == "latency" and "latency" in [cost["name"] for cost in content["costs"]]
