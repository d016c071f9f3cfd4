"""For the reference: the "Example:" of a docstring, which is indented code, as a block of code.

Griffe takes a section of a name that it does not know for prose, and would run the lines of the code together.
"""

import re
from typing import Any

import griffe

_SECTION = re.compile(r"^Example:\n\s*\n((?:[ ]{4}.*\n?|[ \t]*\n)+)", re.MULTILINE)


def with_fences(docstring: str) -> str:
    """A docstring whose example stands between fences; one with `>>>` is left to griffe."""

    def fenced(found: re.Match[str]) -> str:
        code = found[1].rstrip()
        if ">>>" in code:
            return found[0]
        return f"Example:\n    ```python\n{code}\n    ```\n"

    return _SECTION.sub(fenced, docstring + "\n").rstrip()


class Examples(griffe.Extension):
    """Applied to all that is documented."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = with_fences(obj.docstring.value)
