"""A search as a folder: what was asked for, how far it has come, and what came out of it.

    model, data --search--> run/  request.json  seed.keras  search.keras  slim.keras  slim.tflite  result.json

Each step leaves its file, whole or not at all, and `search` on the same folder goes on behind the last one. `data` are
the arrays that users have in files or make in functions; `task` is what a model is trained for, `result` how well it
does that, `page` makes a report of it all. Only `steps` needs TensorFlow. Open `steps` first.
"""

from typing import TYPE_CHECKING

from .. import _lazy
from .data import Data, read
from .folder import Folder

if TYPE_CHECKING:
    from .layers import layers_of
    from .page import report
    from .steps import Settings, search
else:
    __getattr__, __dir__ = _lazy.names(
        __name__, {"layers": ("layers_of",), "page": ("report",), "steps": ("Settings", "search")}
    )

__all__ = ["Data", "Folder", "Settings", "layers_of", "read", "report", "search"]
