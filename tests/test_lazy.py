"""What needs no TensorFlow does not load it; names are found all the same, by users, type checkers and Keras."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from versions import since

import keras_pit
from keras_pit import deployment

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "tflite" / "watch" / "model.tflite"
SAVED = ROOT / "tests" / "data" / "search_0_1_0.keras"

HEAVY = "print([name for name in ('tensorflow', 'keras', 'tf_keras', 'matplotlib') if name in sys.modules])"


def printed(code: str) -> str:
    """What a fresh process prints."""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_files_boards_and_costs_need_no_tensorflow():
    use = (
        "import sys, keras_pit",
        "assert 'nano33ble' in keras_pit.boards.names()",
        "assert 'macs' in keras_pit.costs.names()",
        f"report = keras_pit.profile({str(MODEL)!r})",
        "assert report.macs and str(report) and report.as_dict()",
        f"assert keras_pit.fits({str(MODEL)!r}, 'nano33ble')",
        "assert 'convert' in dir(keras_pit)",
    )
    assert printed("\n".join((*use, HEAVY))) == "[]"


def test_no_module_of_costs_loads_tensorflow():
    imports = "import importlib, pkgutil, sys, keras_pit.costs as costs"
    walk = "[importlib.import_module(one.name) for one in pkgutil.walk_packages(costs.__path__, 'keras_pit.costs.')]"
    assert printed("\n".join((imports, walk, HEAVY))) == "[]"


@since("keras", "3.15", "does not read the files that it wrote")
def test_a_saved_search_model_is_known_where_keras_comes_later():
    load = f"model = keras.saving.load_model({str(SAVED)!r})"
    assert printed(f"import keras_pit\nimport keras\n{load}\nprint(type(model).__name__)") == "SearchModel"


def typed(package) -> dict[str, set[str]]:
    """The names that a package imports for type checkers alone, by their modules."""
    tree = ast.parse(Path(package.__file__).read_text())
    branches = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imports = (node for branch in branches for node in branch.body if isinstance(node, ast.ImportFrom))
    return {node.module or "": {alias.name for alias in node.names} for node in imports}


@pytest.mark.parametrize("package", [keras_pit, deployment], ids=lambda package: package.__name__)
def test_type_checkers_see_the_names_that_are_there(package):
    expected = {f"{package.__name__}.{home}".rstrip("."): names for home, names in typed(package).items()}
    for home, names in expected.items():
        for name in names:
            found = getattr(package, name)
            assert found is getattr(sys.modules[home], name)
    named = set().union(*expected.values())
    assert named <= set(package.__all__) <= set(dir(package))
    lazily = {name for name in package.__all__ if name in named or name not in vars(package)}
    assert lazily == named


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'keras_pit' has no attribute 'covert'"):
        _ = keras_pit.covert
    with pytest.raises(ImportError, match="cannot import name 'covert'"):
        from keras_pit import covert  # noqa: F401
