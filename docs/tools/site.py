"""What the site needs beside its Markdown: notebooks as pages.

mkdocs calls `on_files` and `on_page_markdown`. A notebook is shown as it is committed, with its output; nothing is run.
Pages link to `name.ipynb`, which is right where the repository is read, and to the page that is made of it here.
"""

import base64
from typing import Any

import nbformat
from mkdocs.structure.files import File, Files


def on_files(files: Files, config: Any) -> Files:
    """A page, and its pictures, for each notebook."""
    for notebook in [file for file in files if file.src_uri.endswith(".ipynb")]:
        name = notebook.src_uri.removesuffix(".ipynb")
        text, pictures = page(nbformat.read(notebook.abs_src_path, as_version=4), name)
        files.remove(notebook)
        files.append(File.generated(config, f"{name}.md", content=text))
        for path, content in pictures.items():
            files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links to notebooks lead to their pages."""
    return markdown.replace(".ipynb)", ".md)")


def page(notebook: nbformat.NotebookNode, name: str) -> tuple[str, dict[str, bytes]]:
    """Markdown of a notebook, and the pictures in it by path."""
    parts, pictures = [], {}
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/png" in data:
                path = f"{name}_{number:02d}.png"
                pictures[path] = base64.b64decode(data["image/png"])
                parts.append(f"![output of the code above]({path})")
            else:
                text = output.get("text") or data.get("text/plain", "")
                parts.append(f"```text\n{text.rstrip()}\n```")
    return "\n\n".join(parts) + "\n", pictures
