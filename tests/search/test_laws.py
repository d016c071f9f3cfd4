"""The laws of the package (docs/design.md), each over many random networks (see `generator`).

    1  neutral       right after `convert` the search model computes what the seed does; the seed is untouched
    2  exact export  in every state of the masks, the slim model computes what the search model does
    3  exact cost    the cost of a search model is the cost of its slim model, and that is what one counts by hand
    5  nothing silent  each convolution and Dense layer is searched, or frozen for a stated reason

The networks are some fixed ones and some that are new in each run (see `conftest`). On failure, the number in the
test's name is the network's: `random_network(number)`.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
from exactness import ERROR
from generator import arguments, data, describe, gone, random_masks, random_network, read
from keras import layers, ops
from random_net import Mix

import keras_pit

# A channel axis of length 1 is no accident here.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*You are using a softmax over axis:UserWarning"),
    pytest.mark.filterwarnings("ignore:Nothing can be searched:UserWarning"),
    pytest.mark.filterwarnings("ignore:The macs of model:UserWarning"),
]

FIXED, FRESH = 50, 40
SLOW_FIXED, SLOW_FRESH = 240, 4000
TOLERANCE = 1e-5
DENSITIES = (0.05, 0.6, None)

COSTED = (
    layers.Dense,
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv3D,
    layers.Conv1DTranspose,
    layers.Conv2DTranspose,
    layers.Conv3DTranspose,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
)
MULTIPLIERS = (layers.LSTM, layers.GRU, layers.EinsumDense, Mix)
"""Layers that are not followed, and multiply with what they call a kernel, too."""
SCALES = (layers.BatchNormalization, layers.PReLU)
TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)


@dataclass
class Case:
    """A random network, converted."""

    number: int
    seed: keras.Model
    search: keras.Model
    before: Any
    """What was recorded of the seed before it was converted."""

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.number)


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        fresh = np.random.default_rng(metafunc.config.option.fresh_seed)
        fixed, count = (SLOW_FIXED, SLOW_FRESH) if metafunc.config.option.runslow else (FIXED, FRESH)
        numbers = [*range(fixed), *map(int, fresh.integers(10**3, 10**9, count))]
        metafunc.parametrize("case", numbers, indirect=True, ids=str, scope="module")


@pytest.fixture(scope="module")
def case(request) -> Case:
    return converted(request.param)


@functools.lru_cache(maxsize=1)
def converted(number: int) -> Case:
    seed = random_network(number)
    if number % 2:
        seed.compile("sgd", "mse")
    before = snapshot(seed)
    search = keras_pit.convert(seed, **arguments(seed, np.random.default_rng(number)))
    return Case(number, seed, search, before)


def operations(model: Any) -> list[Any]:
    """Layers and operations, however deep, and the model itself."""
    found = [model]
    for operation in getattr(model, "operations", model.layers):
        found += operations(operation) if isinstance(operation, keras.Model) else [operation]
    return found


def names(model: Any) -> set[str]:
    """Names of layers and operations; those of input layers have a test of their own, in `test_graphs`."""
    return {part.name for part in operations(model) if not isinstance(part, layers.InputLayer)}


def snapshot(model: Any) -> dict[str, Any]:
    """All that a conversion must leave alone."""
    everything = operations(model)
    return {
        "variables": [ops.convert_to_numpy(variable) for variable in model.variables],
        "trainable": [(layer.trainable, len(layer.trainable_weights)) for layer in model._flatten_layers()],
        "inbound": [len(operation._inbound_nodes) for operation in everything],
        "outbound": [len(operation._outbound_nodes) for operation in everything],
        "names": [operation.name for operation in everything],
        "inputs": [id(tensor) for tensor in model.inputs],
        "outputs": [id(tensor) for tensor in model.outputs],
        "compiled": (model.compiled, id(getattr(model, "optimizer", None)), getattr(model, "loss", None)),
    }


def outputs(model: Any, x: Any, training: bool = False) -> list[np.ndarray]:
    return [ops.convert_to_numpy(y).astype("float64") for y in keras.tree.flatten(model(x, training=training))]


def relative_error(received: list[np.ndarray], expected: list[np.ndarray]) -> float:
    """The largest difference, relative to the output's scale."""
    worst = 0.0
    for one, other in zip(received, expected, strict=True):
        assert one.shape == other.shape
        assert np.isfinite([one, other]).all()
        worst = max(worst, float(np.abs(one - other).max() / max(np.abs(other).max(), 1e-3)))
    return worst


