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


def kinds(notebook):
    """What each cell of code puts out: text, pictures, errors."""
    return [[output.output_type for output in cell.outputs] for cell in code(notebook)]


def test_runs_from_top_to_bottom(path):
    notebook = tool.tidy(tool.run(read(path), KERAS_PIT_QUICK="1"))
    assert kinds(notebook) == kinds(read(path))


def test_output_is_of_this_version(path):
    assert f"keras_pit {keras_pit.__version__}\n" in printed(read(path))


def test_is_tidy_and_small(path):
    assert tool.tidy(read(path)) == read(path)
    assert path.stat().st_size < 400_000


def test_every_cell_of_code_shows_something(path):
    silent = [cell.source for cell in code(read(path)) if not cell.outputs]
    assert silent == []
