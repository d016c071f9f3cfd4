"""The report on a file: its parts add up, and it names what is slow with the cure."""

import copy
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import layers
from rich.console import Console
from untrimmed import untrimmed

from keras_pit import DeploymentError
from keras_pit.costs import cores
from keras_pit.costs.arena import arena
from keras_pit.costs.latency import milliseconds
from keras_pit.costs.schedule import choices, in_order
from keras_pit.deployment import profile, run_tflite_micro, trim
from keras_pit.deployment.flatbuffer import File, read_program
from keras_pit.deployment.packing import repack

EXAMPLE = Path(__file__).parents[2] / "tflite" / "watch" / "model.tflite"


def small_cnn():
    return keras.Sequential(
        [
            layers.Input((8, 8, 4)),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


def one(*stack, shape=(16, 16, 4)):
    return keras.Sequential([layers.Input(shape), *stack])


def converted(model, quantization="int8"):
    """A file in which nothing is lowered."""
    keras.utils.set_random_seed(0)
    samples = np.random.default_rng(0).normal(size=(8, *model.inputs[0].shape[1:])).astype("float32")
    return untrimmed(model, [samples], quantization)


@pytest.fixture(scope="module")
def tflite():
    return trim(converted(small_cnn()))


@pytest.fixture(scope="module")
def report(tflite):
    return profile(tflite)


def test_flash_adds_up(tflite, report):
    assert report.flash.total == len(tflite)
    assert report.flash.weights == 8 * 3 * 3 * 4 + 3 * 4 * 4 * 8
    assert report.flash.biases == 4 * 8
    assert 0 < report.flash.quantization < report.flash.graph


def test_paths_are_read(tflite, report, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(tflite)
    assert profile(path).as_dict() == profile(str(path)).as_dict() == report.as_dict()


def test_what_is_no_file_is_refused(tflite):
    with pytest.raises(TypeError, match=r"must be its content as bytes, or its path, received .*keras_pit\.to_tflite"):
        profile(small_cnn())
    for other in (b"", b"no flatbuffer"):
        with pytest.raises(DeploymentError, match=f"Expected the content of a .tflite .* received {len(other)} bytes"):
            profile(other)
    for length in (8, 20, len(tflite) // 3, len(tflite) - 40):
        with pytest.raises(DeploymentError, match=f"damaged: .* outside of its {length:,} bytes"):
            profile(tflite[:length])


def test_what_another_order_saves_is_told():
    """Two branches that are wide in the middle, in the worst of all orders: then both are wide at once."""
    inputs = keras.Input((1, 100, 4))
    branches = [layers.Conv2D(2, 1)(layers.Conv2D(16, 1)(inputs)) for _ in range(2)]
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layers.Add()(branches))))
    best = File.of(trim(converted(model)))
    places, saved = range(len(best.program.operators)), {}
    for (order,) in choices(best.program)[0].orders:
        others = [order[place - min(order)] if place in order else place for place in places]
        saved[tuple(others)] = arena(in_order(best.program, others)).head - arena(best.program).head
    worst = max(saved, key=saved.__getitem__)
    assert saved[worst] > 0
    tree = copy.deepcopy(best.tree)
    tree.subgraphs[0].operators = [tree.subgraphs[0].operators[place] for place in worst]
    found = {}
    for name, file in (("best", best), ("worst", repack(tree))):
        found[name] = [one.problem for one in profile(file.content).advice if "another order" in one.problem]
    assert found["best"] == []
    assert f"use at least {saved[worst]:,} B less of the" in found["worst"][0]


def test_names_count_as_graph(tflite):
    whole = profile(converted(small_cnn())).flash
    trimmed = profile(tflite).flash
    assert whole.weights == trimmed.weights
    assert whole.graph > trimmed.graph


def test_arena_is_that_of_the_cost_model(tflite, report):
    program = read_program(tflite)
    assert report.arena == {core: arena(program, core) for core in cores.names()}
    assert report.arena["cortex-m4"].total == report.arena["cortex-m4"].head + report.arena["cortex-m4"].tail
    assert report.host_arena == run_tflite_micro(tflite, np.zeros((1, 8, 8, 4), "int8")).arena_bytes


def test_operators(tflite, report):
    assert [(op.name, op.output, op.macs) for op in report.operators] == [
        ("CONV_2D", (1, 8, 8, 8), 64 * 8 * 36),
        ("MAX_POOL_2D", (1, 4, 4, 8), 0),
        ("FULLY_CONNECTED", (1, 3), 3 * 128),
    ]
    assert report.macs == 64 * 8 * 36 + 3 * 128
    for core, total in report.instructions.items():
        parts = sum(op.instructions[core] for op in report.operators)
        assert 0 < total - parts < 1000
    assert report.milliseconds("cortex-m7", 216) == milliseconds(read_program(tflite), "cortex-m7", 216)


def test_largest_tensors(report):
    assert [(tensor.shape, tensor.bytes, tensor.maker) for tensor in report.tensors[:2]] == [
        ((1, 8, 8, 8), 512, "CONV_2D"),
        ((1, 8, 8, 4), 256, "input"),
    ]


def test_nothing_to_advise_for_a_network_that_fits(report):
    assert report.advice == ()


@pytest.mark.parametrize(
    ("model", "place", "problem", "cure"),
    [
        (one(layers.GlobalAveragePooling2D()), "MEAN 0", "no accelerated kernel for 1x16x16x4", "average pooling"),
        (one(layers.Activation("tanh")), "TANH 0", "an activation on its own over 1024 elements", "ReLU directly"),
        (
            one(layers.Conv2D(6, 1), layers.Conv2D(8, 1), layers.Conv2D(8, 1)),
            "CONV_2D 1",
            "6 channels are no multiple of 4",
            "choose multiples of 4",
        ),
        (
            one(layers.DepthwiseConv2D(3, dilation_rate=2)),
            "DEPTHWISE_CONV_2D 0",
            "a dilated depthwise",
            "without dilation",
        ),
        (
            one(layers.DepthwiseConv2D(3, depth_multiplier=2)),
            "DEPTHWISE_CONV_2D 0",
            "2 outputs a channel",
            "one output",
        ),
        (one(layers.Activation("elu")), "the file", "numbers change their type", "keras_pit.to_tflite"),
    ],
    ids=["mean", "activation", "channels", "dilated", "multiplier", "types"],
)
def test_advice(model, place, problem, cure):
    found = [advice for advice in profile(converted(model)).advice if advice.place == place]
    assert any(problem in advice.problem and cure in advice.cure for advice in found)


def test_float_files_are_reported_with_a_warning():
    report = profile(converted(small_cnn(), None))
    assert report.flash.weights == 4 * (8 * 36 + 3 * 128)
    assert "inputs are not int8" in report.advice[0].problem


def test_naive_files_are_reported(tmp_path):
    import tensorflow as tf

    model = one(layers.Conv1D(4, 3, dilation_rate=2), shape=(16, 4))
    naive = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    problems = " ".join(advice.problem for advice in profile(naive).advice)
    assert "dimensions are left open" in problems
    assert "a dilated convolution was taken apart" in problems


def test_operators_that_tflite_micro_lacks():
    import tensorflow as tf

    function = tf.function(lambda x: tf.tile(x, (1, 2, 1))).get_concrete_function(tf.TensorSpec((1, 4, 2)))
    report = profile(tf.lite.TFLiteConverter.from_concrete_functions([function]).convert())
    assert ("TILE 0", "TFLite-Micro has no kernel for it, the file will not run") in [
        (advice.place, advice.problem) for advice in report.advice
    ]
    assert report.host_arena is None


def test_nothing_is_cut_off_in_80_columns():
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(profile(EXAMPLE))
    shown = capture.get()
    for words in ("FULLY_CONNECTED", "AVERAGE_POOL_2D", "cortex-m0+", "1,290,856"):
        assert f" {words}" in shown


def test_prints_as_tables(report):
    text = str(report)
    assert max(map(len, text.splitlines())) <= 120
    for part in ("flash: the file", "arena on cortex-m55", "FULLY_CONNECTED", "1x8x8x8", "milliseconds at 100 MHz"):
        assert part in text


def test_as_dict_is_json(report):
    found = json.loads(json.dumps(report.as_dict()))
    assert found["flash"]["total"] == report.flash.total
    assert found["arena"]["cortex-m4"]["total"] == report.arena["cortex-m4"].total
    assert found["operators"][0]["name"] == "CONV_2D"


def test_plot(report, tmp_path):
    path = report.plot(tmp_path / "arena.png", core="cortex-m55")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_trimmed_files_still_load(tflite):
    Interpreter(model_content=tflite).allocate_tensors()
