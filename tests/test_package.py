"""What users install: the wheel has all it needs and works elsewhere, and type checkers see its interface."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import keras_pit

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "tflite" / "watch" / "model.tflite"
SOURCES = ("keras_pit", "pyproject.toml", "README.md", "LICENSE")


def run(*command, **settings):
    """What a command prints."""
    ended = subprocess.run([str(one) for one in command], capture_output=True, text=True, timeout=1800, **settings)
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Wheel and sdist, made of the sources alone."""
    pytest.importorskip("build", reason="build is not installed: pip install build")
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", target, source)
    return target


def test_the_wheel_has_all_that_the_package_reads(built):
    (wheel,) = built.glob("*.whl")
    assert wheel.name == f"keras_pit-{keras_pit.__version__}-py3-none-any.whl"
    packed = set(zipfile.ZipFile(wheel).namelist())
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "keras_pit").rglob("*") if path.is_file()}
    expected = {name for name in there if "__pycache__" not in name}
    assert expected == {name for name in packed if not name.startswith("keras_pit-")}
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert expected <= inside and {"pyproject.toml", "README.md", "LICENSE"} <= inside


def test_the_wheel_works_where_the_sources_are_not(built, tmp_path):
    """With the packages that are here: what it needs is not installed once more."""
    (wheel,) = built.glob("*.whl")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile")
    run(*pip, "--target", tmp_path / "site", wheel)
    elsewhere = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    command = tmp_path / "site" / "bin" / "keras-pit"
    assert run(command, "--version", env=elsewhere, cwd=tmp_path) == f"keras-pit, version {keras_pit.__version__}\n"
    assert run(command, "profile", MODEL, "--json", env=elsewhere, cwd=tmp_path)
    place = run(sys.executable, "-c", "import keras_pit; print(keras_pit.__file__)", env=elsewhere, cwd=tmp_path)
    assert Path(place.strip()).parent == tmp_path / "site" / "keras_pit"


@pytest.mark.slow
def test_a_clean_environment(built, tmp_path):
    """Everything from the index, as a user installs it; then from a model to a bundle."""
    (wheel,) = built.glob("*.whl")
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", f"{wheel}[deploy,plot]")
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "KERAS_BACKEND")}
    run(python, ROOT / "tests" / "smoke.py", tmp_path / "smoke", cwd=tmp_path, env=clean)
    assert (tmp_path / "smoke" / "firmware" / "model_data.cc").is_file()


USER = """\
import keras
import keras_pit
from keras_pit import boards, callbacks

def search(model: keras.Model, x: object, y: object) -> bytes:
    found: keras_pit.SearchModel = keras_pit.convert(model, "macs", target={"macs": 1e6}, exclude=["out"])
    found.fit(x, y, callbacks=[callbacks.WarmUp(2)])
    total: int | None = keras_pit.summary(found).total("after", "macs")
    report: keras_pit.Report = keras_pit.summary(found)
    fits: keras_pit.Fits = keras_pit.fits(model, boards.get("pico"), latency=20)
    print(total, report.layers[0].after.channels, fits.ram.margin, sorted(boards.names()))
    return keras_pit.to_tflite(keras_pit.export(found), x)

keras_pit.covert  # attr-defined
keras_pit.convert(None, strength="2")  # arg-type
keras_pit.fits(b"", "pico").ram.margn  # attr-defined
keras_pit.profile(b"").milliseconds("cortex-m4")  # call-arg
wrong: int = keras_pit.to_tflite(None)  # assignment
"""


def test_the_interface_is_typed_for_users(tmp_path):
    """Right use passes a strict check; each wrong one is found in its line."""
    (tmp_path / "user.py").write_text(USER)
    checker = (sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports", "--allow-untyped-calls")
    settings = ("--cache-dir", str(ROOT / ".mypy_cache" / "user"), "--follow-imports", "silent")
    environment = {**os.environ, "PYTHONPATH": "", "MYPYPATH": str(ROOT)}
    ended = subprocess.run(
        [*checker, *settings, "user.py"], capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=600
    )
    found = re.findall(r"user\.py:(\d+): error: .* \[([\w-]+)\]", ended.stdout)
    lines = enumerate(USER.splitlines(), start=1)
    assert found == [(str(number), line.rpartition("# ")[2]) for number, line in lines if "  # " in line], ended.stdout


def test_the_lowest_versions_are_those_of_the_project():
    lines = (ROOT / "constraints" / "lowest.txt").read_text().splitlines()
    lowest = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 does not read pyproject.toml")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    # Old versions of tflite-micro take a part of setuptools that new ones of it do not have.
    tools = [one for one in extras["dev"] if one.startswith("setuptools")]
    wanted = [*project["dependencies"], *extras["deploy"], *extras["plot"], *tools]
    bounds = {re.split("[>;]", one)[0]: re.split(r">=|;", one)[1] for one in wanted}
    assert {name: _numbers(bound) for name, bound in bounds.items()} == {
        name: _numbers(bound) for name, bound in lowest.items()
    }


def _numbers(version):
    """A version without the zeros at its end."""
    return re.sub(r"(\.0)+$", "", version)


def test_the_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {keras_pit.__version__}\n" in text
