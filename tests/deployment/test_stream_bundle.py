"""Bundles of streaming files: `Push` and `Reset`, and a self-test that replays a sequence.

They are compiled against the stand-in, and run on TFLite-Micro itself where its Python build allows that.
"""

import importlib.util
import json
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
from compiling import STRICT, STUB, WHEEL, compiled, host_arena, on_tflite_micro, run, run_on_tflite_micro
from keras import layers
from versions import since

from keras_pit import deploy, to_tflite
from keras_pit.deployment.flatbuffer import File
from keras_pit.deployment.runtimes import step_run
from keras_pit.deployment.step_tests import DECISIONS

CIRCULAR_BUFFER = BuiltinOperator.CUSTOM


def every_second(x):
    """Strides in time, and a head that runs every second time: a decision every four steps."""
    x = layers.Conv1D(6, 3, strides=2, padding="causal", activation="relu")(x)
    return layers.Dense(3)(layers.GlobalAveragePooling1D()(x))


def sequence(x):
    return layers.Conv1D(2, 3, padding="causal")(x)


@dataclass(frozen=True)
class Made:
    """A bundle, its file, and real values of one long recording."""

    name: str
    directory: Path
    tflite: bytes
    recording: np.ndarray
    period: int
    first: int


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The bundle of each network, made when it is first asked for."""
    cache = {}

    def get(name):
        if name not in cache:
            keras.utils.set_random_seed(3)
            inputs = keras.Input((16, 2))
            model = keras.Model(inputs, globals()[name](inputs))
            x = np.random.default_rng(3).normal(size=(9, 16, 2)).astype("float32")
            every, period, first = {"every_second": (2, 4, 15), "sequence": (1, 1, 0)}[name]
            tflite = to_tflite(model, x, streaming=True, decide_every=every)
            directory = tmp_path_factory.mktemp(name) / "bundle"
            deploy(tflite, directory, test_data=x, name=name)
            cache[name] = Made(name, directory, tflite, np.concatenate(x), period, first)
        return cache[name]

    return get


def expected(made, steps):
    """What TFLite-Micro decides of the first steps: real values by step."""
    file = File.of(made.tflite)
    run = step_run(file, [file.graph.inputs[0].quantize(made.recording[:steps])[None]])
    return {t: run.dequantized[0][0, t].ravel() for t in range(made.first, steps) if run.decided[0, t]}


def record(made, path):
    """A recording for the stand-in, of the steps of the self-test."""
    file = File.of(made.tflite)
    steps = int(re.search(r"kTestCount = (\d+)", (made.directory / "test_vectors.h").read_text())[1])
    inputs = file.graph.inputs[0].quantize(made.recording[:steps])
    run = step_run(file, [inputs[None]])
    lines = ["arena 1000", f"model {made.tflite.hex()}", f"op {CIRCULAR_BUFFER} CIRCULAR_BUFFER"]
    for step in range(steps):
        lines.append(f"input {inputs[step].tobytes().hex()}")
        lines.append(f"output {run.outputs[0][0, step].tobytes().hex()}")
        lines.append(f"status {0 if run.decided[0, step] else 15}")
    path.write_text("\n".join(lines))
    return path, steps


NAMES = ("every_second", "sequence")
EXAMPLE = Path(__file__).parents[2] / "tflite/watch_stream"


@compiled
@pytest.mark.parametrize("name", NAMES)
def test_the_self_test_passes_on_what_tflite_micro_computes(made, name, tmp_path):
    directory = shutil.copytree(made(name).directory, tmp_path / "bundle")
    place = tmp_path / "library"
    library = place / "libtensorflow-microlite.a"
    flags = f"-O1 {' '.join(STRICT)} -DCMSIS_NN"
    run(
        "make",
        f"TFLM={STUB}",
        f"GEN={place}",
        f"LIBRARY={library}",
        f"CXXFLAGS={flags}",
        "build/self_test",
        cwd=directory,
    )
    recording, steps = record(made(name), tmp_path / "recording")
    said = run(directory / "build/self_test", cwd=tmp_path, TFLM_STUB=str(recording)).splitlines()
    numbers = 2 * (steps // made(name).period) * File.of(made(name).tflite).graph.outputs[0].shape[-1]
    assert said[0] == f"{name}: {2 * steps} steps, 0 of {numbers} outputs wrong"
    assert said[-1] == f"{name}: PASS"


@compiled
@pytest.mark.parametrize("name", NAMES)
def test_the_sketch_streams(made, name, tmp_path):
    sketch = shutil.copytree(made(name).directory / "arduino" / name, tmp_path / name)
    recording, turns = record(made(name), tmp_path / "recording")
    (sketch / "run.cpp").write_text(
        f"void setup();\nvoid loop();\nint main() {{\n  setup();\n  for (int i = 0; i < {turns}; ++i) loop();\n}}\n"
    )
    options = ["-std=gnu++14", *STRICT, "-DTF_LITE_STATIC_MEMORY", "-DARDUINO=10819"]
    arduino = [*options, f"-I{STUB}", f"-I{STUB}/arduino", "-x", "c++", "-include", "Arduino.h"]
    run("c++", *arduino, "-c", f"{name}.ino", "-o", "sketch.o", cwd=sketch)
    parts = ("sketch.o", "model_data.cpp", "run.cpp", STUB / "tensorflow/lite/micro/stub.cc")
    run("c++", *options, f"-I{STUB}", *parts, "-o", "program", cwd=sketch)
    said = run(sketch / "program", cwd=sketch, TFLM_STUB=str(recording)).splitlines()
    wanted = [f"{name}: {int(np.argmax(values))}, 250 us" for values in expected(made(name), turns).values()]
    assert said[said.index(f"{name}: PASS") + 1 :] == wanted
    assert len(wanted) == DECISIONS


@compiled
@on_tflite_micro
@pytest.mark.parametrize("name", [*NAMES, "example"])
def test_passes_on_tflite_micro_itself(made, name, tmp_path):
    directory = EXAMPLE if name == "example" else made(name).directory
    *_, used, verdict = run_on_tflite_micro(directory, tmp_path)
    assert verdict.endswith(": PASS")
    used, size = map(int, re.search(r"(\d+) of (\d+) bytes of arena used", used).groups())
    assert size == host_arena(directory) and 0 < used < size


@compiled
@on_tflite_micro
def test_fails_on_one_number(made, tmp_path):
    directory = shutil.copytree(made("every_second").directory, tmp_path / "bundle")
    vectors = directory / "test_vectors.h"
    text = vectors.read_text()
    vectors.write_text(re.sub(r"(kTestOutput\[.*\n +\{-?)(\d+)", r"\g<1>1\2 / 2", text))
    assert vectors.read_text() != text
    lines = run_on_tflite_micro(directory, tmp_path)
    assert "2 of" in lines[-3] and lines[-1].endswith("FAIL")


@compiled
@on_tflite_micro
@pytest.mark.parametrize("name", NAMES)
def test_push_and_reset(made, name, tmp_path):
    """Decisions are those of TFLite-Micro's Python build; after a reset amid a cycle, they are the same again."""
    one = made(name)
    steps, interrupted = 37, 18
    values = ", ".join(f"{value!r}f" for value in map(float, one.recording[:steps].ravel()))
    (tmp_path / "test.cc").write_text(
        f'#include <cstdio>\n#include "{one.directory}/stream.h"\n'
        f"const float values[] = {{{values}}};\n"
        f"void Replay(int steps) {{\n  for (int t = 0; t < steps; ++t) {{\n    float output[{name}::kOutputSize];\n"
        f"    if (!{name}::Push(values + t * {name}::kInputSize, output)) continue;\n"
        '    std::fprintf(stderr, "%d", t);\n'
        '    for (float number : output) std::fprintf(stderr, " %.9g", static_cast<double>(number));\n'
        '    std::fprintf(stderr, "\\n");\n  }\n}\n'
        f'extern "C" int main() {{\n  Replay({interrupted});\n  {name}::Reset();\n  Replay({steps});\n'
        f"  {name}::Reset();\n  {name}::Reset();\n  Replay({steps});\n  return 0;\n}}\n"
    )
    sources = ("test.cc", one.directory / "model_data.cc", STUB / "wheel.cc")
    flags = ("-shared", "-fPIC", "-std=c++17", "-Wall", "-Wextra", "-DTF_LITE_STATIC_MEMORY", f"-I{STUB}")
    run("c++", *flags, *sources, "-o", "test.so", cwd=tmp_path)
    program = f"import ctypes\nctypes.CDLL({str(WHEEL)!r}, ctypes.RTLD_GLOBAL)\nctypes.CDLL('./test.so').main()"
    said = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    lines = [line.split() for line in said.stderr.splitlines()]
    wanted = [(t, values) for count in (interrupted, steps, steps) for t, values in expected(one, count).items()]
    assert [int(line[0]) for line in lines] == [t for t, _ in wanted]
    assert np.array_equal(np.array([line[1:] for line in lines], "float32"), [values for _, values in wanted])


