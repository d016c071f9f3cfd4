"""Pictures: everything that is to be read is there, nothing lies over anything else, also with 60 layers."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import keras_pit
from keras_pit import pictures
from keras_pit.pictures import style

MODEL = "tflite/watch/model.tflite"
LAYERS = 60


def shape(channels, kernel, dilation):
    size = channels * channels * kernel
    return {"channels": channels, "kernel": (kernel,), "dilation": (dilation,), "size": size, "macs": 64 * size}


def report(count):
    rng = np.random.default_rng(0)
    layers = [
        {
            "name": f"stage{index // 10}_block{index % 10}_depthwise_convolution",
            "kind": "Conv1D",
            "before": shape(64, 9, 1),
            "after": shape(int(rng.integers(1, 64)), int(rng.integers(1, 9)), int(rng.choice([1, 2, 4]))),
        }
        for index in range(count)
    ]
    return {"model": "big", "layers": layers, "kept": []}


def history(count, epochs=20):
    names = [layer["name"] for layer in report(count)["layers"]]
    shares = np.linspace(1, 0.2, epochs)
    return [
        {
            "phase": "search",
            "logs": {"loss": 2 * share, "accuracy": 1 - share / 2, "macs": 1e7 * share, "ram:pico": 4e4 * share},
            "layers": {name: {"channels": round(64 * share), "span": 9, "dilation": 1} for name in names},
        }
        for share in shares
    ]


POINTS = [
    {"name": f"network number {index}", "accuracy": 0.8 + 0.01 * index, "costs": {"macs": 1000 * 1.6**index}}
    for index in range(8)
]
DRAWN = {
    "architecture": lambda count, **to: pictures.architecture(report(count), **to),
    "cost_by_layer": lambda count, **to: pictures.cost_by_layer(report(count), **to),
    "channels_over_time": lambda count, **to: pictures.channels_over_time(history(count), **to),
    "layers_over_time": lambda count, **to: pictures.layers_over_time(history(count), **to),
    "costs_over_time": lambda count, **to: pictures.costs_over_time(history(count), target={"macs": 2e6}, **to),
    "accuracy_against_cost": lambda count, **to: pictures.accuracy_against_cost(POINTS, **to),
    "arena": lambda count, **to: pictures.arena(keras_pit.profile(MODEL), **to),
}


def ticks(axis):
    """The numbers and names along an axis that are drawn."""
    low, high = sorted(axis.get_view_interval())
    return [
        tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high and tick.label1.get_visible()
    ]


def texts(drawn):
    """All that is written on a figure, and where."""
    drawn.draw_without_rendering()
    found = []
    for axes in drawn.axes:
        found += [*ticks(axes.xaxis), *ticks(axes.yaxis), *axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]
    return [(text.get_text(), text.get_window_extent()) for text in found if text.get_text() and text.get_visible()]


@pytest.mark.parametrize("name", DRAWN)
def test_nothing_lies_over_anything_else(name):
    written = texts(DRAWN[name](LAYERS))
    for (one, here), (two, there) in itertools.combinations(written, 2):
        # Half a point is the rounding of boxes.
        assert not here.padded(-0.5).overlaps(there.padded(-0.5)), (one, two)


@pytest.mark.parametrize("name", DRAWN)
def test_what_is_returned_and_saved(name, tmp_path):
    drawn = DRAWN[name](1, path=tmp_path / "picture.svg")
    assert isinstance(drawn, Figure)
    assert (tmp_path / "picture.svg").read_text().startswith("<?xml")


def test_every_layer_is_named():
    for name in ("cost_by_layer", "channels_over_time"):
        labels = [label.get_text() for label in DRAWN[name](LAYERS).axes[0].get_yticklabels()]
        assert len(set(labels)) == LAYERS and all(len(label) <= 28 for label in labels)


def test_bars_are_as_long_as_the_numbers():
    found = report(5)
    axes = pictures.cost_by_layer(found, "size").axes[0]
    assert [bar.get_width() for bar in axes.patches] == [layer["after"]["size"] for layer in found["layers"]]
    channels = pictures.architecture(found).axes[0]
    widths = [bar.get_width() for bar in channels.patches]
    assert widths == [layer[when]["channels"] for when in ("before", "after") for layer in found["layers"]]


def test_the_arena_has_names_of_layers():
    profile = keras_pit.profile(MODEL)
    layers = [f"layer {number}" for number in range(len(profile.operators))]
    axes = pictures.arena(profile, layers=layers, core="cortex-m55").axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["input", *(f"{name} ({op.name})" for name, op in zip(layers, profile.operators, strict=True))]
    boxes = [one for one in axes.patches if isinstance(one, Rectangle)]
    assert max(box.get_x() + box.get_width() for box in boxes) == profile.arena["cortex-m55"].head
    written = " ".join(text.get_text() for text in axes.texts)
    assert "layer 0" in written and "input" in written
    with pytest.raises(ValueError, match="`layers` names 1 operators, but the file has"):
        pictures.arena(profile, layers=["conv"])
    with pytest.raises(TypeError, match=r"`report` must be what keras_pit\.profile returns"):
        pictures.arena(profile.as_dict())


def test_instructions_of_a_file():
    profile = keras_pit.profile(MODEL)
    for one in (profile, profile.as_dict()):
        axes = pictures.cost_by_layer(one, "cortex-m4").axes[0]
        assert [bar.get_width() for bar in axes.patches] == [op.instructions["cortex-m4"] for op in profile.operators]
    with pytest.raises(ValueError, match="`metric` must be one of 'macs', 'cortex-m4'"):
        pictures.cost_by_layer(profile, "size")


def test_colours_are_told_apart_in_black_and_white():
    def lightness(color):
        return float(np.dot((0.2126, 0.7152, 0.0722), to_rgb(color)))

    assert lightness(style.BEFORE) - lightness(style.AFTER) > 0.4
    looks = [(style.line(number)["color"], style.line(number)["linestyle"]) for number in range(7)]
    for (one, dash), (two, other) in itertools.pairwise(looks):
        assert dash != other and abs(lightness(one) - lightness(two)) > 0.08


def test_what_cannot_be_drawn():
    with pytest.raises(TypeError, match=r"`report` must be what keras_pit\.summary"):
        pictures.architecture("model")
    with pytest.raises(ValueError, match="`history` has no epoch of 'search'"):
        pictures.channels_over_time([])
    with pytest.raises(ValueError, match="None of 1 points has both 'accuracy' and 'flash'"):
        pictures.accuracy_against_cost([{"name": "one", "accuracy": 1.0}], "flash")


def test_points_of_one_curve_look_alike_and_are_named_once():
    points = [
        {"curve": "sweep", "accuracy": 0.8 + cost / 100, "size": cost, "dominated": cost == 3} for cost in (9, 1, 3)
    ]
    axes = pictures.accuracy_against_cost([*points, {"name": "by hand", "accuracy": 0.7, "size": 2}], "size").axes[0]
    best, pale, other, _ = axes.lines
    assert (list(best.get_xdata()), best.get_drawstyle()) == ([1, 9], "steps-post")
    assert (list(pale.get_xdata()), pale.get_alpha()) == ([3], 0.3)
    assert best.get_color() == pale.get_color() != other.get_color()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["sweep"]
    assert [text.get_text() for text in axes.texts] == ["by hand"]
