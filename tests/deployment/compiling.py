"""Compiles what a bundle holds, with a stand-in for TFLite-Micro (`tflm_stub`) or for its Python build."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

STUB = Path(__file__).with_name("tflm_stub")
STRICT = ("-Wall", "-Wextra", "-Werror")

compiled = pytest.mark.skipif(
    shutil.which("c++") is None or shutil.which("make") is None,
    reason="needs a C++ compiler and make: c++ or make not found",
)


def run(*command, cwd, ok=True, **environment):
    """What a command prints, once it has ended as expected."""
    result = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment or None, capture_output=True, text=True, timeout=120
    )
    assert (result.returncode == 0) is ok, result.stdout + result.stderr
    return result.stdout


def compile_program(folder, *sources, options=()):
    """Build a program from `sources` and the stand-in, and return its path."""
    parts = [*options, "-std=c++17", *STRICT, "-DTF_LITE_STATIC_MEMORY", f"-I{STUB}"]
    run("c++", *parts, *sources, STUB / "tensorflow/lite/micro/stub.cc", "-o", "program", cwd=folder)
    return folder / "program"


def host_arena(directory):
    return int(re.search(r"sizeof\(void\*\) > 4 \? (\d+)", (directory / "model_settings.h").read_text())[1])


WHEEL = Path(importlib.util.find_spec("tflite_micro").origin).parent / "python/tflite_micro/_runtime.so"


SYMBOL = b"_ZN6tflite5micro16MicroInterpreter15AllocateTensorsEv"


def run_on_tflite_micro(directory, folder):
    """What the self-test of a bundle prints, as a library in a process that has loaded tflite_micro's own."""
    sources = (directory / "main.cc", directory / "model_data.cc", STUB / "wheel.cc")
    flags = ("-shared", "-fPIC", "-std=c++17", *STRICT, "-DTF_LITE_STATIC_MEMORY", f"-I{STUB}")
    run("c++", *flags, *sources, "-o", "self_test.so", cwd=folder)
    program = (
        "import ctypes, sys\n"
        f"ctypes.CDLL({str(WHEEL)!r}, ctypes.RTLD_GLOBAL)\n"
        "sys.exit(ctypes.CDLL('./self_test.so').main())"
    )
    process = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=120)
    lines = process.stderr.splitlines()
    assert process.returncode == (0 if lines[-1].endswith("PASS") else 1)
    return lines


on_tflite_micro = pytest.mark.skipif(
    SYMBOL not in WHEEL.read_bytes(), reason="this build of tflite_micro has another interface than the stand-in"
)
