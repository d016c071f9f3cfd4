"""A point of a front: a model, what it is worth and what it costs, as the files of its step say."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass, field
from typing import Any

import keras

from .plan import Plan
from .store import Step, Store


@dataclass(frozen=True, eq=False)
class Point:
    """A model of a front."""

    label: str
    accuracy: float | None
    """Of the floats, on the validation data: the log that the sweep monitors, accuracy or whatever the seed has."""
    accuracy_int8: float | None
    """The same of the int8 file, computed by TFLite-Micro; None where there is no file."""
    costs: dict[str, float]
    """By name: "size" (parameters), "macs", "flash" (bytes of the file), "ram" (bytes of the arena on the board),
    "latency" (milliseconds there), and the user's own."""
    seed: int | None = None
    """The random seed; None of a point that was added."""
    number: int = 0
    """The number of its bound, from 1; 0 for the seed."""
    bound: dict[str, float] | None = None
    """What it had to meet."""
    layers: tuple[dict[str, Any], ...] = ()
    """The architecture: name, kind, channels, kernel, dilation and size of each convolution and Dense layer."""
    figures: dict[str, Any] = field(default_factory=dict, repr=False)
    """All that was measured: metrics in float and in int8, seconds, the arena that TFLite-Micro took here."""
    directory: pathlib.Path | None = None
    """Where its files are."""

    @property
    def value(self) -> float:
        """What counts: the accuracy in int8, or where there is none that in float."""
        value = self.accuracy if self.accuracy_int8 is None else self.accuracy_int8
        return float("nan") if value is None else value

    @property
    def is_seed(self) -> bool:
        """Whether it is what the sweep started from."""
        return self.seed is not None and self.number == 0

    @property
    def added(self) -> bool:
        """Whether it was added to the front, and has no model."""
        return self.directory is None

    def model(self) -> keras.Model:
        """The Keras model.

        Raises:
            ValueError: if the point was added, and has none.
        """
        return keras.models.load_model(self._folder() / "model.keras")

    def tflite(self) -> bytes:
        """The content of the int8 file.

        Raises:
            ValueError: if there is none.
        """
        path = self._folder() / "model.tflite"
        if not path.exists():
            raise ValueError(
                f"Point '{self.label}' has no int8 file, as the sweep was called with quantization=None: make one with "
                "keras_pit.to_tflite(point.model(), calibration)."
            )
        return path.read_bytes()

    def as_dict(self) -> dict[str, Any]:
        """The same as plain dictionaries and lists, for JSON."""
        own = {name: getattr(self, name) for name in ("label", "seed", "number", "bound", "accuracy", "accuracy_int8")}
        rest = {
            name: value for name, value in self.figures.items() if name not in ("accuracy", "accuracy_int8", "point")
        }
        return {**rest, **own, "costs": dict(self.costs), "layers": list(self.layers)}

    def _folder(self) -> pathlib.Path:
        if self.directory is None:
            raise ValueError(f"Point '{self.label}' was added to the front by its figures: it has no model.")
        return self.directory


def read(store: Store, step: Step, plan: Plan) -> Point:
    """The point that a finished step has left."""
    figures = store.figures(step)
    label = f"point {step.point}" if step.point else "seed"
    return Point(
        label + f" ({step.seed})" * (len(plan.seeds) > 1),
        figures["accuracy"],
        figures["accuracy_int8"],
        plan.named(figures["costs"]),
        step.seed,
        step.point,
        figures.get("bound"),
        tuple(figures["layers"]),
        figures,
        store.folder(step),
    )
