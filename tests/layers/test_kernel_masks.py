"""Every kernel mask can be exported exactly, as a kernel with no more taps than the mask kept.

Three layers of tests, each over all it can reach:

    KernelMask   the mask variables against the formula of the papers
    ShortKernel  the stock convolution that stands for a masked one: which samples each output reads. All kernel sizes,
                 states, strides, dilations and paddings, at many lengths, in plain numpy
    export       real layers, with explicit padding in all its forms; a covering part, some states of each, with
                 --runslow all

A state is set through the variables: entries above 0.5 are on.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import pytest
from exactness import ERROR
from keras import layers

import keras_pit
from keras_pit.layers.kernels import KernelAxis, ShortKernel
from keras_pit.layers.masks import KernelMask, MaskRow

SIZES = range(1, 18)
# Keras has no stride together with a dilation.
STEPS = [(1, 1), (2, 1), (3, 1), (1, 2), (1, 3)]
TOLERANCE = 1e-5
MOST = 3
"""So many states of each network, and the last one."""


# -- the mask ---------------------------------------------------------------------------------------------------------


def formula(mask: KernelMask, beta: np.ndarray, gamma: np.ndarray) -> list[int]:
    """The taps that are on, as the papers write it: tap i is on if both sums are above 1/2."""
    beta, gamma = (beta > 0.5).astype(int), (gamma > 0.5).astype(int)
    beta[0] = gamma[-1] = 1
    return [
        tap
        for tap, lag in enumerate(mask.lags)
        if sum(beta[lag:]) > 0.5 and sum(g for g, step in zip(gamma, mask.steps, strict=True) if lag % step == 0) > 0.5
    ]


def variables(mask: KernelMask) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Values of beta and gamma: all combinations of on and off for small kernels, else a sample of them."""
    sizes = max(mask.lags) + 1, len(mask.steps)
    if sum(sizes) <= 6:
        for values in itertools.product([0.3, 0.7], repeat=sum(sizes)):
            yield np.array(values[: sizes[0]], "float32"), np.array(values[sizes[0] :], "float32")
    else:
        rng = np.random.default_rng(sizes)
        for share in np.linspace(0, 1, 12):
            beta, gamma = (np.where(rng.random(size) < share, 0.7, 0.5).astype("float32") for size in sizes)
            yield beta, gamma


def soft(mask: KernelMask, beta: np.ndarray | None, gamma: np.ndarray | None) -> np.ndarray:
    """The mask as a search computes it."""
    row = MaskRow([], [(mask, beta is not None, gamma is not None)])
    return keras.ops.convert_to_numpy(row.soft([values for values in (beta, gamma) if values is not None]))[1:]


@pytest.mark.parametrize("anchor", ["last", "centre"])
@pytest.mark.parametrize("size", SIZES)
def test_mask_is_the_formula_of_the_papers(size, anchor):
    mask = KernelMask.of(size, anchor)
    for beta, gamma in variables(mask):
        expected = formula(mask, beta, gamma)
        both = soft(mask, beta, gamma)
        assert np.flatnonzero(both).tolist() == mask.taps(beta, gamma).tolist() == expected
        assert set(both.tolist()) <= {0.0, 1.0}
        assert np.flatnonzero(soft(mask, beta, None)).tolist() == formula(mask, beta, np.ones_like(gamma))
        assert np.flatnonzero(soft(mask, None, gamma)).tolist() == formula(mask, np.ones_like(beta), gamma)


# Size of the kernel, the tap that stays, and then all that can be reached of the kernel, as pictures.
PICTURES = [
    (1, "last", {"x"}),
    (2, "last", {"xx", ".x"}),
    (5, "last", {"xxxxx", ".xxxx", "..xxx", "...xx", "....x", "x.x.x", "..x.x", "x...x"}),
    (4, "centre", {"xxxx", "xxx.", ".x..", ".x.x"}),
    (5, "centre", {"xxxxx", ".xxx.", "..x..", "x.x.x"}),
]


