"""Callbacks for a search: when it presses, when it ends, what is kept of it, and how it went.

search.fit(x, y, epochs=50, validation_data=validation, callbacks=[
    callbacks.WarmUp(5),                           weights alone for five epochs, then masks too
    callbacks.StopWhenSettled(patience=10),        no change of the architecture for ten epochs: done
    callbacks.BestWithinTarget("best.keras"),      the best model among those that meet the target
    log := callbacks.ArchitectureLog(),            log.plot("search.png") shows each layer over time
])
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from . import checks, pictures
from .search.arguments import check_strength
from .search.model import SearchModel, mask_variables, require_search
from .search.report import Report, summary
from .search.variables import number


class _SearchCallback(keras.callbacks.Callback):
    @property
    def search(self) -> SearchModel:
        return require_search(self.model)


class StrengthSchedule(_SearchCallback):
    """Sets the strength at the beginning of each epoch.

    Args:
        schedule: from the number of the epoch (0, 1, ...) to the strength.

    Example:

        callbacks.StrengthSchedule(lambda epoch: 2.0 * min(epoch / 10, 1.0))  # a ramp over ten epochs
    """

    def __init__(self, schedule: Callable[[int], float]) -> None:
        super().__init__()
        self.schedule = checks.function(schedule, "`schedule`", "a function from the number of an epoch to a strength")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.search.strength = check_strength(self.schedule(epoch), f"What `schedule` returns for epoch {epoch}")


class WarmUp(_SearchCallback):
    """Holds all masks for some epochs, so that the weights learn first; a target's budget waits as long.

    Args:
        epochs: how many.
    """

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.epochs = checks.whole(epochs, "`epochs`", least=0)
        self._held: list[np.ndarray] | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        self.search.controller.waits = self.epochs

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        masks = mask_variables(self.search)
        self._held = [keras.ops.convert_to_numpy(mask) for mask in masks] if epoch < self.epochs else None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._held is not None:
            for mask, value in zip(mask_variables(self.search), self._held, strict=True):
                mask.assign(value)

    def on_train_end(self, logs: Any = None) -> None:
        self.search.controller.waits = 0


class StopWhenSettled(_SearchCallback):
    """Ends a search early: fixes an architecture that does not change any more, and trains on for a while.

    What must not change is the architecture on average (see `settling`), from when the first channel or tap is switched
    off; with a target, from when the budget has reached it. An architecture that `fit` has fixed by itself, in its last
    part, is trained to the end.

    Args:
        patience: number of epochs without a change.
        weights: number of epochs for weights and batch norm to settle on the fixed architecture; `patience` if None.
    """

    def __init__(self, patience: int = 10, weights: int | None = None) -> None:
        super().__init__()
        self.patience = checks.whole(patience, "`patience`", least=1)
        self.weights = self.patience if weights is None else checks.whole(weights, "`weights`", least=0)

    def on_train_begin(self, logs: Any = None) -> None:
        self._last = np.zeros(0, bool)
        self._unchanged = 0
        self._end: int | None = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        controller = self.search.controller
        if self._end is None and not controller.fixed:
            now = controller.architecture()
            open_yet = now.all() or (controller.bounds is not None and number(controller.bounds.tightness) < 1)
            self._unchanged = self._unchanged + 1 if np.array_equal(now, self._last) and not open_yet else 0
            self._last = now
            if self._unchanged >= self.patience:
                self.search.settle()
                self._end = epoch + self.weights
        if self._end is not None and epoch >= self._end:
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        if self._end is not None:
            self.search.settle(False)


class BestWithinTarget(keras.callbacks.ModelCheckpoint):
    """Saves the best search model so far, of those that meet the target.

    Args:
        filepath: where to save; ends in ".keras".
        monitor: the logged value that decides.
        **kwargs: as for `keras.callbacks.ModelCheckpoint`.
    """

    def __init__(self, filepath: str | pathlib.Path, monitor: str = "val_loss", **kwargs: Any) -> None:
        path = checks.path(filepath, "`filepath`", 'a path that ends in ".keras"')
        super().__init__(path, monitor=checks.text(monitor, "`monitor`"), save_best_only=True, **kwargs)

    def on_train_begin(self, logs: Any = None) -> None:
        if require_search(self.model).controller.bounds is None:
            raise ValueError(
                f"Model '{self.model.name}' has no target: convert it with `target=`, or use ModelCheckpoint."
            )
        super().on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if not self.model.unmet():
            super().on_epoch_end(epoch, logs)


class ArchitectureLog(_SearchCallback):
    """Remembers the architecture at the end of each epoch; draws it over time.

    Attributes:
        reports: a `Report` for each epoch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reports: list[Report] = []
        self._logs: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.reports.append(summary(self.search))
        self._logs.append({name: float(value) for name, value in (logs or {}).items()})

    def as_dict(self) -> dict[str, dict[str, list[int]]]:
        """For each layer its channels, kernel span (samples) and dilation, epoch by epoch."""
        now = [report.architecture() for report in self.reports]
        layers = now[0] if now else {}
        return {name: {measure: [one[name][measure] for one in now] for measure in layers[name]} for name in layers}

    def history(self) -> list[dict[str, Any]]:
        """For each epoch its logs, and of each layer that is searched channels, kernel span and dilation."""
        both = zip(self.reports, self._logs, strict=True)
        return [{"logs": logs, "layers": report.architecture()} for report, logs in both]

    def plot(self, path: str | pathlib.Path) -> pathlib.Path:
        """Draw channels, kernel span and dilation of each layer over time.

        `keras_pit.pictures.channels_over_time` and `costs_over_time` take the callback, too, and return figures.

        Args:
            path: file to write; the ending chooses the format (.png, .svg, .pdf).

        Raises:
            ImportError: if matplotlib is not installed.
            ValueError: if nothing has been logged yet.
        """
        path = checks.path(path, "`path`")
        if not self.reports:
            raise ValueError("Nothing has been logged yet: pass the callback to `fit` first.")
        pictures.layers_over_time(self.history(), path)
        return path
