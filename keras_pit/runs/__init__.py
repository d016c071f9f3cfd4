"""A search as a folder: what was asked for, how far it has come, and what came out of it.

    model, data --search--> run/  request.json  seed.keras  search.keras  slim.keras  slim.tflite  result.json

Each step leaves its file, whole or not at all, and `search` on the same folder goes on behind the last one. `data` are
the arrays that users have in files or make in functions; `task` is what a model is trained for, `measure` how well it
does that. Nothing here needs TensorFlow before a step does. Open `search` first.
"""

from .data import Data, read
from .folder import Folder

__all__ = ["Data", "Folder", "read"]
