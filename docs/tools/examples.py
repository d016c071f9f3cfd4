"""For the reference: the "Example:" of a docstring, which is indented code, as a block of code.

Griffe takes a section of a name that it does not know for prose, and would run the lines of the code together.
"""

import re
from typing import Any

import griffe

_SECTION = re.compile(r"^Example:\n((?:[ ]{4}.*\n?|[ \t]*\n)+)", re.MULTILINE)


def with_fences(docstring: str) -> str:
    """A docstring whose examples stand between fences."""

    def fenced(found: re.Match[str]) -> str:
        code = found[1].strip("\n")
        language = "pycon" if ">>>" in code else "python"
        return f"Example:\n    ```{language}\n{code.rstrip()}\n    ```\n\n"

    return _SECTION.sub(fenced, docstring + "\n").rstrip()


class Examples(griffe.Extension):
    """Applied to all that is documented."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = with_fences(obj.docstring.value)
