"""Bundles of C++ sources: they compile without a warning, hold the network bit for bit, and tell right from wrong.

TFLite-Micro itself is not at hand, so `tflm_stub` stands in for it: the same interface, with an interpreter that plays
back what TFLite-Micro's Python build computed.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.schema_py_generated import BuiltinOperator
from compiling import (
    STRICT,
    STUB,
    compile_program,
    compiled,
    host_arena,
    on_tflite_micro,
    run,
    run_on_tflite_micro,
)
from keras import layers
from versions import since

from keras_pit import deploy, folders
from keras_pit.costs import cores
from keras_pit.deployment import bundle as writing
from keras_pit.deployment import profile, run_tflite_micro, to_tflite
from keras_pit.deployment.cpp import sources
from keras_pit.deployment.cpp.literals import literal
from keras_pit.deployment.file_graph import Graph
from keras_pit.deployment.flatbuffer import read_graph

EXAMPLE = Path(__file__).parents[2] / "tflite"


def classifier():
    x = inputs = keras.Input((32, 4))
    for dilation in (1, 2):
        x = layers.Conv1D(8, 3, padding="causal", dilation_rate=dilation, activation="relu")(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


def two_by_two():
    left, right = keras.Input((4,), name="left"), keras.Input((6,), name="right")
    both = layers.Concatenate()([left, right])
    return keras.Model([left, right], [layers.Dense(5)(both), layers.Dense(2)(both)])


@dataclass(frozen=True)
class Case:
    """A network, how it is converted, its labels, and the kernels that its operators must be registered with."""

    network: object
    quantization: str | None
    labels: tuple[str, ...]
    kernels: dict[str, str]


INT8 = {op: f"{op}_INT8" for op in ("AVERAGE_POOL_2D", "CONV_2D", "FULLY_CONNECTED", "PAD", "SOFTMAX")}
INT16 = {op: f"{op}_INT16" for op in ("AVERAGE_POOL_2D", "CONV_2D", "FULLY_CONNECTED", "SOFTMAX")}

CASES = {
    "classifier": Case(classifier, "int8", ("rest", "arm raise", 'ö"\\?\n'), INT8),
    "two_by_two": Case(two_by_two, "int8", (), INT8),
    "wide": Case(classifier, "int16x8", (), INT16),
    "real": Case(two_by_two, None, (), {}),
}


@dataclass(frozen=True)
class Made:
    """A bundle, and what it was made from."""

    name: str
    case: Case
    tflite: bytes
    graph: Graph
    samples: list[np.ndarray]
    directory: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The bundle of each case, made when it is first asked for."""
    cache = {}

    def get(name):
        if name not in cache:
            case = CASES[name]
            keras.utils.set_random_seed(3)
            model = case.network()
            generator = np.random.default_rng(3)
            samples = [generator.normal(size=(9, *t.shape[1:])).astype("float32") for t in model.inputs]
            tflite = to_tflite(model, samples, quantization=case.quantization)
            directory = tmp_path_factory.mktemp(name) / "bundle"
            deploy(tflite, directory, test_data=samples, labels=case.labels, name=name)
            cache[name] = Made(name, case, tflite, read_graph(tflite), samples, directory)
        return cache[name]

    return get


@pytest.fixture(scope="module")
def self_test(made, tmp_path_factory):
    """The self-test of each case, built by the bundle's own Makefile."""
    cache = {}

    def get(name, steps=0):
        if (name, steps) not in cache:
            directory = tmp_path_factory.mktemp("build") / "bundle"
            shutil.copytree(made(name).directory, directory)
            place = directory.parent / "library"
            flags = f"-O1 {' '.join(STRICT)} -DCMSIS_NN -DKERAS_PIT_TEST_STEPS={steps}"
            library = place / "libtensorflow-microlite.a"
            command = ["make", f"TFLM={STUB}", f"GEN={place}", f"LIBRARY={library}", f"CXXFLAGS={flags}"]
            run(*command, "build/self_test", cwd=directory)
            cache[name, steps] = directory / "build/self_test"
        return cache[name, steps]

    return get