def relatives(model: keras.Model) -> list[Any]:
    """The layers of the model, however deep, each once."""
    found = []
    for layer in model._flatten_layers(include_self=False):
        if not any(layer is other for other in found):
            found.append(layer)
    return found


def counted_size(model: keras.Model) -> int:
    """All weights but those that scale and shift the channels of others."""
    scales = [weight for layer in relatives(model) if isinstance(layer, SCALES) for weight in layer.weights]
    weights = {id(weight): math.prod(weight.shape) for weight in model.weights}
    return sum(weights.values()) - sum(weights[id(weight)] for weight in scales)


def positions(layer: Any, inputs: Any, result: Any) -> int:
    """How often a layer applies its kernels to one sample."""
    if isinstance(layer, layers.RNN):
        return inputs.shape[1]
    if isinstance(layer, layers.EinsumDense):
        kernel, read = list(layer.kernel.shape), list(inputs.shape)
        return math.prod(read) // math.prod(kernel[: kernel.index(read[-1]) + 1])
    where = inputs if isinstance(layer, TRANSPOSED) else result
    channels_first = getattr(layer, "data_format", None) == "channels_first"
    return math.prod(where.shape[2:] if channels_first else where.shape[1:-1])


def counted_macs(model: keras.Model, x: Any, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run one sample and count in each call: every weight, at every position it is applied at."""
    calls: list[int] = []

    def counting(original):
        def call(layer, inputs, *args, **kwargs):
            result = original(layer, inputs, *args, **kwargs)
            kernels = sum(math.prod(weight.shape) for weight in layer.weights if "kernel" in weight.name)
            calls.append(positions(layer, inputs, result) * kernels)
            return result

        return call

    with monkeypatch.context() as patch:
        for kind in {type(layer) for layer in relatives(model) if isinstance(layer, (*COSTED, *MULTIPLIERS))}:
            patch.setattr(kind, "call", counting(kind.call))
        model(x, training=False)
    return sum(calls)


# -- by hand ----------------------------------------------------------------------------------------------------------


def twice(layer: Any) -> Any:
    return lambda x: layers.Concatenate()([layer(x), layer(2.0 * x)])


def nested(layer: Any, shape: tuple[int, ...]) -> Any:
    return keras.Sequential([keras.Input(shape), layer])


# A layer, or what calls some; the shape of one sample; parameters and multiply-accumulates, counted by hand.
COUNTED = [
    (layers.Dense(5), (3,), 3 * 5 + 5, 15),
    (layers.Dense(5), (8, 3), 3 * 5 + 5, 8 * 15),
    (layers.Conv1D(4, 3, padding="same"), (8, 3), 3 * 3 * 4 + 4, 8 * 36),
    (layers.Conv1D(4, 3, padding="causal", dilation_rate=2), (8, 3), 3 * 3 * 4 + 4, 8 * 36),
    (layers.Conv1D(4, 3, strides=2, use_bias=False), (8, 3), 3 * 3 * 4, 3 * 36),
    (layers.Conv1D(6, 3, groups=2, padding="same"), (8, 4), 3 * 2 * 6 + 6, 8 * 36),
    (layers.Conv1D(8, 3, groups=4, padding="same"), (8, 4), 3 * 1 * 8 + 8, 8 * 24),
    (layers.Conv2D(4, (3, 2), padding="same"), (5, 6, 3), 6 * 3 * 4 + 4, 5 * 6 * 72),
    (layers.Conv2D(4, 3, strides=(2, 1)), (5, 6, 3), 9 * 3 * 4 + 4, 2 * 4 * 108),
    (layers.Conv3D(2, 2), (3, 3, 3, 2), 8 * 2 * 2 + 2, 8 * 32),
    (layers.Conv1DTranspose(4, 3, strides=2), (8, 3), 3 * 3 * 4 + 4, 8 * 36),
    (layers.Conv2DTranspose(2, 2, strides=2, padding="same"), (3, 4, 5), 4 * 2 * 5 + 2, 3 * 4 * 40),
    (layers.Conv3DTranspose(2, 2), (2, 2, 2, 3), 8 * 2 * 3 + 2, 8 * 48),
    (layers.DepthwiseConv1D(3, depth_multiplier=2), (8, 4), 3 * 4 * 2 + 8, 6 * 24),
    (layers.DepthwiseConv2D(3, padding="same", use_bias=False), (4, 4, 2), 9 * 2, 16 * 18),
    (layers.SeparableConv1D(5, 3, depth_multiplier=2, padding="same"), (8, 4), 3 * 8 + 8 * 5 + 5, 8 * (24 + 40)),
    (layers.SeparableConv2D(5, 3, strides=2, padding="same"), (4, 4, 2), 9 * 2 + 2 * 5 + 5, 4 * (18 + 10)),
    (twice(layers.Dense(5)), (8, 3), 3 * 5 + 5, 2 * 8 * 15),
    (twice(nested(layers.Conv1D(4, 3), (8, 3))), (8, 3), 3 * 3 * 4 + 4, 2 * 6 * 36),
    (layers.TimeDistributed(layers.Dense(5)), (8, 3), 3 * 5 + 5, 8 * 15),
    (layers.TimeDistributed(layers.Conv1D(4, 3)), (2, 8, 3), 3 * 3 * 4 + 4, 2 * 6 * 36),
]


@pytest.mark.parametrize(("build", "shape", "size", "macs"), COUNTED)
def test_costs_are_as_counted_by_hand(build, shape, size, macs, monkeypatch):
    inputs = keras.Input(shape)
    # A small layer in front, so that there is something to search in each row.
    model = keras.Model(inputs, build(layers.Dense(shape[-1], use_bias=False)(inputs)))
    positions, weights = math.prod(shape[:-1]), shape[-1] ** 2
    expected = {"size": size + weights, "macs": macs + positions * weights}
    search = keras_pit.convert(model)
    x = np.ones((1, *shape), "float32")
    assert {"size": counted_size(model), "macs": counted_macs(model, x, monkeypatch)} == expected
    for counted in (model, search):
        assert {metric: int(keras_pit.cost(counted, metric)) for metric in expected} == expected


# -- the laws ---------------------------------------------------------------------------------------------------------


def test_conversion_leaves_the_seed_untouched(case):
    after = snapshot(case.seed)
    for what, before in case.before.items():
        if what == "variables":
            assert all(np.array_equal(one, other) for one, other in zip(after[what], before, strict=True))
        else:
            assert after[what] == before, what


def test_conversion_is_neutral(case):
    x = data(case.seed, case.rng)
    for mask in keras_pit.mask_variables(case.search):
        mask.assign(np.ones(mask.shape))
    for training in (False, True):
        error = relative_error(outputs(case.search, x, training), outputs(case.seed, x, training))
        assert error <= TOLERANCE, describe(case.seed)


def test_export_is_exact(case, record_property):
    rng, errors = case.rng, []
    for density in DENSITIES:
        random_masks(case.search, rng, density)
        slim, x = keras_pit.export(case.search), data(case.seed, rng)
        less = read(case.search, x)
        errors.append(relative_error(outputs(slim, less), outputs(case.search, x)))
        outputs(slim, less, training=True)
    record_property(ERROR, max(errors))
    assert max(errors) <= TOLERANCE, describe(case.seed)


def test_export_is_plain(case):
    random_masks(case.search, case.rng)
    slim = keras_pit.export(case.search)
    kinds = {type(layer) for layer in slim._flatten_layers()} - {Mix}
    assert {kind.__module__.split(".")[0] for kind in kinds} == {"keras"}
    assert names(case.seed) - names(slim) == gone(case.search)


def test_cost_is_exact(case, monkeypatch):
    random_masks(case.search, case.rng)
    slim, x = keras_pit.export(case.search), data(case.seed, case.rng, batch=1)
    counted = {"size": counted_size(slim), "macs": counted_macs(slim, read(case.search, x), monkeypatch)}
    for metric, number in counted.items():
        hard = keras_pit.cost(case.search, metric)
        assert isinstance(hard, int)
        assert hard == keras_pit.cost(slim, metric) == number, describe(case.seed)
        assert float(keras_pit.soft_cost(case.search, metric)) == pytest.approx(number, rel=1e-6)


def test_nothing_is_silent(case):
    """Each layer makes channels that are searched, or says why not, or passes on those that it reads."""
    known = case.search.channels.layers
    for layer in relatives(case.search):
        if isinstance(layer, COSTED):
            assert layer in known, layer.name
            channels = known[layer]
            if (channels.made == 0).all():
                passes_on = "out" in channels.roles and not len(channels.made)
                assert channels.frozen or passes_on, layer.name
            else:
                assert channels.frozen is None, layer.name
