"""Files that others made: what is not known of them is said, and what TFLite-Micro cannot run is refused.

Whatever is read is checked first.
"""

import json
from contextlib import nullcontext

import keras
import numpy as np
import pytest
from handmade import file, packed, schema, shared, stored, tensor, tree
from keras import layers
from untrimmed import naive
from versions import since

import keras_pit
from keras_pit import DeploymentError
from keras_pit.costs.arena import arena
from keras_pit.deployment import profile, run_litert, run_tflite_micro, verify
from keras_pit.deployment.flatbuffer import read_graph, read_program
from keras_pit.deployment.limits import LIMITS

BOARD = "nano33ble"


def problems(tflite):
    found = {}
    for advice in profile(tflite).advice:
        found[advice.place] = f"{found.get(advice.place, '')} {advice.problem}"
    return found


def test_the_error_is_public():
    assert keras_pit.DeploymentError is DeploymentError
    assert issubclass(DeploymentError, RuntimeError)


# --- what is not known


@pytest.mark.parametrize(
    ("name", "macs", "m4", "m55"),
    [
        # 19 steps, 8 units, 16 inputs: four gates read the inputs and the state. Arenas as measured on boards.
        ("lstm", 19 * 4 * 8 * (16 + 8), 2292, 2292),
        # 28 filters over 11 channels and 9 steps; 3 over 14 and 31; 11 x 3.
        ("svdf", 28 * (11 + 9) + 3 * (14 + 20) + 33, 1364, 1540),
        ("circular_buffer", 5 * 3 * 11 + 44, 2660, 2676),
    ],
)
def test_recurrent_operators_are_counted(name, macs, m4, m55):
    tflite = stored(name)
    report = profile(tflite)
    assert report.macs == macs
    assert report.unknown == ()
    for core, measured in (("cortex-m4", m4), ("cortex-m55", m55)):
        assert measured <= report.arena[core].total <= 1.13 * measured
    assert all(None not in op.instructions.values() for op in report.operators)
    assert "at least" not in str(report)
    with (
        pytest.warns(UserWarning, match="SVDF 0: CMSIS-NN computes other numbers") if name == "svdf" else nullcontext()
    ):
        fit = keras_pit.fits(tflite, BOARD)
    assert fit
    assert fit.unknown == ()
    assert "as far as that is known" not in str(fit)


def matmul(left, right, made):
    return file([tensor(left), tensor(right), tensor(made)], [("BATCH_MATMUL", (0, 1), (2,))], inputs=(0, 1))


@pytest.mark.parametrize(
    ("tflite", "macs"),
    [
        (matmul((1, 3, 4), (1, 4, 5), (1, 3, 5)), 3 * 4 * 5),
        (matmul((2, 3, 4), (2, 5, 4), (2, 3, 5)), 2 * 3 * 4 * 5),
        (file([tensor((1, 4)), tensor((1, 4))], [("CUSTOM", (0,), (1,))], custom="Mine"), None),
        (file([tensor((1, 4)), tensor((1, 4))], [("WHILE", (0,), (1,))]), None),
        (file([tensor((1, 4)), tensor((1, 4))], [(250, (0,), (1,))]), None),
        (file([tensor((1, 4)), tensor((1, 4))], [("SQRT", (0,), (1,))]), 0),
    ],
    ids=["matrices", "batches", "custom", "loop", "newer", "elementwise"],
)
def test_unknown_work_is_unknown_not_zero(tflite, macs):
    report = profile(tflite)
    assert [op.macs for op in report.operators] == [macs]
    assert bool(report.unknown) == (report.operators[0].name != "BATCH_MATMUL")
    assert ("at least" in str(report)) == bool(report.unknown)


def test_times_that_were_never_measured_are_told():
    tflite = file([tensor((1, 4)), tensor((1, 4))], [("SQRT", (0,), (1,))])
    assert "its time was never measured" in problems(tflite)["SQRT 0"]
    report = profile(tflite)
    assert report.unknown == ("SQRT",)
    assert set(report.operators[0].instructions.values()) == {None}
    fit = keras_pit.fits(tflite, BOARD)
    assert fit.unknown == report.unknown == tuple(fit.as_dict()["unknown"])
    assert "as far as that is known" in str(fit)