def record(made, path, *, change=None, kernels=True, arena=1000):
    """A recording for the stand-in of what TFLite-Micro computes for the tests of a bundle."""
    picked = [np.asarray(sample)[[0, 3, 5, 8]] for sample in made.samples]
    outputs = [np.array(output) for output in run_tflite_micro(made.tflite, picked).outputs]
    if change is not None:
        change(outputs)
    inputs = [t.quantize(x) if t.quantized else x for t, x in zip(made.graph.inputs, picked, strict=True)]
    lines = [f"arena {arena}", f"model {made.tflite.hex()}"]
    for op in {op.name for op in made.graph.ops}:
        lines += [f"op {getattr(BuiltinOperator, op)} {made.case.kernels.get(op, op) if kernels else op}"]
    for i in range(4):
        lines.append("input " + " ".join(x[i].tobytes().hex() for x in inputs))
        lines.append("output " + " ".join(y[i].tobytes().hex() for y in outputs))
    path.write_text("\n".join(lines))
    return path


@compiled
@pytest.mark.parametrize("name", CASES)
class TestSelfTest:
    def test_passes_on_what_tflite_micro_computes(self, made, self_test, name, tmp_path):
        said = run(self_test(name), cwd=tmp_path, TFLM_STUB=str(record(made(name), tmp_path / "recording")))
        numbers = 4 * sum(int(np.prod(tensor.shape)) for tensor in made(name).graph.outputs)
        size = host_arena(made(name).directory)
        assert said.splitlines() == [
            f"{name}: 4 inferences, 0 of {numbers} outputs wrong",
            f"{name}: 1000 of {size} bytes of arena used",
            f"{name}: PASS",
        ]

    def test_fails_on_one_number(self, made, self_test, name, tmp_path):
        def change(outputs):
            outputs[-1].flat[-1] += 1

        recording = record(made(name), tmp_path / "recording", change=change)
        said = run(self_test(name), cwd=tmp_path, ok=False, TFLM_STUB=str(recording))
        assert "inferences, 1 of" in said and said.splitlines()[-1] == f"{name}: FAIL"

    def test_fails_without_room_in_the_arena(self, made, self_test, name, tmp_path):
        size = host_arena(made(name).directory)
        recording = record(made(name), tmp_path / "recording", arena=size + 1)
        said = run(self_test(name), cwd=tmp_path, ok=False, TFLM_STUB=str(recording))
        assert said.splitlines() == [
            "Failed to resize buffer",
            f"{name}: FAIL (no interpreter: see the messages above; the arena has {size} bytes)",
        ]


@compiled
@pytest.mark.parametrize(("off", "passes"), [(1, True), (-1, True), (2, False)])
def test_steps_can_be_allowed(made, self_test, off, passes, tmp_path):
    def change(outputs):
        outputs[0][:, 0] += np.int8(off)

    recording = record(made("two_by_two"), tmp_path / "recording", change=change)
    said = run(self_test("two_by_two", steps=1), cwd=tmp_path, ok=passes, TFLM_STUB=str(recording))
    assert said.splitlines()[-1] == f"two_by_two: {'PASS' if passes else 'FAIL'}"


@compiled
def test_nan_is_wrong(made, self_test, tmp_path):
    def change(outputs):
        outputs[0][0, 0] = np.nan

    recording = record(made("real"), tmp_path / "recording", change=change)
    assert "1 of 28 outputs wrong" in run(self_test("real"), cwd=tmp_path, ok=False, TFLM_STUB=str(recording))


@pytest.mark.parametrize("name", CASES)
def test_the_array_is_the_file(made, name):
    bundle = made(name)
    text = (bundle.directory / "model_data.cc").read_text()
    array = text[text.index("kModelData[kModelDataSize] = {") :]
    assert bytes(int(byte, 16) for byte in re.findall(r"0x[0-9a-f]{2}", array)) == bundle.tflite
    assert (bundle.directory / "model.tflite").read_bytes() == bundle.tflite
    assert f"kModelDataSize = {len(bundle.tflite)};" in (bundle.directory / "model_data.h").read_text()


