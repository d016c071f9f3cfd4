"""The package as a house: each room imports from floors below, no file imports in a circle, private names stay at home.

The floors, from the top to the ground; rooms on one floor do not know each other. `docs/design.md` has the picture.
"""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

FLOORS = (
    ("__main__",),
    ("cli",),
    ("keras_pit",),
    ("runs", "sweeps"),
    ("callbacks", "deployment"),
    ("search",),
    ("blueprint",),
    ("layers", "lowering"),
    ("graph", "pictures"),
    ("streaming",),
    ("costs",),
    ("boards",),
    ("_lazy", "checks", "errors", "folders", "printing"),
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


def test_arrows_point_down():
    arrows = [(file, other) for file, others in IMPORTS.items() for other in others if room(file) != room(other)]
    assert [arrow for arrow in arrows if HEIGHT[room(arrow[0])] <= HEIGHT[room(arrow[1])]] == []


def names_of_our_own() -> set[str]:
    """What the package defines: functions, classes, variables, attributes of its own objects, modules."""
    own = {Path(file).stem for file in FILES}
    for node in (node for tree in FILES.values() for node in ast.walk(tree)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            own.add(node.name)
        elif isinstance(node, ast.Name):
            own.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
            own.add(node.attr)
    return own


def private_names(file: str) -> Iterator[str]:
    """The names in a file that others keep to themselves."""
    for node in ast.walk(FILES[file]):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            yield node.attr
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
            yield from (name for name in names if name.startswith(("keras.src", "tf_keras.src")))


def test_private_names_stay_at_home():
    known = names_of_our_own() | OTHER_PRIVATE_NAMES
    found = {file: set(private_names(file)) - known for file in FILES}
    assert found.pop(PRIVATE_NAMES_OF_KERAS)
    assert {file: names for file, names in found.items() if names} == {}
