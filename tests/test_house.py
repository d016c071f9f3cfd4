"""The package as a house: each room imports from floors below, no file imports in a circle, private names stay at home.

The floors, from the top to the ground; rooms on one floor do not know each other. `docs/design.md` has the picture.
"""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

FLOORS = (
    ("keras_pit",),
    ("callbacks", "deployment"),
    ("search",),
    ("blueprint",),
    ("layers", "lowering"),
    ("graph",),
    ("costs",),
    ("boards",),
    ("checks", "errors"),
)
HEIGHT = {room: -number for number, rooms in enumerate(FLOORS) for room in rooms}

PRIVATE_NAMES_OF_KERAS = "graph/_keras.py"
"""The one file that may know them."""
OTHER_PRIVATE_NAMES = {"_experimental_disable_per_channel_quantization_for_dense_layers", "_tab"}
"""Of TensorFlow's converter and of flatbuffers, which have no public names for these."""

ROOT = Path(__file__).parents[1] / "keras_pit"
FILES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}
MODULES = {"keras_pit." + file.removesuffix(".py").replace("/", "."): file for file in FILES}
MODULES = {module.removesuffix(".__init__"): file for module, file in MODULES.items()}


def room(file: str) -> str:
    """The folder, or top-level file, that a file of the package is in."""
    first = file.split("/")[0].removesuffix(".py")
    return "keras_pit" if first == "__init__" else first


def imported(file: str) -> Iterator[str]:
    """The files of the package that a file imports, wherever the statement stands."""
    module = next(module for module, known in MODULES.items() if known == file)
    package = module if file.endswith("__init__.py") else module.rpartition(".")[0]
    for node in ast.walk(FILES[file]):
        if isinstance(node, ast.Import):
            yield from (MODULES[alias.name] for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            for alias in node.names:
                found = f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base
                if found in MODULES:
                    yield MODULES[found]


IMPORTS = {file: sorted(set(imported(file)) - {file}) for file in FILES}


def test_every_file_has_a_room():
    assert {room(file) for file in FILES} == set(HEIGHT)


def test_no_circles():
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(f"imports in a circle: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("file", FILES)
def test_arrows_point_down(file):
    up = [other for other in IMPORTS[file] if room(other) != room(file) and HEIGHT[room(other)] >= HEIGHT[room(file)]]
    assert not up, f"{file} imports {', '.join(up)}, of a room that is not below its own"


@pytest.mark.parametrize("file", FILES)
def test_private_names_stay_at_home(file):
    trees = FILES.values()
    own = {node.name for tree in trees for node in ast.walk(tree) if hasattr(node, "name") and hasattr(node, "body")}
    own |= {node.id for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)}
    own |= {
        node.attr
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
    }
    own |= {Path(module).stem for module in FILES}
    foreign = set()
    for node in ast.walk(FILES[file]):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            foreign |= {node.attr} - own - OTHER_PRIVATE_NAMES
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
            foreign |= {name for name in names if name.startswith(("keras.src", "tf_keras.src"))}
    if file != PRIVATE_NAMES_OF_KERAS:
        assert not foreign
    else:
        assert foreign