# --- what TFLite-Micro cannot run


def hybrid(name, weights):
    """Weights of 8 bits, inputs in float32: what the converter makes without calibration data."""
    values = np.zeros(weights, np.int8)
    shapes = {"FULLY_CONNECTED": (1, 4), "CONV_2D": (1, 8, 8, 4), "DEPTHWISE_CONV_2D": (1, 8, 8, 4)}
    made = (1, weights[0]) if name == "FULLY_CONNECTED" else (1, 8, 8, 4)
    tensors = [tensor(shapes[name], "FLOAT32", scale=None), tensor(weights, data=values)]
    return file([*tensors, tensor(made, "FLOAT32", scale=None)], [(name, (0, 1), (2,))])


HALF = file(
    [tensor((4,), "FLOAT16", data=np.ones(4, np.float16), scale=None), tensor((1, 4), "FLOAT32", scale=None)],
    [("DEQUANTIZE", (0,), (1,))],
)
ACCELERATED = file([tensor((1, 4)), tensor((1, 4))], [("CUSTOM", (0,), (1,))], custom="ethos-u")


@pytest.mark.parametrize(
    ("tflite", "place", "problem"),
    [
        (hybrid("FULLY_CONNECTED", (3, 4)), "FULLY_CONNECTED 0", "float32 with int8 (dynamic range)"),
        (hybrid("CONV_2D", (4, 3, 3, 4)), "CONV_2D 0", "float32 with int8 (dynamic range)"),
        (hybrid("DEPTHWISE_CONV_2D", (1, 3, 3, 4)), "DEPTHWISE_CONV_2D 0", "float32 with int8 (dynamic range)"),
        (HALF, "DEQUANTIZE 0", "weights in float16"),
        (ACCELERATED, "ethos-u 0", "compiled for an Ethos-U accelerator"),
        (file([tensor((1, 4), "UINT32"), tensor((1, 4), "STRING")], [("CAST", (0,), (1,))]), "CAST 0", "type string"),
        (file([tensor((1, 4)), tensor((1, 4), "VARIANT")], [("CAST", (0,), (1,))]), "CAST 0", "type variant"),
        (file([tensor((1, 4), 99), tensor((1, 4))], [("CAST", (0,), (1,))]), "CAST 0", "type unknown (99)"),
        (file([tensor((1, 4)), tensor((1, 4))], [(250, (0,), (1,))]), "operator 250 0", "has no kernel"),
        (file([tensor((1, 4)), tensor((1, 4))], [("CUSTOM", (0,), (1,))], custom="ADD"), "custom ADD 0", "no kernel"),
    ],
    ids=["dense", "conv", "depthwise", "half", "ethos-u", "string", "variant", "type", "operator", "custom"],
)
def test_what_tflite_micro_cannot_run_is_told_and_refused(tflite, place, problem, tmp_path):
    found = problems(tflite)[place]
    assert problem in found
    assert "the file will not run" in found
    for refuse in (lambda: keras_pit.fits(tflite, BOARD), lambda: keras_pit.deploy(tflite, tmp_path / "out")):
        with pytest.raises(DeploymentError, match="the file will not run") as raised:
            refuse()
        assert place in str(raised.value)
    assert not list(tmp_path.iterdir())


@since("tflite-micro", "0.dev20260811000000", "ends its process instead")
def test_what_tflite_micro_refuses_for_its_own_reasons_is_told():
    """An addition without scales, which only the kernel itself knows to be wrong."""
    tflite = file([tensor((1, 4), scale=None), tensor((1, 4), scale=None)], [("ADD", (0, 0), (1,))])
    report = profile(tflite)
    assert report.host_arena is None
    assert "the file will not run: TFLite-Micro has no kernel for ADD with these types" in report.advice[0].problem


def test_files_with_variables_are_read(tmp_path):
    tflite = stored("variables")
    names = [op.name for op in read_graph(tflite).ops]
    assert {"CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"} < set(names)
    report = profile(tflite)
    assert {"CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"} < set(report.unknown)
    assert all((None in op.instructions.values()) == (op.name in report.unknown) for op in report.operators)
    assert "at least" in str(report)
    assert json.loads(json.dumps(report.as_dict()))["unknown"] == list(report.unknown)
    assert report.host_arena is not None
    # The variable, (1, 4, 8) of float32, is kept.
    without = packed_without_reads(tflite)
    assert arena(read_program(tflite)).tail - arena(read_program(without)).tail == 4 * 4 * 8
    with pytest.raises(DeploymentError, match="The file keeps variables"):
        keras_pit.deploy(tflite, tmp_path / "out")


