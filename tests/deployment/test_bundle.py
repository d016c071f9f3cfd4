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
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.schema_py_generated import BuiltinOperator
from bundled import CASES
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
from versions import since

from keras_pit import deploy
from keras_pit.deployment import bundle as writing
from keras_pit.deployment import profile, run_tflite_micro
from keras_pit.deployment.cpp.literals import literal

EXAMPLE = Path(__file__).parents[2] / "tflite"


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