@compiled
@pytest.mark.parametrize("name", CASES)
def test_data_is_constant_and_needs_no_initialisation(made, name, tmp_path):
    flags = (*STRICT, "-std=c++14", "-DTF_LITE_STATIC_MEMORY", f"-I{STUB}")
    for source in ("model_data.cc", "main.cc"):
        run("c++", *flags, "-c", made(name).directory / source, cwd=tmp_path)
    symbols = run("nm", "model_data.o", cwd=tmp_path) + run("nm", "main.o", cwd=tmp_path)
    kinds = {line.split()[-1]: line.split()[-2] for line in symbols.splitlines()}
    assert "_GLOBAL__sub_I" not in symbols
    arrays = [symbol for symbol in kinds if "kModelData" in symbol or "kTest" in symbol]
    assert len(arrays) >= 3
    assert {kinds[symbol] for symbol in arrays} <= {"R", "r", "U"}


@compiled
@pytest.mark.parametrize("name", CASES)
def test_the_sketch_runs(made, name, tmp_path):
    """As the Arduino IDE builds it: C++14, the folder's sources next to the sketch, with Arduino.h before it."""
    sketch = tmp_path / name
    shutil.copytree(made(name).directory / "arduino" / name, sketch)
    assert sorted(path.suffix for path in sketch.iterdir()) == [".cpp", *[".h"] * 6, ".ino"]
    (sketch / "run.cpp").write_text("void setup();\nvoid loop();\nint main() { setup(); loop(); loop(); }\n")
    # Its library has no kernels for one type of numbers.
    older = shutil.copytree(STUB, tmp_path / "library", ignore=shutil.ignore_patterns("kernels"))
    options = ["-std=gnu++14", *STRICT, "-DTF_LITE_STATIC_MEMORY", "-DARDUINO=10819"]
    arduino = [*options, f"-I{older}", f"-I{STUB}/arduino", "-x", "c++", "-include", "Arduino.h"]
    run("c++", *arduino, "-c", f"{name}.ino", "-o", "sketch.o", cwd=sketch)
    sources = ("sketch.o", "model_data.cpp", "run.cpp", STUB / "tensorflow/lite/micro/stub.cc")
    run("c++", *options, f"-I{STUB}", *sources, "-o", "program", cwd=sketch)
    recording = record(made(name), tmp_path / "recording", kernels=False)
    said = run(sketch / "program", cwd=sketch, TFLM_STUB=str(recording)).splitlines()
    assert said[-3:] == [f"{name}: PASS", f"{name}: 250 us", f"{name}: 250 us"]


@compiled
@pytest.mark.parametrize("name", ["classifier", "wide"])
def test_conversions_are_those_of_the_runtimes(made, name, tmp_path):
    bundle = made(name)
    tensor = bundle.graph.inputs[0]
    steps = np.concatenate([np.arange(-140, 140, 0.25), [1e9, -1e9, 32766.5, 32767.5, -32768.5]]).astype("float32")
    values = steps * np.float32(tensor.scale)
    numbers = tensor.quantize(values)
    literals = ", ".join(literal(value, "float32") for value in values)
    (tmp_path / "test.cc").write_text(
        f'#include <cstdio>\n#include "{bundle.directory}/model_settings.h"\n'
        f"const float values[] = {{{literals}}};\n"
        "int main() {\n  for (float value : values) {\n"
        f"    const {name}::InputType number = {name}::QuantizeInput(value);\n"
        f'    std::printf("%d %.9g\\n", number, static_cast<double>({name}::DequantizeInput(number)));\n  }}\n}}\n'
    )
    said = run(compile_program(tmp_path, "test.cc"), cwd=tmp_path).split()
    assert list(map(int, said[::2])) == numbers.tolist()
    assert np.array_equal(np.array(said[1::2], "float32"), tensor.dequantize(numbers))


@compiled
def test_labels_read_back(made, tmp_path):
    (tmp_path / "test.cc").write_text(
        f'#include <cstdio>\n#include "{made("classifier").directory}/model_settings.h"\n'
        'int main() {\n  static_assert(static_cast<int>(classifier::Label::kArmRaise) == 1, "");\n'
        '  for (const char* label : classifier::kLabels) std::printf("%s;", label);\n}\n'
    )
    assert run(compile_program(tmp_path, "test.cc"), cwd=tmp_path) == 'rest;arm raise;ö"\\?\n;'