def packed_without_reads(tflite):
    """The file with another operator in place of READ_VARIABLE."""
    model = tree(tflite)
    for code in model.operatorCodes:
        if code.builtinCode == schema.BuiltinOperator.READ_VARIABLE:
            code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SQRT
    return packed(model)


def test_fits_reads_paths(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(stored("open_batch"))
    assert keras_pit.fits(path, BOARD) == keras_pit.fits(str(path), BOARD) == keras_pit.fits(path.read_bytes(), BOARD)


# --- damaged, or beyond the limits


def changed(change):
    model = tree(stored("open_batch"))
    change(model, model.subgraphs[0])
    return packed(model)


def conv(**options):
    """A convolution with other options."""

    def change(model, subgraph):
        (op,) = (op for op in subgraph.operators if isinstance(op.builtinOptions, schema.Conv2DOptionsT))
        for name, value in options.items():
            setattr(op.builtinOptions, name, value)

    return change


def setting(part, **values):
    def change(model, subgraph):
        for name, value in values.items():
            setattr(part(subgraph), name, value)

    return change


def first_tensor(subgraph):
    return subgraph.tensors[0]


def first_operator(subgraph):
    return subgraph.operators[0]


@pytest.mark.parametrize(
    ("tflite", "message"),
    [
        (b"", "Expected the content of a .tflite file .*; received 0 bytes"),
        (b"no flatbuffer", "received 13 bytes starting with b'no flatb'"),
        (stored("lstm")[:-100], "damaged: .* ends outside of its 2,116 bytes"),
        (stored("lstm")[:8], "damaged"),
        (changed(lambda model, _: model.subgraphs.clear()), "it has no subgraph"),
        (changed(setting(first_tensor, buffer=77)), r"subgraph 0, tensor 0 has the buffer 77 of \d+"),
        (changed(setting(first_tensor, shape=np.array([1, -3], np.int32))), r"tensor 0 has the shape \(1, -3\)"),
        (changed(setting(first_operator, inputs=np.array([99], np.int32))), "operator 0 of inputs names a tensor"),
        (changed(setting(first_operator, outputs=np.array([-1], np.int32))), "operator 0 of outputs names a tensor"),
        (changed(setting(first_operator, opcodeIndex=50)), "operator 0 has the code 50"),
        (file([tensor((1, 4))], [("QUANTIZE", (0,), (0,))]), "operator 0 makes tensors that are there before"),
        (
            file([tensor((1, 4)) for _ in range(3)], [("QUANTIZE", (2,), (1,)), ("QUANTIZE", (1,), (2,))]),
            "operator 1 makes tensors that are there before",
        ),
        (changed(conv(strideW=0)), r"CONV_2D 1 has the stride \(1, 0\)"),
        (changed(conv(dilationHFactor=-1)), r"CONV_2D 1 has the dilation \(-1, 1\)"),
        (
            file([tensor((1, 4)), tensor((4, 4), data=np.zeros(9, np.int8))], [("ABS", (0,), (1,))]),
            "tensor 1 of 16 int8 has 9 bytes",
        ),
        (file([tensor((1, 4), scale=np.nan), tensor((1, 4))], [("ABS", (0,), (1,))]), "has a scale that is not a num"),
        (file([tensor((1, 4)), tensor((1, 4))], [("CONV_2D", (0,), (1,))]), "CONV_2D 0 has 1 inputs and 1 outputs"),
        (
            file([tensor((1, 4)), tensor((3, 4)), tensor((1, 3))], [("CONV_2D", (0, 1), (2,))]),
            r"CONV_2D 0: its input 0 has the shape \(1, 4\)",
        ),
        (
            file([tensor((1, 4)), tensor((0, 4)), tensor((1, 0))], [("FULLY_CONNECTED", (0, 1), (2,))]),
            r"FULLY_CONNECTED 0: its input 1 has the shape \(0, 4\)",
        ),
        (file([tensor((1, 4)), tensor((1, 0))], [("SOFTMAX", (0,), (1,))]), r"SOFTMAX 0: its result has .* \(1, 0\)"),
    ],
)
def test_damaged_files_are_refused(tflite, message, tmp_path):
    for function in (profile, lambda f: keras_pit.fits(f, BOARD), lambda f: keras_pit.deploy(f, tmp_path / "out")):
        with pytest.raises(DeploymentError, match=message):
            function(tflite)


def test_damage_in_any_subgraph_is_found(tmp_path):
    """What a branch of IF holds is not read for the costs, but by a runtime."""
    model, other = tree(chain(1)), tree(file([tensor((1, 4)), tensor((1, 4))], [("CONV_2D", (0,), (1,))]))
    model.subgraphs += other.subgraphs
    model.operatorCodes += other.operatorCodes
    model.subgraphs[1].operators[0].opcodeIndex = 1
    with pytest.raises(DeploymentError, match="CONV_2D 0 has 1 inputs and 1 outputs"):
        keras_pit.deploy(packed(model), tmp_path / "out")


def test_places_end_where_two_tensors_have_one_name():
    model = tree(file([tensor((1, 4)) for _ in range(3)], [("QUANTIZE", (0,), (1,)), ("ABS", (1,), (2,))]))
    for found, name in zip(model.subgraphs[0].tensors, ("x", "x", "y"), strict=True):
        found.name = name
    graph = read_graph(packed(model))
    assert graph.place(graph.ops[1]) == "'x' -> 'y'"


def test_files_are_not_read_beyond_the_limit(tmp_path):
    path = tmp_path / "model.tflite"
    with path.open("wb") as empty:
        empty.truncate(LIMITS.bytes + 1)
    with pytest.raises(DeploymentError, match="it has 134,217,729 bytes, expected at most 134,217,728"):
        profile(path)


def chain(count, shape=(1, 4)):
    return file([tensor(shape) for _ in range(count + 1)], [("ABS", (n,), (n + 1,)) for n in range(count)])


@pytest.mark.parametrize(
    ("tflite", "message"),
    [
        (chain(1, (1, 10**9)), "tensor 0 has 1,000,000,000 elements .*expected at most 4,194,304"),
        (chain(1, (1, 2**16, 2**16, 2**16)), "tensor 0 has 281,474,976,710,656 elements"),
        (chain(20, (1, 2**11, 2**11)), "its tensors have 88,080,384 elements together"),
        (chain(1, (1,) * 9), "tensor 0 has 9 dimensions, expected at most 8"),
        (shared(2000, 2000), "its shared parts come to .* bytes"),
        (shared(LIMITS.operators + 1, 1), "it has 4,097 tables of the kind Operator, expected at most 4,096"),
        (
            file(
                [tensor((1, 2047, 2047, 1)), tensor((1, 2047, 2047, 1)), tensor((1, 2047, 2047, 1))],
                [("CONV_2D", (0, 1), (2,))],
            ),
            "it takes .* operations",
        ),
    ],
    ids=["elements", "overflow", "together", "dimensions", "sharing", "operators", "work"],
)
def test_small_files_of_huge_work_are_refused(tflite, message, tmp_path):
    for function in (profile, lambda f: keras_pit.fits(f, BOARD), lambda f: keras_pit.deploy(f, tmp_path / "out")):
        with pytest.raises(DeploymentError, match=f"beyond the limits: .*{message}"):
            function(tflite)


def test_large_inputs_make_no_bundle(tmp_path):
    """The self-test holds its samples as text."""
    with pytest.raises(
        DeploymentError, match="its inputs and outputs have 2,000,000 numbers, expected at most 524,288"
    ):
        keras_pit.deploy(chain(1, (1, 1_000_000)), tmp_path / "out")


def test_constants_are_limited_by_the_file_alone():
    weights = np.zeros((5000, 1000), np.int8)
    tensors = [tensor((1, 1000)), tensor(weights.shape, data=weights), tensor((1, 5000))]
    assert read_program(file(tensors, [("FULLY_CONNECTED", (0, 1), (2,))])).tensors[1].elements > LIMITS.elements


# --- the usual converter's open batch


def stack(*found, shape):
    return keras.Sequential([layers.Input(shape), *found])


OPEN = {
    "convolution": lambda: stack(layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3), shape=(8, 8, 2)),
    "sequence": lambda: stack(layers.Conv1D(4, 3, activation="relu"), layers.GlobalAveragePooling1D(), shape=(16, 3)),
    "reshapes": lambda: stack(layers.Reshape((4, 2, 4)), layers.Conv2D(4, 2), layers.Reshape((-1,)), shape=(8, 4)),
    "transposed": lambda: stack(layers.TimeDistributed(layers.Dense(4)), layers.Flatten(), shape=(8, 3)),
}