def reachable(mask: KernelMask) -> set[tuple[int, ...]]:
    """All sets of taps: some receptive field and some dilation, what is left of the field on its grid."""
    return {
        tuple(tap for tap, lag in enumerate(mask.lags) if lag <= reach and lag % step == 0)
        for reach in range(max(mask.lags) + 1)
        for step in mask.steps
    }


@pytest.mark.parametrize(("size", "anchor", "pictures"), PICTURES)
def test_reachable_kernels(size, anchor, pictures):
    taps = reachable(KernelMask.of(size, anchor))
    assert {"".join(".x"[tap in kept] for tap in range(size)) for kept in taps} == pictures


# -- the window -------------------------------------------------------------------------------------------------------


def samples(x: np.ndarray, size: int, stride: int, dilation: int, padding: str) -> np.ndarray:
    """What a stock convolution reads for each output and tap, shape (outputs, taps), of a row of samples.

    In place of padding there is 0.
    """
    span = (size - 1) * dilation + 1
    if padding == "causal":
        x = np.pad(x, (span - 1, 0))
    elif padding == "same":
        total = max((-(-len(x) // stride) - 1) * stride + span - len(x), 0)
        x = np.pad(x, (total // 2, total - total // 2))
    starts = np.arange(0, len(x) - span + 1, stride)
    return x[starts[:, None] + np.arange(size) * dilation]


def of_window(window: ShortKernel, x: np.ndarray) -> np.ndarray:
    """What the stock layer in place of a masked one reads."""
    before, after = window.margins(len(x))
    x = np.pad(x, (max(before, 0), max(after, 0)))
    x = x[max(-before, 0) : len(x) - max(-after, 0)][:: window.subsample]
    return samples(x, len(window.taps), window.stride, window.dilation, window.padding)


def anchor_of(padding: str) -> str:
    return "centre" if padding == "same" else "last"


@pytest.mark.parametrize(("stride", "dilation"), STEPS)
@pytest.mark.parametrize("padding", ["causal", "same", "valid"])
@pytest.mark.parametrize("size", SIZES)
def test_window_reads_what_the_kept_taps_read(size, padding, stride, dilation):
    axis = KernelAxis(size, stride, dilation, padding)
    shortest = (size - 1) * dilation + 1 if padding == "valid" else 1
    for taps in reachable(KernelMask.of(size, anchor_of(padding), stride)):
        for length in [*range(shortest, shortest + 14), 49, 50, 51]:
            x = np.arange(1, length + 1)
            expected = samples(x, size, stride, dilation, padding)[:, list(taps)]
            # One call of the layer, and two with inputs of different lengths.
            for lengths in ([length], [length, shortest + 4], [shortest + 5, length]):
                window = ShortKernel.of(taps, axis, lengths)
                assert window.stride == 1 or window.dilation == 1
                assert np.array_equal(of_window(window, x), expected), (taps, lengths)


# How much a strided "same" pads depends on the length.
OPEN = [
    (padding, *steps)
    for padding in ("causal", "same", "valid")
    for steps in STEPS
    if padding != "same" or steps[0] == 1
]


@pytest.mark.parametrize(("padding", "stride", "dilation"), OPEN)
def test_window_of_open_length_serves_every_length(padding, stride, dilation):
    for size in SIZES:
        axis = KernelAxis(size, stride, dilation, padding)
        for taps in reachable(KernelMask.of(size, anchor_of(padding), stride)):
            window = ShortKernel.of(taps, axis, [None])
            assert window.margins(None) == window.margins(50) == window.margins(51)
            x = np.arange(1, 51)
            assert np.array_equal(of_window(window, x), samples(x, size, stride, dilation, padding)[:, list(taps)])


# -- export -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setup:
    """A network around masked kernels.

    `kind` names the layer: Conv1D, DepthwiseConv1D, or Conv2D and DepthwiseConv2D over "rows" or "columns".
    `before` is the explicit padding: none; "even", "left", "right"; "twice" (the padded tensor is read by two
    convolutions), "again" (the padding layer is called on two tensors), "dropout" (comes between).
    """

    size: int
    padding: str
    stride: int
    dilation: int
    length: int | None
    before: str = ""
    kind: str = "Conv1D"

    def __str__(self) -> str:
        parts = [self.kind, f"k{self.size}", self.padding, f"s{self.stride}", f"d{self.dilation}"]
        return "-".join([*parts, f"T{self.length or 'open'}", *[self.before] * bool(self.before)])

    @property
    def rank(self) -> int:
        return 2 if "2D" in self.kind else 1

    @property
    def axis(self) -> int:
        return 1 if "columns" in self.kind else 0

    def along(self, value: Any, other: Any) -> Any:
        """For each spatial axis a value: on the searched one, and elsewhere."""
        return tuple(value if axis == self.axis else other for axis in range(self.rank))

    def layer(self, name: str) -> Any:
        kind = self.kind.split()[0]
        # TensorFlow's depthwise convolutions have the same stride in all directions.
        strides = self.along(self.stride, self.stride if "Depthwise" in kind else 1)
        arguments: dict[str, Any] = {
            "kernel_size": self.along(self.size, 1),
            "strides": strides,
            "dilation_rate": self.along(self.dilation, 1),
            "padding": self.padding,
            "bias_initializer": "random_normal",
            "name": name,
        }
        if "Depthwise" not in kind:
            arguments["filters"] = 3
        return getattr(layers, kind)(**arguments)

    def model(self) -> keras.Model:
        shape = (*self.along(self.length, 5), 2)
        x = inputs = keras.Input(shape, name="x")
        if self.before:
            amount = {"left": (self.size - 1, 0), "right": (0, 2)}.get(self.before, self.size // 2 + 1)
            pad = layers.ZeroPadding1D(amount, name="pad")
            x = pad(x)
        if self.before == "dropout":
            x = layers.Dropout(0.5, name="dropout")(x)
        outputs = [self.layer("conv")(x)]
        if self.before == "twice":
            outputs.append(self.layer("other")(x))
        if self.before == "again":
            outputs.append(self.layer("other")(pad(layers.ReLU(name="relu")(inputs))))
        return keras.Model(inputs, outputs)


def states(layer: Any) -> list[dict[str, np.ndarray]]:
    """Values of the mask variables, one for each reachable set of taps."""
    rng = np.random.default_rng(0)
    found = {}
    longest = layer.beta.shape[0] if layer.beta is not None else 1
    finest = layer.gamma.shape[0] if layer.gamma is not None else 1
    for reach, level in itertools.product(range(longest), range(finest)):
        beta = np.where(np.arange(longest) < reach, rng.uniform(0, 1, longest), 0.2)
        beta[reach] = 0.8
        gamma = np.where(np.arange(finest) > level, rng.uniform(0, 1, finest), 0.4)
        gamma[level] = 0.51
        values = {"beta": beta, "gamma": gamma}
        values = {name: value for name, value in values.items() if getattr(layer, name) is not None}
        taps = layer.kernel_mask.taps(values.get("beta"), values.get("gamma")) if values else ()
        found[tuple(taps)] = values
    return list(found.values())


def combinations() -> list[Setup]:
    """All there is to test."""
    plain = [
        Setup(size, padding, stride, dilation, length)
        for size in SIZES
        for stride, dilation in STEPS
        for padding, lengths in (("causal", (10, 23)), ("same", (10, 23, None)), ("valid", (0, 1, None)))
        for length in lengths
    ]
    # The shortest input of "valid" is as long as the kernel; one of it and the next is even, the other odd.
    plain = [
        replace(one, length=one.length + (one.size - 1) * one.dilation + 1)
        if one.padding == "valid" and one.length is not None
        else one
        for one in plain
    ]
    padded = [
        replace(one, before=before)
        for one in plain
        if one.padding == "valid"
        for before in ("even", "left", "right", "twice", "again", "dropout")
    ]
    others = [
        replace(one, kind=kind)
        for one in plain
        if one.padding != "causal" and one.length is not None
        for kind in (
            "DepthwiseConv1D",
            "Conv2D rows",
            "Conv2D columns",
            "DepthwiseConv2D rows",
            "DepthwiseConv2D columns",
        )
    ]
    return [*plain, *padded, *others]


def covering(setups: list[Setup]) -> list[Setup]:
    """A part in which each pair of two settings occurs."""

    def pairs(setup: Setup) -> set[tuple[Any, ...]]:
        parity = "open" if setup.length is None else setup.length % 2
        settings = {
            "size": setup.size,
            "steps": (setup.stride, setup.dilation),
            "padding": setup.padding,
            "parity": parity,
            "before": setup.before,
            "kind": setup.kind,
        }
        return set(itertools.combinations(settings.items(), 2))

    order = np.random.default_rng(0).permutation(len(setups))
    missing = set().union(*map(pairs, setups))
    chosen = []
    for setup in (setups[index] for index in order):
        new = pairs(setup) & missing
        if new:
            chosen.append(setup)
            missing -= new
    return chosen


def pytest_generate_tests(metafunc):
    if "setup" in metafunc.fixturenames:
        setups = combinations()
        if not metafunc.config.option.runslow:
            setups = covering(setups)
        metafunc.parametrize("setup", setups, ids=str)


# A kernel of one tap leaves nothing to search.
@pytest.mark.filterwarnings("ignore:Nothing can be searched:UserWarning")
def test_export_is_exact(setup, record_property, request):
    search = keras_pit.convert(setup.model(), search=("channels", "kernel", "dilation", "kernel_2d"))
    searched = search.search_layers
    rng = np.random.default_rng(setup.size)
    length = setup.length or 3 * setup.size * setup.dilation
    x = rng.normal(size=(2, *setup.along(length, 5), 2)).astype("float32")
    per_layer = [states(layer) for layer in searched]
    worst = 0.0
    count = len(per_layer[0])
    some = range(count) if request.config.option.runslow else sorted({*range(0, count, -(-count // MOST)), count - 1})
    for state in some:
        # Where two layers are searched, they are in different states.
        for which, (layer, values) in enumerate(zip(searched, per_layer, strict=True)):
            for name, value in values[state - which].items():
                getattr(layer, name).assign(value)
        slim = keras_pit.export(search)
        for layer in searched:
            kept = len(layer.kept_taps()) if layer.mask_variables else setup.size
            assert slim.get_layer(layer.name).kernel_size == setup.along(kept, 1)
        received, expected = (keras.tree.flatten(model(x)) for model in (slim, search))
        for one, other in zip(received, expected, strict=True):
            one, other = keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other)
            assert one.shape == other.shape
            worst = max(worst, float(np.abs(one - other).max() / np.abs(other).max()))
    record_property(ERROR, worst)
    assert worst <= TOLERANCE


def test_searched_kernels_have_as_many_states_as_they_should():
    setup = Setup(9, "causal", 1, 1, 20)
    (layer,) = keras_pit.convert(setup.model()).search_layers
    assert len(states(layer)) == len(reachable(KernelMask.of(9, "last")))


OTHERS = [
    layers.SeparableConv2D(4, (3, 1)),
    layers.SeparableConv2D(4, (1, 4), padding="same"),
    layers.Conv2DTranspose(4, (4, 1), padding="same"),
    layers.Conv2DTranspose(4, (1, 3), strides=2),
    layers.Conv2D(4, (3, 3), padding="same"),
    layers.Conv2D(4, (1, 1)),
    layers.DepthwiseConv2D((2, 3)),
]


@pytest.mark.filterwarnings("ignore:Nothing can be searched:UserWarning")
@pytest.mark.parametrize("layer", OTHERS)
def test_other_kernels_are_not_searched(layer):
    inputs = keras.Input((6, 6, 2))
    model = keras.Model(inputs, layers.Conv2D(3, 1)(layer(inputs)))
    search = keras_pit.convert(model, search=("channels", "kernel", "dilation", "kernel_2d"))
    assert [variable.name for variable in keras_pit.mask_variables(search)] in ([], ["alpha"])
