"""One line of progress for each `fit` of a run."""

from __future__ import annotations

from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column


class Bar(keras.callbacks.Callback):
    """Shows the epochs of a `fit`, with what it logs.

    Args:
        title: of the phase.
        console: where it is drawn.
    """

    def __init__(self, title: str, console: Console) -> None:
        super().__init__()
        self._bar = Progress(
            TextColumn(title, table_column=Column(no_wrap=True, min_width=9)),
            BarColumn(10),
            MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=7)),
            TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=7)),
            TextColumn("{task.fields[state]}", table_column=Column(no_wrap=True, ratio=1)),
            console=console,
        )

    def on_train_begin(self, logs: Any = None) -> None:
        self._task = self._bar.add_task("", total=self.params["epochs"], state="")
        self._bar.start()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._bar.update(self._task, completed=epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        state = "  ".join(f"{name} {value:,.4g}" for name, value in (logs or {}).items() if name != "learning_rate")
        self._bar.update(self._task, completed=epoch + 1, state=state)

    def on_train_end(self, logs: Any = None) -> None:
        self._bar.stop()
