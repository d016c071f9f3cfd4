"""Links between the pages lead somewhere: the file is there, and has the heading."""

import re
from pathlib import Path

import nbformat
import pytest

import keras_pit

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TOP = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "tflite/README.md", "tflite/watch/README.md")
PAGES = [*(ROOT / name for name in TOP), *sorted(DOCS.rglob("*.md")), *sorted(DOCS.glob("*.ipynb"))]
LINK = re.compile(r"(?<!\\)\[[^\]]*\]\(([^)\s]+)(?: \"[^\"]*\")?\)|^\[[^\]]+\]: (\S+)", re.MULTILINE)


def text(path: Path) -> str:
    """What a page says, without its code."""
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    written = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", lambda code: code[0].replace("[", "").replace("]", ""), written)


def links(path: Path) -> list[str]:
    return [one or two for one, two in LINK.findall(text(path))]


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs make them."""
    headings = re.findall(r"^#+ +(.+?) *$", text(path), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def broken(path: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    found = []
    for link in links(path):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        missing = not target.exists() or (anchor and anchor not in anchors(target))
        outside = DOCS in path.parents and DOCS not in target.parents
        if missing or outside:  # pages of the site know nothing of the rest of the repository
            found.append(link)
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links(path):
    assert broken(path) == []


def test_broken_links_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One `and` two\n[a](#one-and-two) [b](#three) [c](none.md) [d](page.md#one-and-two) `[e](f)`\n")
    assert broken(page) == ["#three", "none.md"]


def test_pages_are_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text()
    pages = [path.relative_to(DOCS).with_suffix(".md").as_posix() for path in PAGES if DOCS in path.parents]
    assert [page for page in pages if f": {page}\n" not in navigation] == []


def test_public_names_are_in_the_reference():
    reference = "\n".join(path.read_text() for path in (DOCS / "api").glob("*.md"))
    rooms = {"boards", "callbacks", "costs", "layers", "pictures", "runs"}
    missing = [name for name in set(keras_pit.__all__) - rooms if f"::: keras_pit.{name}\n" not in reference]
    missing += [name for name in keras_pit.costs.__all__ if not re.search(rf"\b{name}\b", reference)]
    missing += [name for name in keras_pit.layers.__all__ if not re.search(rf"\b{name}\b", reference)]
    missing += [f"pictures.{name}" for name in keras_pit.pictures.__all__ if f".pictures.{name}\n" not in reference]
    missing += [name for name in keras_pit.deployment.__all__ if f".{name}\n" not in reference]
    assert missing == []