@compiled
def test_the_headers_of_tflite_micro_are_none_of_the_bundles_business(made, tmp_path):
    """What the compiler has to say of them is not shown."""
    stub, directory = tmp_path / "tflm", tmp_path / "bundle"
    shutil.copytree(STUB, stub)
    shutil.copytree(made("classifier").directory, directory)
    header = stub / "tensorflow/lite/micro/micro_log.h"
    header.write_text(header.read_text().replace("#endif", "inline int Ignores(int parameter) { return 0; }\n#endif"))
    place = tmp_path / "library"
    library = place / "libtensorflow-microlite.a"
    command = ["make", f"TFLM={stub}", f"GEN={place}", f"LIBRARY={library}", f"CXXFLAGS={' '.join(STRICT)} -DCMSIS_NN"]
    run(*command, "build/self_test", cwd=directory)
    run(*command, f"INCLUDES=-I{stub}", "-B", "build/self_test", cwd=directory, ok=False)


@compiled
def test_a_bare_core_prints_with_a_function_that_is_given(made, tmp_path):
    """Registered before anything is printed; by the README, too."""
    directory = made("classifier").directory
    (tmp_path / "uart.cc").write_text(
        '#include "tensorflow/lite/micro/cortex_m_generic/debug_log_callback.h"\n'
        "#include <cstdio>\n"
        'extern "C" void Print(const char* text) { std::printf("uart: %s\\n", text); }\n'
        'extern "C" void RegisterDebugLogCallback(DebugLogCallback callback) { callback("registered"); }\n'
    )
    sources = (directory / "main.cc", directory / "model_data.cc", tmp_path / "uart.cc")
    program = compile_program(tmp_path, *sources, options=("-DPRINT_WITH=Print",))
    recording = record(made("classifier"), tmp_path / "recording")
    said = run(program, cwd=tmp_path, TFLM_STUB=str(recording))
    assert said.splitlines()[0] == "uart: registered" and "classifier: PASS" in said
    *_, code = re.findall(r"```cpp\n(.*?)```", (directory / "README.md").read_text(), re.DOTALL)
    include, declaration, call = (line for line in code.splitlines() if line)
    (tmp_path / "readme.cc").write_text(
        f"{include}\n{declaration}\nvoid Setup() {{ {call} }}\nint main() {{ Setup(); }}\n"
    )
    compile_program(tmp_path, "readme.cc", "uart.cc")


@compiled
def test_readme_shows_what_compiles(made, tmp_path):
    """All networks in one program, each as its README says."""
    parts = []
    for name in CASES:
        readme = (made(name).directory / "README.md").read_text()
        code = re.search(r"```cpp\n(.*?)```", readme, re.DOTALL)[1]
        code = code.replace('"interpreter.h"', f'"{made(name).directory}/interpreter.h"')
        parts.append(code.replace("bool Infer(", f"bool Infer_{name}("))
    (tmp_path / "test.cc").write_text("\n".join(parts) + "\nint main() {}\n")
    compile_program(tmp_path, "test.cc", *(made(name).directory / "model_data.cc" for name in CASES))


@pytest.mark.parametrize("name", CASES)
def test_files(made, name):
    bundle = made(name)
    files = {path.relative_to(bundle.directory).as_posix() for path in bundle.directory.rglob("*") if path.is_file()}
    headers = {
        f"{x}.h" for x in ("model_data", "op_resolver", "model_settings", "interpreter", "test_vectors", "self_test")
    }
    sketch = {f"arduino/{name}/{file}" for file in (*headers, "model_data.cpp", f"{name}.ino")}
    assert files == headers | sketch | {
        "model_data.cc",
        "main.cc",
        "Makefile",
        "README.md",
        "model.tflite",
        "report.json",
    }
    for file in files - {"model.tflite", "report.json"}:
        text = (bundle.directory / file).read_text()
        assert "$" not in text or file == "Makefile"
        assert text.endswith("\n") and not text.endswith("\n\n")
        lines = [line for line in text.splitlines() if not line.startswith("|")]
        assert max(map(len, lines)) <= (100 if "data" in file else 120), file
    assert json.loads((bundle.directory / "report.json").read_text())
    assert "int main" in (bundle.directory / "main.cc").read_text()