@pytest.mark.parametrize("name", OPEN)
@pytest.mark.parametrize("quantization", ["int8", None])
def test_an_open_batch_is_fixed_to_one(name, quantization, tmp_path):
    model = OPEN[name]()
    x = np.random.default_rng(0).normal(size=(8, *model.input_shape[1:])).astype("float32")
    tflite = naive(model, [x], quantization)
    assert any(tensor.open for tensor in read_graph(tflite).tensors)
    with pytest.raises(DeploymentError, match="leaves a dimension open"):
        verify(tflite, x)
    with pytest.warns(UserWarning, match="leaves the batch open, .* taken as 1"):
        place = keras_pit.deploy(tflite, tmp_path / "out", test_data=x)
    fixed = (place / "model.tflite").read_bytes()
    assert not any(tensor.open for tensor in read_graph(fixed).tensors)
    assert json.loads((place / "report.json").read_text())["batch_fixed"] is True
    assert verify(fixed, x).samples == 8
    # LiteRT takes the file as it came, so the fixed one computes the same.
    expected = run_litert(tflite, x).outputs[0]
    assert np.abs(run_tflite_micro(fixed, x).outputs[0].astype(float) - expected).max() <= (1 if quantization else 1e-5)
    assert "the batch is left open" in problems(tflite)["the file"]