@since("tflite-micro", "0.dev20260811000000", "takes less of an arena on this machine, which is in the files")
def test_the_example_is_current(tmp_path):
    """The files in tflite/watch_stream are what is generated from tflite/watch and its test data today."""
    specification = importlib.util.spec_from_file_location("regenerate", EXAMPLE.parent / "regenerate.py")
    regenerate = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(regenerate)
    new = regenerate.write_stream(regenerate.NETWORK, tmp_path / "watch_stream")
    names = [{p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file()} for place in (new, EXAMPLE)]
    assert names[0] == {name for name in names[1] if not name.startswith("build/")}
    different = [name for name in sorted(names[0]) if (new / name).read_bytes() != (EXAMPLE / name).read_bytes()]
    assert not different, "run: python tflite/regenerate.py"


def test_constants_tell_of_time(made):
    settings = (made("every_second").directory / "model_settings.h").read_text()
    found = dict(re.findall(r"constexpr int k(\w+) = (-?\d+);", settings))
    assert found == {"Window": "16", "Period": "4", "FirstDecision": "15", "Delay": "0"}
    report = json.loads((made("every_second").directory / "report.json").read_text())
    assert report["stream"]["timing"] == {"window": 16, "period": 4, "first": 15, "delay": 0}
    assert "Push(sample, output)" in (made("every_second").directory / "README.md").read_text()


def test_models_and_recordings(tmp_path):
    """A model is converted; test data may be a single recording; a file of a window is no streaming one."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((16, 2))
    model = keras.Model(inputs, every_second(inputs))
    x = np.random.default_rng(3).normal(size=(9, 16, 2)).astype("float32")
    place = deploy(model, tmp_path / "out", calibration=x, test_data=np.concatenate(x), streaming=True, decide_every=2)
    assert "kPeriod = 4" in (place / "model_settings.h").read_text()
    with pytest.raises(ValueError, match="expected steps of shape"):
        deploy(place / "model.tflite", tmp_path / "other", test_data=x[..., :1])
    with pytest.raises(ValueError, match=r"received a \.tflite file of a whole window"):
        deploy(to_tflite(model, x, verify=False), tmp_path / "other", streaming=True)
    deploy(place / "model.tflite", place, overwrite=True)