def test_settings(made):
    bundle = made("two_by_two")
    text = (bundle.directory / "model_settings.h").read_text()
    for name, tensor in (("Input0", bundle.graph.inputs[0]), ("Output1", bundle.graph.outputs[1])):
        scale = re.search(rf"k{name}Scale = ([\d.e+-]+)f;", text)[1]
        assert np.float32(scale) == np.float32(tensor.scale)
        assert f"k{name}ZeroPoint = {tensor.zero_point};" in text
        assert f"k{name}Shape[] = {{{', '.join(map(str, tensor.shape))}}};" in text
        assert f"using {name}Type = std::int8_t;" in text
    assert "Label" not in text
    assert "Scale" not in (made("real").directory / "model_settings.h").read_text().replace("scale", "")


def test_arena_is_the_estimate_with_a_margin(made, tmp_path):
    bundle = made("classifier")
    sizes = {}
    for core in ("cortex-m4", "cortex-m55"):
        for margin in (0.0, 0.25):
            place = deploy(bundle.tflite, tmp_path / f"{core}{margin}", core=core, margin=margin)
            text = (place / "model_settings.h").read_text()
            sizes[core, margin] = int(re.search(r"\? \d+ : (\d+);", text)[1])
            estimate = profile(bundle.tflite).arena[core].total
            assert 0 <= sizes[core, margin] - (estimate * (1 + margin) + writing.ARENA_SLACK) < 16
            assert sizes[core, margin] % 16 == 0


@pytest.mark.parametrize(
    ("arguments", "origin", "count"),
    [
        ({}, "random numbers", 4),
        ({"calibration": "samples"}, "from the calibration data, at even distances", 4),
        ({"test_data": "samples"}, "from the test data, at even distances", 4),
        ({"test_data": "three"}, "from the test data, at even distances", 3),
    ],
)
def test_where_the_inputs_come_from(made, arguments, origin, count, tmp_path):
    bundle = made("two_by_two")
    data = {"samples": bundle.samples, "three": [part[:3] for part in bundle.samples]}
    deploy(bundle.tflite, tmp_path / "out", **{key: data[value] for key, value in arguments.items()})
    text = (tmp_path / "out/test_vectors.h").read_text()
    assert f"// Inputs: {origin}.\n" in text
    assert f"kTestCount = {count};" in text


def test_a_model_is_converted_first(tmp_path):
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    model = classifier()
    x = np.random.default_rng(0).normal(size=(20, 32, 4)).astype("float32")
    place = deploy(model, str(tmp_path / "new" / "place"), calibration=x)
    assert (place / "model.tflite").read_bytes() == to_tflite(model, x)
    by_path = deploy(place / "model.tflite", tmp_path / "by_path", calibration=x)
    from_dataset = deploy(model, tmp_path / "from_dataset", calibration=tf.data.Dataset.from_tensor_slices(x).batch(8))
    for path in place.rglob("*"):
        for again in (by_path, from_dataset):
            assert path.is_dir() or path.read_bytes() == (again / path.relative_to(place)).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"labels": ["a", "b"]},
            ValueError,
            "labels has 2 names; expected 3, one for each number of the model's first",
        ),
        ({"margin": -0.1}, ValueError, "`margin` must be a finite number of at least 0 and at most 10, received -0.1"),
        ({"margin": 20}, ValueError, "`margin` must be"),
        ({"core": "z80"}, ValueError, f"`core` must be one of {', '.join(map(repr, cores.names()))}, received 'z80'"),
        ({"test_data": np.zeros((2, 5), "float32")}, ValueError, "expects an array of shape ('samples', 1, 32, 4)"),
        ({"test_data": np.zeros((32, 4), "float32")}, ValueError, "Add the batch axis: x[None]"),
        ({"test_data": np.zeros((0, 32, 4), "float32")}, ValueError, "at least one, for every input"),
    ],
)
def test_arguments(made, arguments, error, message, tmp_path):
    with pytest.raises(error, match=re.escape(message)):
        deploy(made("classifier").tflite, tmp_path / "out", **arguments)
    assert not list(tmp_path.iterdir())


