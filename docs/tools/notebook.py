"""Run the notebooks of the guides from top to bottom, and keep what they print and draw.

    python docs/tools/notebook.py            with full training, some minutes; do so before a release

What depends on the machine or the moment (times, counts of execution, what is written to stderr) is not kept, so that
two runs of one version differ little. `tests/docs/test_notebooks.py` runs a short form, with KERAS_PIT_QUICK set.
"""

import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient

DOCS = Path(__file__).parents[1]
NOTEBOOKS = sorted(DOCS.glob("*.ipynb"))
TIMEOUT = 3600
"""Seconds for one cell."""


def run(notebook: nbformat.NotebookNode, **variables: str) -> nbformat.NotebookNode:
    """The notebook with its outputs.

    Args:
        notebook: what `nbformat.read` returns.
        **variables: environment variables for its kernel.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    client = NotebookClient(notebook, timeout=TIMEOUT, kernel_name="python3")
    return client.execute(env={**os.environ, **variables})


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook without what is of one machine or moment."""
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number:02d}", {}
        if cell.cell_type == "code":
            cell.outputs = joined([output for output in cell.outputs if output.get("name") != "stderr"])
            cell.execution_count = None
            for output in cell.outputs:
                if "execution_count" in output:
                    output.execution_count = None
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Outputs without the breaks that the kernel makes in what is printed."""
    found: list[nbformat.NotebookNode] = []
    for output in outputs:
        if found and output.output_type == found[-1].output_type == "stream":
            found[-1].text += output.text
        else:
            found.append(output)
    return found


def main() -> None:
    for path in NOTEBOOKS:
        nbformat.write(tidy(run(nbformat.read(path, as_version=4))), path)
        print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
