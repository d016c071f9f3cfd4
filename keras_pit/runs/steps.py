"""From a model and data to a network that fits, step by step into a folder; called again, it goes on.

seed.keras      the model                      history.jsonl   each epoch, with the architecture
search.keras    the search model, settled      result.json     accuracy and costs of what there is
slim.keras      exported and fine-tuned        backup/         the epoch that a killed process ends behind
slim.tflite     int8, checked on TFLite-Micro
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .. import checks
from ..deployment.quantize import to_tflite
from ..errors import DeploymentError
from ..folders import LOCK
from ..search.convert import convert
from ..search.cost import cost
from ..search.export import export
from ..search.rates import rise
from . import folder as files
from . import task as tasks
from .data import Data, spread
from .folder import Folder
from .log import Log
from .result import of_run

CALIBRATION = 200
"""Samples of which the ranges of the integers are taken."""


@dataclass(frozen=True)
class Settings:
    """What a search is asked for; see `keras_pit.convert` for the first ones.

    Raises:
        TypeError: if one is of a wrong type.
        ValueError: if one cannot be used.
    """

    regularizer: Any = None
    strength: float = 2.0
    target: Any = None
    exclude: tuple[str, ...] = ()
    round_to: int = 1
    board: str | None = None
    """Whose costs and time are told."""
    latency: float | None = None
    """Milliseconds that are told to fit, or not."""
    epochs: int = 50
    fine_tune: int | None = None
    """Epochs of the exported model; None: as many as the search has."""
    batch_size: int = 32
    learning_rate: float = 1e-3
    """Of Adam; constant in the search until weights settle; in fine-tuning a cosine down to 0, from a rate that is
    raised as the network is smaller (see `search.rates`)."""
    seed: int = 0
    """Of all that is random."""

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("round_to", 1), ("seed", 0)):
            checks.whole(getattr(self, name), f"`{name}`", least=least)
        checks.number(self.learning_rate, "`learning_rate`", positive=True)
        if self.fine_tune is not None:
            checks.whole(self.fine_tune, "`fine_tune`", least=0)

    @property
    def tuning(self) -> int:
        """Epochs of fine-tuning."""
        return self.epochs if self.fine_tune is None else self.fine_tune


Callbacks = Callable[[str], Sequence[keras.callbacks.Callback]]
"""From the name of a phase to callbacks that watch its `fit`."""


def search(
    model: keras.Model,
    data: Data,
    directory: Any,
    settings: Settings | None = None,
    *,
    callbacks: Callbacks = lambda phase: (),
    tell: Callable[[str], object] = lambda message: None,
) -> Folder:
    """Search a network, fine-tune it, make its int8 file and measure it, all into a folder.

    A process that was killed is followed by the next one with the same arguments, from the last epoch on.

    Args:
        model: a trained Keras model; its loss and metrics are used if it was compiled, else what `task` sees.
        data: samples and targets; a fifth is held out if it has no validation data.
        directory: of the run; new, empty, or that of a run with the same model, data and settings.
        settings: what is asked for.
        callbacks: watch each phase, "search" and "fine-tune".
        tell: is told each step in words.

    Returns:
        The folder, complete.

    Raises:
        ValueError: if arguments are wrong, or the folder holds another run.
        FileExistsError: if it holds something else.
        BlockingIOError: if another process works there.

    Example:

        run = search(model, runs.read("data.npz"), "run", Settings(target="nano33ble", epochs=30))
        run / "slim.tflite"
    """
    settings = settings or Settings()
    run = Folder(directory)
    data.require_targets()
    with run.locked():
        _begin(run, model, data, settings)
        data = data.with_validation(settings.seed)
        goal = tasks.of(model, data)
        tell(f"training for {goal.told}")
        _Steps(run, data, settings, goal, callbacks, tell).all()
    return run


def _begin(run: Folder, model: keras.Model, data: Data, settings: Settings) -> None:
    """Write down what is asked for, or compare it with what was."""
    asked = _plain(
        {**asdict(settings), "model": model.name, "weights": _fingerprint(model), "data": data.fingerprint()}
    )
    if run.has(files.REQUEST):
        before = run.json(files.REQUEST)
        different = [name for name in asked if asked[name] != before.get(name)]
        if different:
            found = ", ".join(f"{name} {before.get(name)!r} then, {asked[name]!r} now" for name in different)
            raise ValueError(
                f"{str(run.path)!r} holds another run ({found}): go on with the same arguments, or choose "
                "another folder."
            )
    else:
        _require_empty(run)
        run.put_json(files.REQUEST, asked)
    if not run.has(files.SEED):
        run.put(files.SEED, model.save)


def _require_empty(run: Folder) -> None:
    others = [path.name for path in run.path.iterdir() if path.name != LOCK and not path.name.startswith(".new.")]
    if others:
        raise FileExistsError(
            f"{str(run.path)!r} holds {sorted(others)[0]!r}, which is of no run: expected a new or empty folder."
        )


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _fingerprint(model: keras.Model) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for weight in model.get_weights():
        digest.update(f"{weight.dtype} {weight.shape}".encode())
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class _Steps:
    """The steps of a run; each does nothing where its file is there."""

    run: Folder
    data: Data
    settings: Settings
    goal: tasks.Task
    callbacks: Callbacks
    tell: Callable[[str], object]
    models: dict[str, keras.Model] = field(default_factory=dict)
    """Those that are at hand, by the names of their files."""

    def all(self) -> None:
        self._searched()
        self._slim()
        self._file()
        self._measured()

    def _model(self, name: str) -> keras.Model:
        if name not in self.models:
            self.models[name] = keras.saving.load_model(self.run / name, compile=False)
        return self.models[name]

    def _put(self, name: str, model: keras.Model) -> None:
        self.run.put(name, model.save)
        self.models[name] = model

    def _fit(self, model: keras.Model, epochs: int, phase: str, rate: Any) -> None:
        settings, data = self.settings, self.data
        optimizer = keras.optimizers.Adam(rate, clipnorm=1.0)
        # On a CPU, XLA takes longer to compile such networks than it saves.
        model.compile(
            optimizer, **self.goal.losses(), jit_compile="auto" if tf.config.list_physical_devices("GPU") else False
        )
        backup = self.run / files.BACKUP / phase
        backup.mkdir(parents=True, exist_ok=True)
        model.fit(
            data.x,
            data.y,
            batch_size=settings.batch_size,
            epochs=epochs,
            validation_data=(data.x_val, data.y_val),
            verbose=0,
            callbacks=[
                keras.callbacks.BackupAndRestore(backup, double_checkpoint=True),
                Log(self.run, phase),
                *self.callbacks(phase),
            ],
        )

    def _searched(self) -> None:
        if self.run.has(files.SEARCH):
            return
        asked = self.settings
        keras.utils.set_random_seed(asked.seed)
        model = convert(
            self._model(files.SEED),
            asked.regularizer,
            strength=asked.strength,
            target=asked.target,
            exclude=asked.exclude,
            round_to=asked.round_to,
        )
        self.tell(f"searching for {asked.epochs} epochs")
        self._fit(model, asked.epochs, "search", asked.learning_rate)
        self._put(files.SEARCH, model)

    def _slim(self) -> None:
        if self.run.has(files.SLIM):
            return
        asked = self.settings
        keras.utils.set_random_seed(asked.seed)
        model = export(self._model(files.SEARCH))
        if asked.tuning:
            self.tell(f"fine-tuning for {asked.tuning} epochs")
            steps = asked.tuning * -(-len(_first(self.data.x)) // asked.batch_size)
            raised = asked.learning_rate * rise(cost(self._model(files.SEED), "size"), cost(model, "size"))
            rate = keras.optimizers.schedules.CosineDecay(raised, steps)
            self._fit(model, asked.tuning, "fine-tune", rate)
        self._put(files.SLIM, model)

    def _file(self) -> None:
        if self.run.has(files.TFLITE):
            return
        self.tell("making the int8 file, and running it on TFLite-Micro")
        try:
            tflite = to_tflite(self._model(files.SLIM), spread(self.data.x, CALIBRATION))
        except (DeploymentError, ImportError) as error:
            warnings.warn(f"There is no {files.TFLITE}: {error}", stacklevel=2)
            return
        self.run.put(files.TFLITE, lambda path: path.write_bytes(tflite))

    def _measured(self) -> None:
        if self.run.has(files.RESULT):
            return
        self.tell("measuring")
        self.run.put_json(
            files.RESULT,
            of_run(self.run, self._model, self.data, self.goal, self.settings.board, self.settings.latency),
        )


def _first(x: Any) -> np.ndarray:
    found: np.ndarray = next(iter(x.values())) if isinstance(x, dict) else x[0] if isinstance(x, list) else x
    return found