def test_arguments_are_checked_before_the_conversion(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "make_file", lambda *_, **__: pytest.fail("converted"))
    with pytest.raises(ValueError, match=r"`core` must be one of 'cortex-m4', .*, received 'z80'"):
        deploy(classifier(), tmp_path / "out", core="z80")
    for directory, error in (("", ValueError), (None, TypeError)):
        with pytest.raises(error, match="`directory` must be a path for the bundle"):
            deploy(classifier(), directory)
    with pytest.raises(FileExistsError, match=r"/ holds .* not written by keras_pit"):
        deploy(classifier(), "/")


def test_forms_of_test_data(made, tmp_path):
    """All that calibration may be, for a file and for a model."""
    from tensorflow.data import Dataset

    bundle = made("two_by_two")
    left, right = whole = [np.round(4 * part).astype("int64") for part in bundle.samples]
    named = {"right": right, "left": left}
    floats = [part.astype("float32") for part in whole]

    def vectors(model, **data):
        return (deploy(model, tmp_path / "out", overwrite=True, **data) / "test_vectors.h").read_text()

    expected = vectors(bundle.tflite, test_data=floats)
    for data in (whole, Dataset.from_tensor_slices((left, right)), Dataset.from_tensor_slices((left, right)).batch(4)):
        assert vectors(bundle.tflite, test_data=data) == expected
        assert vectors(bundle.tflite, calibration=data) == expected.replace("the test data", "the calibration data")
    assert vectors(bundle.tflite, test_data={"input 1": right, "input 0": left}) == expected
    with pytest.raises(ValueError, match=r"test_data holds a dictionary of 'right', 'left'; expected .* 'input 0'"):
        vectors(bundle.tflite, test_data=named)
    keras.utils.set_random_seed(3)
    model = two_by_two()
    for data in (named, Dataset.from_tensor_slices(named)):
        assert vectors(model, calibration=bundle.samples, test_data=data) == expected


def test_a_dataset_of_sequences_for_a_file(made, tmp_path):
    from tensorflow.data import Dataset

    bundle = made("classifier")
    data = Dataset.from_tensor_slices(bundle.samples[0])
    for number, form in enumerate((data, data.batch(4), data.batch(1).batch(3))):
        place = deploy(bundle.tflite, tmp_path / str(number), test_data=form, name="classifier")
        assert (place / "test_vectors.h").read_text() == (bundle.directory / "test_vectors.h").read_text()


OTHERS = {
    "notes.txt": None,
    "build": None,
    "build/notes.txt": None,
    "build/self_test/log": None,
    "build/object/main.o": None,
    "main.cc/mine": "main.cc",
    ".git/HEAD": ".git",
    "arduino/notes.h": None,
    "arduino/my/notes.h": None,
    "arduino/my/my.ino": None,
    "arduino/classifier/build/classifier.elf": None,
}
"""What a user may have put into a bundle, and what of it is named if that is not the file."""