def test_fits_takes_an_open_batch_as_one():
    fit = keras_pit.fits(stored("open_batch"), BOARD)
    assert fit
    assert fit.open_batch
    assert "the file leaves the batch open, it is taken as 1" in " ".join(str(fit).split())
    assert fit.as_dict()["open_batch"] is True


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            lambda: stack(layers.Conv1D(4, 3, dilation_rate=2, padding="causal"), layers.Flatten(), shape=(16, 4)),
            r"a dilated convolution was taken apart into SPACE_TO_BATCH_ND .*keras_pit\.to_tflite",
        ),
        (
            lambda: stack(layers.Conv2D(4, 3, dilation_rate=2, padding="same"), layers.Flatten(), shape=(8, 8, 2)),
            r"a dilated convolution was taken apart into SPACE_TO_BATCH_ND .*batch_shape=\(1, \.\.\.\)",
        ),
        (
            lambda: stack(layers.Conv1D(4, 3), layers.GlobalMaxPooling1D(), shape=(None, 4)),
            r"leaves a dimension open at .*, axis 0 and 1 of shape \(1, 1, 4\)",
        ),
    ],
    ids=["dilated", "dilated 2-D", "length"],
)
def test_more_than_an_open_batch_is_refused_with_the_cure(model, message, tmp_path):
    tflite = naive(model(), [], None)
    with pytest.raises(DeploymentError, match=message):
        keras_pit.deploy(tflite, tmp_path / "out")
    assert "dimensions are left open" in problems(tflite)["the file"]


def test_steps_that_become_a_batch_are_refused(tmp_path):
    """RESHAPE declares (1, 4) for what is (8, 4) with one sample."""
    tflite = file([tensor((1, 8, 4)), tensor((1, 4))], [("RESHAPE", (0,), (1,))])
    model = tree(tflite)
    for found in model.subgraphs[0].tensors:
        found.shapeSignature = np.array([-1, *found.shape[1:]], np.int32)
    for function in (lambda f: keras_pit.fits(f, BOARD), lambda f: keras_pit.deploy(f, tmp_path / "out")):
        with pytest.raises(DeploymentError, match=r"RESHAPE .* makes more of it than samples: \(1, 8, 4\) becomes"):
            function(packed(model))
