"""Costs: those of users, several at once, and what is said about wrong ones; that they are exact: see `test_laws`."""

import math
import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_pit
from keras_pit import costs
from keras_pit.costs import registry
from keras_pit.search.arguments import pressed

DOCS = pathlib.Path(__file__).parents[2] / "docs" / "costs.md"


@pytest.fixture(autouse=True)
def _registry(monkeypatch):
    monkeypatch.setattr(registry, "_metrics", dict(registry._metrics))


def network() -> keras.Model:
    inputs = keras.Input((16, 3))
    x = layers.Conv1D(6, 5, padding="causal", name="conv")(inputs)
    x = layers.ReLU()(layers.SeparableConv1D(5, 3, padding="same", name="separable")(x))
    x = layers.DepthwiseConv1D(3, name="depthwise")(layers.Conv1D(4, 1, name="point")(x))
    return keras.Model(inputs, layers.Dense(2, name="out")(layers.Flatten()(x)), name="net")


def random_masks(search: keras.Model, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for variable in keras_pit.mask_variables(search):
        variable.assign(rng.uniform(size=variable.shape))


def by_kind(stage):
    """Each kind of stage has its own price."""
    macs = stage.weights * stage.positions
    if stage.kind == "depthwise":
        return 3.0 * macs
    if stage.kind == "dense":
        return 0.5 * macs
    return costs.where(stage.pointwise, macs, 1.5 * macs)


def test_cost_by_kind_of_layer_is_counted_and_exact():
    costs.register("by_kind")(by_kind)
    model = network()
    expected = 1.5 * 16 * 5 * 3 * 6  # conv
    expected += 3.0 * 16 * 3 * 6 + 16 * 6 * 5  # separable
    expected += 16 * 5 * 4 + 3.0 * 14 * 3 * 4  # point, depthwise
    expected += 0.5 * 14 * 4 * 2  # out
    assert keras_pit.cost(model, "by_kind") == expected
    search = keras_pit.convert(model, "by_kind")
    for seed in range(20):
        random_masks(search, seed)
        slim = keras_pit.cost(keras_pit.export(search), "by_kind")
        assert keras_pit.cost(search, "by_kind") == slim
        assert float(keras_pit.soft_cost(search, "by_kind")) == pytest.approx(slim, rel=1e-6)


def test_kind_and_pointwise_follow_what_is_left():
    """A kernel that is cut to one tap costs what a pointwise one does."""
    costs.register("by_kind")(by_kind)
    search = keras_pit.convert(network(), "by_kind")
    conv = search.get_layer("conv")
    whole = keras_pit.cost(search, "by_kind")
    conv.beta.assign([0.6, 0.4, 0.4, 0.4, 0.4])
    less = 1.5 * 16 * 5 * 3 * 6 - 16 * 3 * 6
    assert keras_pit.cost(search, "by_kind") == whole - less
    assert keras_pit.cost(keras_pit.export(search), "by_kind") == whole - less


def test_grouped_convolution_stays_of_its_kind():
    costs.register("kinds")(lambda stage: {"conv": 1, "depthwise": 100, "dense": 10_000}[stage.kind])
    inputs = keras.Input((8, 4))
    x = layers.Conv1D(8, 3, groups=4, name="grouped")(layers.Conv1D(4, 1, name="first")(inputs))
    search = keras_pit.convert(keras.Model(inputs, layers.Dense(2)(x)), "kinds")
    search.get_layer("first").alpha.assign([0.6, 0.4, 0.4, 0.4])
    assert keras_pit.cost(search, "kinds") == 10_002
    assert keras_pit.cost(keras_pit.export(search), "kinds") == 10_002


def test_fit_logs_every_cost():
    search = keras_pit.convert(network(), {"size": 1.0, "macs": 0.5}, strength=5.0)
    search.compile(keras.optimizers.Adam(0.02), "mse")
    x = np.random.default_rng(0).normal(size=(32, 16, 3)).astype("float32")
    history = search.fit(x, np.zeros((32, 2)), batch_size=8, epochs=3, verbose=0).history
    slim = keras_pit.export(search)
    for name in ("size", "macs"):
        assert history[name][-1] == keras_pit.cost(slim, name) < keras_pit.cost(network(), name)


def test_several_costs_are_weighted_shares():
    search = keras_pit.convert(network(), {"size": 1.0, "macs": 0.5}, strength=3.0)
    random_masks(search, 1)
    search(np.zeros((1, 16, 3)), training=True)
    shares = [keras_pit.cost(search, name) / keras_pit.cost(network(), name) for name in ("size", "macs")]
    expected = shares[0] + 0.5 * shares[1]
    assert float(sum(search.losses)) == pytest.approx(3.0 * expected, rel=1e-5)
    assert float(keras_pit.get_regularization_loss(search)) == pytest.approx(expected, rel=1e-5)


def loop(stage):
    return stage.weights if stage.outputs > 4 else 2 * stage.weights


WRONG = [
    (lambda stage: ops.ones(2) * stage.outputs, r"Cost 'wrong' of layer 'conv' \(conv\) is .*expected a finite number"),
    (lambda stage: -1, r"Cost 'wrong' of layer 'conv' \(conv\) is -1: expected a finite number of at least 0"),
    (lambda stage: math.nan, r"of layer 'conv' \(conv\) is nan: expected a finite number"),
    (lambda stage: None, r"of layer 'conv' \(conv\) is None: expected a finite number"),
    (
        lambda stage: stage.weights if isinstance(stage.weights, int) else ops.stack([stage.weights, 0.0]),
        r"of layer 'conv' \(conv\) has shape \(2,\): expected a scalar",
    ),
    (loop, r"of layer 'conv' \(conv\) cannot be computed on tensors: .*costs\.where in place of `if`"),
    (lambda stage: int(stage.outputs), r"of layer 'conv' \(conv\) cannot be computed on tensors"),
    (
        lambda stage: 4 * ((stage.outputs + 3) // 4),
        r"of layer 'conv' \(conv\) changes with the number of channels or taps, but has no gradient",
    ),
    (
        lambda stage: stage.weights if isinstance(stage.weights, int) else 2 * stage.weights,
        r"of layer 'conv' \(conv\) is 90 for numbers, but 180 for tensors of the same values",
    ),
    (
        lambda stage: stage.missing if stage.kind == "dense" else stage.weights,
        r"Cost 'wrong' of layer 'out' \(dense\) cannot be computed: AttributeError: .*has no attribute 'missing'",
    ),
    (
        lambda program, board: 1,
        r"of layer 'conv' \(conv\) cannot be computed: TypeError.*Expected a function of one stage \(.*whole=True",
    ),
]


@pytest.mark.parametrize(("function", "message"), WRONG, ids=range(len(WRONG)))
def test_wrong_costs_are_refused_by_name_and_layer(function, message):
    costs.register("wrong")(function)
    with pytest.raises(ValueError, match=message):
        keras_pit.convert(network(), "wrong")


def all_bytes(program, board):
    return sum(tensor.bytes for tensor in program.tensors)


WRONG_WHOLE = [
    (lambda program: 1.0, r"cannot be computed: TypeError.*Expected a function of a program and a board"),
    (lambda program, board: None, r"is None: expected a finite number of at least 0"),
    (lambda program, board: np.ones(2), r"is array\(\[1., 1.\]\): expected a finite number"),
    (lambda program, board: True, r"is True: expected a finite number"),
    (lambda program, board: int(max(tensor.bytes for tensor in program.tensors)), r"cannot be computed on tensors"),
    (
        lambda program, board: sum(
            ops.round(t.bytes) if hasattr(t.bytes, "dtype") else round(t.bytes) for t in program.tensors
        ),
        "changes with the number of channels or taps, but has no gradient",
    ),
    (lambda program, board: board.clock_mhz, "is 64 whatever the number of channels and taps"),
    (lambda program, board: len(program.operators), r"is 7 whatever the number of channels and taps"),
    (
        lambda program, board: all_bytes(program, board) if is_hard(program) else 2 * all_bytes(program, board),
        r"is 916 for numbers, but 1832 for tensors of the same values",
    ),
]


def is_hard(program):
    return all(isinstance(size, int) for tensor in program.tensors for size in tensor.shape)


@pytest.mark.parametrize(("function", "message"), WRONG_WHOLE, ids=range(len(WRONG_WHOLE)))
def test_wrong_costs_of_the_whole_network_are_refused_by_name(function, message):
    costs.register("wrong", whole=True)(function)
    with pytest.raises(ValueError, match=f"Cost 'wrong' of the whole network {message}"):
        keras_pit.convert(network(), "wrong")


def test_costs_of_the_whole_network_may_name_their_arguments_freely():
    costs.register("mine", whole=True)(lambda net, where: all_bytes(net, where) / where.clock_mhz)
    seed = network()
    seed.get_layer("out").bias.assign([1.0, 2.0])  # or a file has none
    search = keras_pit.convert(seed, "mine:pico")
    assert keras_pit.cost(search, "mine:pico") == search.origin.costs["mine:pico"] > 0


def test_numbers_of_numpy_are_numbers():
    def mine(stage):
        return np.float32(stage.weights) if isinstance(stage.weights, int) else stage.weights

    costs.register("mine")(mine)
    assert keras_pit.convert(network(), "mine").origin.costs["mine"] == keras_pit.cost(network(), "mine")


def test_a_cost_defined_again_takes_its_own_place():
    for price in (1, 2):

        @costs.register("mine")
        def mine(stage, price=price):
            return price * stage.weights

    assert costs.get("mine").function is mine
    with pytest.raises(ValueError, match=r"'mine' is registered already: .*replace=True"):
        costs.register("mine")(by_kind)
    costs.register("mine", replace=True)(by_kind)
    assert costs.get("mine").function is by_kind
    with pytest.raises(ValueError, match=r"'size' is registered already: choose another name\.$"):
        costs.register("size", replace=True)(by_kind)


def test_names_that_no_cost_can_have():
    for wrong in ("loss", "accuracy", "val_loss", "val_mine"):
        with pytest.raises(ValueError, match=f"'{wrong}' is what Keras calls one of its own logs"):
            costs.register(wrong)
    with pytest.raises(TypeError, match=r'`name` is missing: write @keras_pit.costs.register\("name"\)'):
        costs.register(by_kind)
    with pytest.raises(TypeError, match="Cost 'mine' must be a function, received 3"):
        costs.register("mine")(3)


def test_arguments_are_checked():
    model = network()
    for wrong in ("flops", ("size", "flops")):
        with pytest.raises(
            ValueError, match=r"Unknown cost .*expected one of 'flash', 'latency', 'macs', 'ram', 'size'"
        ):
            keras_pit.convert(model, wrong)
    for nothing in ({}, []):
        with pytest.raises(ValueError, match="`regularizer` has no cost"):
            keras_pit.convert(model, nothing)
    with pytest.raises(ValueError, match=r"`regularizer\['size'\]` must be a finite number above 0 .*, received -1"):
        keras_pit.convert(model, {"size": -1})
    with pytest.raises(ValueError, match="'size' is registered already"):
        costs.register("size")(by_kind)


def test_costs_are_named_in_several_ways():
    both = {"size": 1.0, "macs": 1.0}
    for given in (["size", "macs"], ("size", costs.get("macs")), {"size": 1, costs.get("macs"): np.float32(1)}):
        assert pressed(given, None) == (both, None)
    assert pressed(costs.get("latency:pico"), None) == ({"latency:pico": 1.0}, None)


def test_search_model_with_unregistered_cost_says_so_when_loaded(tmp_path):
    costs.register("mine")(lambda stage: stage.weights)
    keras_pit.convert(network(), "mine").save(tmp_path / "search.keras")
    assert keras.models.load_model(tmp_path / "search.keras").origin.arguments.regularizer == {"mine": 1.0}
    code = "import sys, keras, keras_pit; keras.models.load_model(sys.argv[1])"
    env = {"PYTHONPATH": str(DOCS.parents[1]), "PATH": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", code, str(tmp_path / "search.keras")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert re.search(r"Unknown cost 'mine'.*register.*before a search model that uses it is loaded", done.stderr)


def test_the_documented_costs_work():
    """The code of docs/costs.md, in the order in which it stands there."""
    inputs = keras.Input((64, 3))
    x = layers.Conv1D(16, 9, padding="causal", activation="relu")(inputs)
    x = layers.Conv1D(16, 9, padding="causal", activation="relu")(x)
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling1D()(x)))
    rng = np.random.default_rng(0)
    names = {"model": model, "x": rng.normal(size=(64, 64, 3)).astype("float32"), "y": rng.integers(2, size=64)}
    for block in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL):
        exec(block, names)
    assert 85.0 <= keras_pit.cost(names["slim"], "energy_uj") <= 100.0
    search = keras_pit.convert(model, {"size": 1.0, "largest_tensor": 1.0})
    search.layers[1].alpha.assign([0.6] * 3 + [0.4] * 13)
    search.layers[2].alpha.assign([0.6] * 9 + [0.4] * 7)
    largest = keras_pit.cost(keras_pit.export(search), "largest_tensor")
    assert keras_pit.cost(search, "largest_tensor") == largest == 64 * 9
    assert float(keras_pit.soft_cost(search, "largest_tensor")) == largest
