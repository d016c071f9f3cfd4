"""The site builds without a warning, with the pages and the reference in it."""

import logging
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Where the site was built, and the warnings of mkdocs."""
    mkdocs_build = pytest.importorskip("mkdocs.commands.build")
    from mkdocs.config import load_config

    folder, warnings = tmp_path_factory.mktemp("site"), []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: warnings.append(record.getMessage())
    logging.getLogger("mkdocs").addHandler(handler)
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder))
    mkdocs_build.build(config)
    logging.getLogger("mkdocs").removeHandler(handler)
    return folder, warnings


def test_builds_without_warnings(site):
    _, warnings = site
    assert warnings == []


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("index.html", "Search the small network inside your big one"),
        ("api/search.html", "Turn a Keras model into a search model of the same function."),
        ("api/costs.html", "What is left for a network"),
        ("microcontroller.html", "microcontroller_"),
        ("supported.html", "SeparableConv1D"),
    ],
)
def test_has_the_pages(site, page, told):
    folder, _ = site
    assert told in (folder / page).read_text()


def test_examples_are_code(site):
    folder, _ = site
    examples = re.findall(r"<summary>Example</summary>(.*?)</details>", (folder / "api/search.html").read_text(), re.S)
    assert len(examples) >= 5
    assert all("<code>" in example and "<blockquote>" not in example for example in examples)
