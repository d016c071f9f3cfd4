"""What is written down while a run trains: a line for each epoch, with the architecture as it then is."""

from __future__ import annotations

from typing import Any

import keras

from ..search.model import SearchModel
from ..search.report import summary
from .folder import Folder


class Log(keras.callbacks.Callback):
    """Adds a line to the history of a run at the end of each epoch.

    Args:
        folder: of the run.
        phase: "search" or "fine-tune".
    """

    def __init__(self, folder: Folder, phase: str) -> None:
        super().__init__()
        self._folder, self._phase = folder, phase

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        row = {
            "phase": self._phase,
            "epoch": epoch,
            "logs": {name: float(value) for name, value in (logs or {}).items()},
        }
        if isinstance(self.model, SearchModel):
            row["layers"] = summary(self.model).architecture()
        self._folder.log(row)
