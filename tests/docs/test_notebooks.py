"""The notebooks run from top to bottom, and what is committed is what this version printed."""

import nbformat
import pytest

import keras_pit
from docs.tools import notebook as tool


@pytest.fixture(params=tool.NOTEBOOKS, ids=lambda path: path.name)
def path(request):
    return request.param


def read(path):
    return nbformat.read(path, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(notebook):
    return "".join(output.get("text", "") for cell in code(notebook) for output in cell.outputs)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets of the kernel's client
def test_runs_from_top_to_bottom(path):
    notebook = tool.run(read(path), KERAS_PIT_QUICK="1", KERAS_BACKEND="tensorflow")
    assert all(output.output_type != "error" for cell in code(notebook) for output in cell.outputs)
    committed = [[output.output_type for output in cell.outputs] for cell in code(read(path))]
    assert [[output.output_type for output in cell.outputs] for cell in code(tool.tidy(notebook))] == committed


def test_output_is_of_this_version(path):
    assert f"keras_pit {keras_pit.__version__}\n" in printed(read(path))


def test_is_tidy_and_small(path):
    notebook = read(path)
    assert tool.tidy(read(path)) == notebook
    assert all(cell.outputs or not cell.source.rstrip().endswith(")") for cell in code(notebook)[1:2])
    assert path.stat().st_size < 400_000
