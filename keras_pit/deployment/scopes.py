"""Names as TensorFlow takes them."""

from __future__ import annotations

import re


def scope(name: str) -> str:
    """A name as TensorFlow takes it for operations and layers: letters beyond ASCII by their numbers."""
    return re.sub(r"\W", "_", name.encode("ascii", "backslashreplace").decode()).lstrip("_") or "unnamed"
