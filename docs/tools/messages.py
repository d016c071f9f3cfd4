"""The warnings and errors of the package, collected from its code, and those that docs/troubleshooting.md lacks.

    python docs/tools/messages.py             prints what has no entry, and entries that are of no message
    python docs/tools/messages.py --draft     prints rows for what has no entry, to be put in their place and improved
    python docs/tools/messages.py --all       prints all messages

A message is an argument of an exception or of `warnings.warn`. Its template has … where values are put in:

    raise ValueError(f"Input '{name}' has shape {shape}; expected ...")        Input '…' has shape …; expected ...

Where the argument is a variable or a call, the texts are those assigned to the variable, or returned by the function
of that name in the same file. The page has an entry, in the first column of a table, with the beginning of each.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "keras_pit"
PAGE = ROOT / "docs" / "troubleshooting.md"
GAP = "…"

RAISED = re.compile(r"(Error|Warning|OpenLength|FarOff)$")
"""What the name of a class of errors ends in."""
WRONG_TYPE = "wrong_type"
"""The function of `checks` that makes an error of a name and what was expected."""
INSIDE = {"unmet": "search/model.py"}
"""Functions of other files whose texts are told by somebody else: all that is in them counts."""


@dataclass(frozen=True)
class Message:
    """A message by its template, and where it is told."""

    template: str
    file: str
    line: int

    @property
    def words(self) -> str:
        """What is compared with the entries of the page."""
        return plain(self.template)


def plain(text: str) -> str:
    """A text without gaps, quotes and differences of space."""
    return " ".join(re.sub(rf"[`'\"{GAP}()\[\]]", " ", text).split()).lower()


def messages(package: Path = PACKAGE) -> list[Message]:
    """All messages of a package."""
    return [message for path in sorted(package.rglob("*.py")) for message in _of_file(path, package)]


def _of_file(path: Path, package: Path) -> Iterator[Message]:
    file = path.relative_to(package).as_posix()
    tree = ast.parse(path.read_text())
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for scope, node in _with_scopes(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name == WRONG_TYPE and isinstance(node.args[0], (ast.Constant, ast.JoinedStr)):
            yield Message(f"{_text(node.args[0])} must be {_text(node.args[1])}, received {GAP}", file, node.lineno)
        elif name == "warn" or RAISED.search(name):
            for template in _templates(node.args[0], scope, functions):
                if re.search(r"[a-z]{3}", plain(template)):
                    yield Message(template, file, node.lineno)
    for name in (name for name, home in INSIDE.items() if home == file):
        for node in ast.walk(functions[name]):
            if isinstance(node, ast.JoinedStr) and len(plain(_text(node)).split()) > 2:  # no format specification
                yield Message(_text(node), file, node.lineno)


def _with_scopes(tree: ast.Module) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Each node, and the function that it is in."""
    places: list[tuple[ast.AST, ast.AST]] = [(tree, tree)]
    for scope, node in places:
        yield scope, node
        inner = node if isinstance(node, ast.FunctionDef) else scope
        places += [(inner, child) for child in ast.iter_child_nodes(node)]


def _templates(node: ast.expr, scope: ast.AST, functions: dict[str, ast.FunctionDef]) -> list[str]:
    if isinstance(node, ast.IfExp):
        return [t for branch in (node.body, node.orelse) for t in _templates(branch, scope, functions)]
    if isinstance(node, ast.Name):
        assigned = [
            other.value
            for other in ast.walk(scope)
            if isinstance(other, (ast.Assign, ast.NamedExpr))
            and any(isinstance(t, ast.Name) and t.id == node.id for t in getattr(other, "targets", [other]))
        ]
        return [t for value in assigned if value is not node for t in _templates(value, scope, functions)]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions:
        inner = functions[node.func.id]
        returned = [n.value for n in ast.walk(inner) if isinstance(n, ast.Return) and n.value is not None]
        return [t for value in returned for t in _templates(value, inner, functions)]
    if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.FormattedValue):
        rest = "".join(map(_text, node.values[1:]))
        return [head + rest for head in _templates(node.values[0].value, scope, functions) or [GAP]]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join":
        joined = node.args[0]
        return ["".join(map(_text, joined.elts)) if isinstance(joined, ast.List) else GAP]
    return [_text(node)]


def _text(node: ast.expr) -> str:
    """A text with gaps."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(value) for value in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    return GAP


def entries(page: str) -> list[str]:
    """The beginnings of messages: what is code in the first columns of the tables whose first column is "message"."""
    tables = re.findall(r"^\| message \|.*\n\|.*\n((?:\|.*\n)*)", page, re.MULTILINE)
    cells = [row[2:].split(" | ")[0] for table in tables for row in table.splitlines()]
    return [match[2].strip() for cell in cells for match in re.finditer(r"(`+)(.+?)\1(?!`)", cell)]


def missing(page: str, found: list[Message]) -> list[Message]:
    """The messages that no entry is the beginning of."""
    known = tuple(plain(entry) for entry in entries(page))
    return [message for message in found if not message.words.startswith(known)]


def stale(page: str, found: list[Message]) -> list[str]:
    """The entries that are the beginning of no message."""
    told = [message.words for message in found]
    return [entry for entry in entries(page) if not any(words.startswith(plain(entry)) for words in told)]


def draft(message: Message) -> str:
    """A row for a message: its beginning, and what it says itself."""
    text = " ".join(message.template.split())
    parted = re.match(r"(.{12,}?)[:;.] (.+)", text)
    head, rest = parted.groups() if parted else (text.rstrip("."), "")
    fence, space = ("``", " ") if "`" in head else ("`", "")
    return f"| {fence}{space}{head}{space}{fence} | {rest[:1].upper()}{rest[1:]} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draft", action="store_true", help="print rows for what has no entry")
    parser.add_argument("--all", action="store_true", help="print all messages")
    found, chosen = messages(), parser.parse_args()
    if chosen.all:
        for message in found:
            print(f"{message.file}:{message.line}: {' '.join(message.template.split())}")
        return
    page = PAGE.read_text()
    lacking, old = missing(page, found), stale(page, found)
    if chosen.draft:
        print("\n".join(dict.fromkeys(map(draft, lacking))))
        return
    for message in lacking:
        print(f"no entry: {message.file}:{message.line}: {' '.join(message.template.split())}")
    for entry in old:
        print(f"no message: {entry}")
    sys.exit(bool(lacking or old))


if __name__ == "__main__":
    main()
