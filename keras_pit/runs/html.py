"""Pieces of an HTML page; whatever comes from outside is escaped here."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from string import Template
from typing import Any, NamedTuple


class Section(NamedTuple):
    """A part of a page, with what it is called in links."""

    name: str
    title: str
    body: str


class Cell(NamedTuple):
    """A cell of a table that is more than text: with a class, a style."""

    text: str
    kind: str = ""
    style: str = ""


def page(title: str, subtitle: str, sections: Iterable[Section]) -> str:
    """The whole page, in one file."""
    sections = [section for section in sections if section.body]
    template = Template((resources.files(__package__) / "templates" / "report.html").read_text("utf-8"))
    return template.substitute(
        title=escape(title),
        subtitle=escape(subtitle),
        navigation=" ".join(f'<a href="#{one.name}">{escape(one.title)}</a>' for one in sections),
        body="\n".join(
            f'<section id="{one.name}"><h2>{escape(one.title)}</h2>\n{one.body}\n</section>' for one in sections
        ),
    )


def table(header: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> str:
    """A table; text is left, numbers are right."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="wide"><table>{title}<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def _cell(value: Any) -> str:
    cell = value if isinstance(value, Cell) else Cell(number(value), "text" if isinstance(value, str) else "")
    kind = f' class="{escape(cell.kind)}"' if cell.kind else ""
    style = f' style="{escape(cell.style)}"' if cell.style else ""
    return f"<td{kind}{style}>{escape(cell.text)}</td>"


def number(value: Any) -> str:
    """A value as text: numbers with so many digits as one reads."""
    if value is None:
        return "?"
    if isinstance(value, float) and value % 1:
        return f"{value:,.4g}"
    return f"{value:,.0f}" if isinstance(value, (int, float)) else str(value)


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    return f"<p{f' class={chr(34)}{kind}{chr(34)}' if kind else ''}>{escape(text)}</p>" if text else ""


def code(text: str) -> str:
    """Lines to be typed."""
    return f"<pre><code>{escape(text)}</code></pre>"


def picture(drawn: Any, words: str) -> str:
    """A Matplotlib figure, inside of the page.

    Args:
        drawn: the figure.
        words: what it shows, also for those who do not see it.
    """
    content, width = io.BytesIO(), round(96 * drawn.get_figwidth())
    drawn.savefig(content, format="svg", metadata={"Date": None})
    data = base64.b64encode(content.getvalue()).decode()
    image = f'<img width="{width}" alt="{escape(words)}" src="data:image/svg+xml;base64,{data}">'
    return f'<figure><div class="wide">{image}</div><figcaption>{escape(words)}</figcaption></figure>'