class TestPlaces:
    @pytest.mark.parametrize("extra", OTHERS)
    def test_other_files_are_kept(self, made, tmp_path, extra):
        place = tmp_path / "out"
        shutil.copytree(made("classifier").directory, place)
        path = place / extra
        for parent in path.parents:
            if parent.is_file():
                parent.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
        message = f"holds '{OTHERS[extra] or extra}', not written by keras_pit.deploy; expected a new"
        with pytest.raises(FileExistsError, match=re.escape(message)):
            deploy(made("classifier").tflite, place, overwrite=True)
        assert path.read_text() == "mine"
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    @pytest.mark.parametrize("ours", ["main.cc", "build", "arduino", "arduino/classifier", "report.json"])
    def test_links_are_kept(self, made, tmp_path, ours):
        """A link in the place of a file or folder of ours is the user's."""
        shutil.copytree(made("classifier").directory, tmp_path / "out")
        path, elsewhere = tmp_path / "out" / ours, tmp_path / "elsewhere"
        if path.exists():
            path.rename(elsewhere)
        else:
            elsewhere.mkdir()
        path.symlink_to(elsewhere)
        with pytest.raises(FileExistsError, match=f"holds '{ours}', not written by keras_pit.deploy"):
            deploy(made("classifier").tflite, tmp_path / "out", overwrite=True)
        assert path.is_symlink() and elsewhere.exists()

    def test_files_that_come_during_the_conversion_are_kept(self, made, tmp_path, monkeypatch):
        place = deploy(made("classifier").tflite, tmp_path / "out")
        render = sources.render

        def slow(bundle):
            (place / "notes.txt").write_text("mine")
            return render(bundle)

        monkeypatch.setattr(sources, "render", slow)
        with pytest.raises(FileExistsError, match=r"holds 'notes\.txt'"):
            deploy(made("classifier").tflite, place, overwrite=True)
        assert (place / "notes.txt").read_text() == "mine"
        assert (place / "main.cc").is_file() and [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_only_what_a_bundle_is_made_of_is_ours(self, made):
        place = made("classifier").directory
        files = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
        of_streams = {"stream.h", "arduino/classifier/stream.h"}
        assert files.isdisjoint(of_streams)
        assert files | of_streams | {"build/self_test"} == sources.paths("classifier")
        assert sources.name_of((place / "model_settings.h").read_text()) == "classifier"

    def test_a_folder_that_only_looks_like_one(self, made, tmp_path):
        (tmp_path / "README.md").write_text("mine")
        with pytest.raises(FileExistsError, match="is not empty, and not a bundle"):
            deploy(made("classifier").tflite, tmp_path, overwrite=True)
        assert [path.name for path in tmp_path.iterdir()] == ["README.md"]

    def test_a_bundle_is_replaced_on_demand(self, made, tmp_path):
        place = deploy(made("classifier").tflite, tmp_path / "out", name="old")
        (place / "build").mkdir()
        (place / "build" / "self_test").write_text("")
        with pytest.raises(FileExistsError, match=r"holds an older bundle\. Pass overwrite=True to replace it\."):
            deploy(made("wide").tflite, place)
        deploy(made("wide").tflite, place, name="fresh", overwrite=True)
        assert (place / "model.tflite").read_bytes() == made("wide").tflite
        assert [path.name for path in (place / "arduino").iterdir()] == ["fresh"]
        assert not (place / "build").exists()
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_an_empty_folder_is_taken(self, made, tmp_path):
        (tmp_path / "out").mkdir()
        deploy(made("classifier").tflite, tmp_path / "out")
        assert (tmp_path / "out" / "main.cc").is_file()

    def test_a_link_to_a_folder_is_followed(self, made, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "real")
        deploy(made("classifier").tflite, tmp_path / "link")
        assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / "main.cc").is_file()

    def test_a_file_in_its_place(self, made, tmp_path):
        (tmp_path / "out").write_text("mine")
        with pytest.raises(NotADirectoryError, match=r"out is a file; expected a directory for the bundle\."):
            deploy(made("classifier").tflite, tmp_path / "out", overwrite=True)

    def test_below_a_file(self, made, tmp_path):
        (tmp_path / "out").write_text("mine")
        with pytest.raises(PermissionError, match=r"Cannot write into .*out \(Not a directory\)"):
            deploy(made("classifier").tflite, tmp_path / "out" / "bundle")

    def test_a_folder_that_may_not_be_written_to(self, made, tmp_path, monkeypatch):
        def refuse(*_arguments, **_options):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "mkdir", refuse)
        message = r"Cannot write into .* \(Permission denied\), where 'out' is to be put; expected a place that may be"
        with pytest.raises(PermissionError, match=message):
            deploy(b"never read", tmp_path / "out")


