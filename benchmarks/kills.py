"""What is left when a process is killed: `fit` with BackupAndRestore, `to_tflite` and `deploy`, 50 times each.

    python benchmarks/kills.py [--kills 50] [--output out/kills.json] [fit to_tflite deploy]

Each is killed at random moments (SIGKILL and SIGTERM in turn) and called again. What must hold:

    fit        a run that was killed and resumed ends where one that was left alone ends, number for number
    deploy     at every moment the old or the new bundle stands, whole
    all        workers end at once, and after the next call nothing is left in the temporary folder or beside the bundle

A process that has imported TensorFlow, and done nothing with it yet, is forked for each call, which saves the imports.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

import keras_pit

EPOCHS = 30
PATIENCE = 120.0
FORK = multiprocessing.get_context("fork")


@dataclass
class Result:
    """What was seen: `left_*` are the most things that one kill left until the next call."""

    name: str
    kills: int = 0
    finished: int = 0
    wrong: int = 0
    missing: int = 0
    left_folders: int = 0
    left_at_the_end: int = 0
    slowest_worker_s: float = 0.0

    @property
    def good(self) -> bool:
        """Whether all holds."""
        return not (self.wrong or self.missing or self.left_at_the_end or self.slowest_worker_s > 5)


def network(name: str = "network") -> keras.Model:
    """A small dilated network, the same each time."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((32, 4))
    for level in range(2):
        x = layers.Conv1D(8, 5, padding="causal", dilation_rate=2**level, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)), name=name)


def data(samples: int = 64) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(samples, 32, 4)).astype("float32")


def fit(folder: Path, _turn: int) -> None:
    """A search that goes on where the last one was killed, and leaves its state when it is done."""
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    search = keras_pit.convert(network(), "macs", strength=3.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    search.compile(keras.optimizers.Adam(0.01), loss, jit_compile=False)
    backup = keras.callbacks.BackupAndRestore(folder / "backup", double_checkpoint=True)
    # The first epoch takes as long as many others.
    begun = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: (folder / "begun").touch())
    x, both = data(), [backup, begun]
    search.fit(x, np.arange(len(x)) % 3, epochs=EPOCHS, batch_size=16, shuffle=False, verbose=0, callbacks=both)
    state = [keras.ops.convert_to_numpy(variable) for variable in (*search.variables, *search.optimizer.variables)]
    np.savez(folder / "part.npz", *state)
    (folder / "part.npz").rename(folder / "state.npz")


def to_tflite(folder: Path, _turn: int) -> None:
    """One conversion."""
    (folder / "begun").touch()
    content = keras_pit.to_tflite(network(), data())
    (folder / "part").write_bytes(content)
    (folder / "part").rename(folder / "model.tflite")


def deploy(folder: Path, turn: int) -> None:
    """One bundle, of one of two names in turn."""
    (folder / "begun").touch()
    tflite = (folder.parent / "reference" / "model.tflite").read_bytes()
    keras_pit.deploy(tflite, folder / "bundle", name=f"network{turn % 2}", overwrite=True)


def start(task: Callable[[Path, int], None], folder: Path, turn: int) -> multiprocessing.Process:
    """A process that has begun a task, with a temporary folder of its own."""

    def work() -> None:
        tempfile.tempdir = str(folder.parent / "tmp")
        # Whatever it prints is of no interest.
        with Path(os.devnull).open("w") as nothing:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
        task(folder, turn)

    (folder / "begun").unlink(missing_ok=True)
    process = FORK.Process(target=work)
    process.start()
    while process.is_alive() and not (folder / "begun").exists():
        time.sleep(0.01)
    return process


def finish(task: Callable[[Path, int], None], folder: Path, turn: int = 0) -> float:
    """Let a task end, and tell how long it took from when it had begun."""
    process = start(task, folder, turn)
    begin = time.monotonic()
    process.join(PATIENCE)
    if process.exitcode != 0:
        raise SystemExit(f"{task.__name__} did not end well: exit code {process.exitcode}")
    return time.monotonic() - begin


def workers(folder: Path) -> list[int]:
    """The processes that run native code for a task."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def same(one: Path, two: Path) -> bool:
    with np.load(one) as left, np.load(two) as right:
        return left.files == right.files and all(np.array_equal(left[key], right[key]) for key in left.files)


def left_over(place: Path) -> int:
    """Temporary folders, and what is beside a bundle."""
    beside = [path for path in (place / "work").glob("*") if path.name.startswith(".")]
    return len(list((place / "tmp").iterdir())) + len(beside)


def measure(task: Callable[[Path, int], None], kills: int, place: Path) -> Result:
    """Kill a task so many times."""
    result, moments = Result(task.__name__), random.Random(0)
    for name in ("tmp", "reference", "work"):
        (place / name).mkdir()
    work, reference = place / "work", place / "reference"
    finish(to_tflite, reference)
    bundles = []
    if task is deploy:
        for turn in range(2):
            finish(deploy, reference, turn)
            bundles.append(content(reference / "bundle"))
        finish(deploy, work)
    # Some kills for each search, so that it goes on, and comes to its end.
    span = finish(task, reference) / (10 if task is fit else 1)
    turn = 0
    while result.kills < kills:
        turn += 1
        process = start(task, work, turn)
        end = time.monotonic() + moments.uniform(0, span)
        while time.monotonic() < end and process.is_alive():
            if task is deploy:
                result.missing += not (work / "bundle" / "main.cc").exists()
            else:
                time.sleep(0.001)
        if process.is_alive():
            os.kill(process.pid, (signal.SIGKILL, signal.SIGTERM)[result.kills % 2])
            result.kills += 1
            print(".", end="", flush=True)
        process.join(PATIENCE)
        result.wrong += process.exitcode not in (0, -signal.SIGKILL, -signal.SIGTERM)
        begin = time.monotonic()
        while workers(place / "tmp") and time.monotonic() < begin + PATIENCE:
            time.sleep(0.01)
        result.slowest_worker_s = max(result.slowest_worker_s, time.monotonic() - begin)
        result.left_folders = max(result.left_folders, left_over(place))
        if task is deploy:
            result.wrong += content(work / "bundle") not in bundles
        if task is fit and process.exitcode == 0:
            check(result, work, reference)
    if task is fit:
        finish(task, work)
        check(result, work, reference)
    finish(deploy if task is deploy else to_tflite, work)
    result.left_at_the_end = left_over(place) + (work / "backup").exists()
    return result


def check(result: Result, work: Path, reference: Path) -> None:
    """Compare a run that was killed now and then with one that was left alone."""
    result.finished += 1
    result.wrong += not same(work / "state.npz", reference / "state.npz")
    (work / "state.npz").unlink()


TASKS = {task.__name__: task for task in (fit, to_tflite, deploy)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", default=list(TASKS), help=f"of {', '.join(TASKS)}")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--output", type=Path, default=Path("out/kills.json"))
    given = parser.parse_args()
    results = []
    for name in given.tasks:
        with tempfile.TemporaryDirectory() as place:
            results.append(measure(TASKS[name], given.kills, Path(place)))
        print(f"\n{results[-1]}", flush=True)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n")
    if not all(result.good for result in results):
        raise SystemExit("Not all holds: see above.")


if __name__ == "__main__":
    main()