@pytest.mark.parametrize("older", [True, False])
@pytest.mark.parametrize("moment", ["first file", "fifth file", "rename"])
def test_an_interrupted_run_leaves_what_was_there(made, moment, older, tmp_path, monkeypatch):
    place = tmp_path / "out"
    if older:
        deploy(made("classifier").tflite, place)
    write, rename, count = Path.write_bytes, Path.rename, [0]

    def interrupted_write(path, content):
        count[0] += 1
        if count[0] == {"first file": 1, "fifth file": 5}.get(moment):
            write(path, content[: len(content) // 2])
            raise KeyboardInterrupt
        return write(path, content)

    def interrupted_rename(path, target):
        if moment == "rename" and target == place and (path / "main.cc").read_text().count("fresh"):
            raise OSError("disk full")
        return rename(path, target)

    tflite = made("wide").tflite
    with monkeypatch.context() as patch:
        # Its own files are written before.
        files = []
        patch.setattr(writing, "_write", lambda *arguments: files.append(arguments))
        deploy(tflite, place, name="fresh", overwrite=True)
    monkeypatch.setattr(Path, "write_bytes", interrupted_write)
    monkeypatch.setattr(Path, "rename", interrupted_rename)
    monkeypatch.setattr(folders, "_EXCHANGES", {})  # a system that has to rename twice
    with pytest.raises((KeyboardInterrupt, OSError)):
        writing._write(*files[0])
    assert [path.name for path in tmp_path.iterdir()] == (["out"] if older else [])
    if older:
        assert (place / "model.tflite").read_bytes() == made("classifier").tflite
        assert (place / "arduino/model/model.ino").is_file()


@since("tflite-micro", "0.dev20260811000000", "takes less of an arena on this machine, which is in the files")
def test_the_example_is_current(tmp_path):
    """The files in tflite/watch are what is generated from its network and test data today."""
    specification = importlib.util.spec_from_file_location("regenerate", EXAMPLE / "regenerate.py")
    regenerate = importlib.util.module_from_spec(specification)
    sys.modules["regenerate"] = regenerate
    specification.loader.exec_module(regenerate)
    new, committed = regenerate.write(regenerate.NETWORK, tmp_path / "watch"), EXAMPLE / "watch"
    names = [{p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file()} for place in (new, committed)]
    assert names[0] == {name for name in names[1] if not name.startswith("build/")}
    different = [name for name in sorted(names[0]) if (new / name).read_bytes() != (committed / name).read_bytes()]
    assert not different, "run: python tflite/regenerate.py"


@compiled
@on_tflite_micro
@pytest.mark.parametrize("name", [*CASES, "example"])
def test_passes_on_tflite_micro_itself(made, name, tmp_path):
    directory = EXAMPLE / "watch" if name == "example" else made(name).directory
    *_, used, verdict = run_on_tflite_micro(directory, tmp_path)
    assert verdict.endswith(": PASS")
    used, size = map(int, re.search(r"(\d+) of (\d+) bytes of arena used", used).groups())
    assert size == host_arena(directory)
    measured = int(re.search(r"64-bit: ([\d,]+)", (directory / "model_settings.h").read_text())[1].replace(",", ""))
    # Measuring itself takes some of it.
    assert measured - 1024 < used <= measured


@compiled
@on_tflite_micro
@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("test_vectors.h", r"(kTestOutput\[.*\n +\{-?)(\d+)", r"\g<1>1\2 / 2", "1 of 12 outputs wrong"),
        ("model_settings.h", r"> 4 \? \d+", "> 4 ? 1600", "no interpreter: see the messages above"),
        ("op_resolver.h", r" +TF_LITE_ENSURE_STATUS\(resolver.AddSoftmax.*\n", "", "no interpreter"),
    ],
)
def test_fails_on_tflite_micro_itself(made, file, old, new, said, tmp_path):
    directory = tmp_path / "bundle"
    shutil.copytree(made("classifier").directory, directory)
    text = (directory / file).read_text()
    changed = re.sub(old, new, text)
    assert changed != text
    (directory / file).write_text(changed)
    lines = run_on_tflite_micro(directory, tmp_path)
    assert said in "\n".join(lines) and "FAIL" in lines[-1]


@pytest.mark.slow
@pytest.mark.skipif(
    "TFLM" not in os.environ, reason="needs a checkout of TFLite-Micro: its folder in the variable TFLM"
)
@pytest.mark.parametrize("name", [*CASES, "example"])
def test_builds_with_a_checkout_of_tflite_micro(made, name, tmp_path):
    """By the bundle's Makefile, which builds TFLite-Micro first if need be."""
    shutil.copytree(EXAMPLE / "watch" if name == "example" else made(name).directory, tmp_path / "bundle")
    command = ["make", f"TFLM={os.environ['TFLM']}", f"CXXFLAGS=-O1 {' '.join(STRICT)} -Wno-unused-parameter", "test"]
    said = subprocess.run(command, cwd=tmp_path / "bundle", capture_output=True, text=True)
    assert said.returncode == 0 and "PASS" in said.stdout, said.stdout + said.stderr
