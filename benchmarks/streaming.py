"""What streaming saves, and what it decides: whole windows against one time step at a time.

    python benchmarks/streaming.py [--data DIRECTORY] [--only watch keywords] [--epochs 24]

Two tasks (see `tasks`; keywords need --data): smartwatch recordings as continuous streams, three of ten people held
out; spoken keywords along their frames, one clip after the other without a reset. On each, a causal network is trained
on windows, and converted to an int8 file of the window and a streaming one.

accuracy, windows     the file of the window, on each window alone
accuracy, stream      the streaming file over whole recordings, at the same ends of windows
instructions          of a decision on a Cortex-M4 by estimate, for a decision every 64, 8 and 1 steps
arena, flash          bytes

Where the two accuracies differ by more than 0.5 points, the network is fine-tuned on longer windows, whose head reads
the last steps alone (docs/streaming.md), and both are told again.

    python benchmarks/streaming.py --law 200

runs networks of the papers and so many random ones step by step on TFLite-Micro; `to_tflite` raises if a number
differs.
"""

import importlib.util
import json
import os
import pathlib
import sys
from dataclasses import asdict, dataclass
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from rich.console import Console
from rich.table import Table
from tasks import ROOT, parser, train

import keras_pit
from examples import networks, watch
from keras_pit.costs.arena import arena
from keras_pit.costs.latency import instructions
from keras_pit.deployment import run_tflite_micro
from keras_pit.deployment.flatbuffer import File
from keras_pit.deployment.runtimes import step_run
from keras_pit.deployment.stream_file import timing_of

CORE, EVERY = "cortex-m4", (64, 8, 1)
CALIBRATION = 200
FINE_TUNING = 8
LAW = ("tcn", "ecgtcn", "tc_resnet14", "temponet", "ds_cnn")
"""Of `examples.networks`; that of TCCNet is refused, as it ends in attention over time."""


@dataclass(frozen=True)
class Recordings:
    """Windows to train with, and test recordings of shape (steps, channels), each with the window ends to decide at."""

    x: np.ndarray
    y: np.ndarray
    recordings: list[np.ndarray]
    labels: list[np.ndarray]
    """For each recording, the class at each step; -1 where no window of one class ends."""
    longer: Any
    """A function: windows with so many more steps in front, and their classes."""


@dataclass(frozen=True)
class Result:
    """One network; accuracies as shares, instructions of a decision by how many steps lie between two."""

    task: str
    network: str
    windows: float
    stream: float
    window_instructions: int
    stream_instructions: dict[int, int]
    window_arena: int
    stream_arena: int
    window_flash: int
    stream_flash: int


def smartwatch() -> Recordings:
    """Recordings of the watch, scaled as in examples/watch.py, and windows of 128."""
    package = importlib.util.find_spec("seglearn")
    if package is None or package.origin is None:
        raise SystemExit('The recordings come with seglearn: pip install "keras_pit[examples]"')
    held = np.load(pathlib.Path(package.origin).parent / "data" / "watch_dataset.npy", allow_pickle=True).item()
    data, length, step = watch.load(), watch.WINDOW, watch.STEP
    train_, test = [], []
    for signal, label, person in zip(held["X"], held["y"], held["subject"], strict=True):
        (test if person in watch.HELD_OUT else train_).append((np.asarray(signal, "float32"), int(label)))
    windows = np.concatenate([_windows(signal, length, step) for signal, _ in train_])
    mean, deviation = windows.mean((0, 1)), windows.std((0, 1))
    train_ = [((signal - mean) / deviation, label) for signal, label in train_]
    test = [((signal - mean) / deviation, label) for signal, label in test]
    labels = []
    for signal, label in test:
        at = np.full(len(signal), -1)
        at[length - 1 :: step] = label
        labels.append(at)

    def longer(more: int) -> tuple[np.ndarray, np.ndarray]:
        parts = [(_windows(signal, length + more, step), label) for signal, label in train_]
        return np.concatenate([x for x, _ in parts]), np.concatenate([np.full(len(x), label) for x, label in parts])

    return Recordings(data.x_train, data.y_train, [signal for signal, _ in test], labels, longer)


def keywords(data: pathlib.Path) -> Recordings:
    """Clips of 49 frames of 10 MFCC; those for the test one after the other."""
    path = data / "kws_mfcc.npz"
    if not path.is_file():
        raise SystemExit(f"No file {path}: pass --data, the directory with kws_mfcc.npz.")
    arrays = np.load(path)
    x, y, split = arrays["x"].astype("float32"), arrays["y"].astype(int), arrays["split"]
    x = (x - x[split == 0].mean((0, 1))) / x[split == 0].std((0, 1))
    (train_, test), length = (np.flatnonzero(split == part) for part in (0, 2)), x.shape[1]
    labels = np.full(len(test) * length, -1)
    labels[length - 1 :: length] = y[test]

    def longer(more: int) -> tuple[np.ndarray, np.ndarray]:
        before = np.random.default_rng(0).permutation(train_)
        clips = -(-more // length)
        joined = [np.concatenate([x[np.roll(before, turn)] for turn in range(clips)], axis=1)[:, -more:]] * bool(more)
        return np.concatenate([*joined, x[train_]], axis=1), y[train_]

    return Recordings(x[train_], y[train_], [np.concatenate(x[test])], [labels], longer)


def _windows(signal: np.ndarray, length: int, step: int) -> np.ndarray:
    starts = range(0, len(signal) - length + 1, step)
    return np.array([signal[at : at + length] for at in starts], "float32").reshape(-1, length, signal.shape[1])


def network(recordings: Recordings, length: int, crop: int = 0) -> keras.Model:
    """A causal TCN with residuals-free dilated kernels; `crop` steps in front are past that the head does not read."""
    classes = int(recordings.y.max()) + 1
    model = networks.tcn(length + crop, recordings.x.shape[2], classes, channels=16, kernel_size=3, depth=5, seed=False)
    if not crop:
        return model
    x = inputs = keras.Input(model.input_shape[1:])
    for layer in model.layers[1:]:
        x = layer(keras.layers.Cropping1D((crop, 0))(x) if layer.name == "pool" else x)
    return keras.Model(inputs, x)


def reach(model: keras.Model) -> int:
    """Steps before a sample that its features depend on."""
    convs = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv1D)]
    return sum((layer.kernel_size[0] - 1) * layer.dilation_rate[0] for layer in convs)


def measured(task: str, name: str, model: keras.Model, recordings: Recordings) -> Result:
    """Convert a network in both ways, and run both on the test recordings."""
    length = recordings.x.shape[1]
    calibration = recordings.x[np.linspace(0, len(recordings.x) - 1, CALIBRATION).astype(int)]
    window = keras_pit.to_tflite(model, calibration)
    streams = {every: keras_pit.to_tflite(model, calibration, streaming=True, decide_every=every) for every in EVERY}
    right = {"windows": [], "stream": []}
    file = File.of(streams[1])
    tensor, delay = file.graph.inputs[0], timing_of(file).delay
    for signal, labels in zip(recordings.recordings, recordings.labels, strict=True):
        (ends,) = np.nonzero(labels >= 0)
        ends = ends[ends + delay < len(signal)]
        if not len(ends):
            continue
        alone = run_tflite_micro(window, np.stack([signal[end - length + 1 : end + 1] for end in ends])).outputs[0]
        run = step_run(file, [tensor.quantize(signal)[None]])
        streamed = run.outputs[0][0, ends + delay]
        for key, outputs in (("windows", alone), ("stream", streamed)):
            right[key] += list(outputs.reshape(len(ends), -1).argmax(-1) == labels[ends])
    report = {every: keras_pit.profile(tflite) for every, tflite in streams.items()}
    whole = keras_pit.profile(window)
    return Result(
        task,
        name,
        float(np.mean(right["windows"])),
        float(np.mean(right["stream"])),
        whole.instructions[CORE],
        {every: every * one.stream.per_step[CORE] for every, one in report.items()},
        whole.arena[CORE].total,
        report[1].arena[CORE].total,
        len(window),
        len(streams[1]),
    )


def run(task: str, data: pathlib.Path, seed: int, epochs: int) -> list[Result]:
    """One task: the network as trained on windows, and fine-tuned for the stream if that is needed."""
    recordings = smartwatch() if task == "watch" else keywords(data)
    length = recordings.x.shape[1]
    keras.utils.set_random_seed(seed)
    model = network(recordings, length)
    train(model, (recordings.x, recordings.y), epochs, 64)
    results = [measured(task, "trained on windows", model, recordings)]
    print(results[-1], flush=True)
    if abs(results[0].stream - results[0].windows) > 0.005:
        more = reach(model)
        tuned = network(recordings, length, more)
        tuned.set_weights(model.get_weights())
        train(tuned, recordings.longer(more), max(1, epochs * FINE_TUNING // 24), 64)
        model.set_weights(tuned.get_weights())
        results.append(measured(task, "fine-tuned with the past", model, recordings))
        print(results[-1], flush=True)
    return results


def table(results: list[Result]) -> Table:
    found = Table(title=f"windows against streams; instructions of a decision on {CORE}, window / stream")
    for column in ("task", "network", "accuracy", *(f"every {n}" for n in EVERY), "arena (B)", "flash (B)"):
        found.add_column(column, justify="left" if column in ("task", "network") else "right")
    for one in results:
        found.add_row(
            one.task,
            one.network,
            f"{one.windows:.2%} / {one.stream:.2%}",
            *(
                f"{one.window_instructions:,} / {n:,} = {one.window_instructions / n:.1f}"
                for n in one.stream_instructions.values()
            ),
            f"{one.window_arena:,} / {one.stream_arena:,}",
            f"{one.window_flash:,} / {one.stream_flash:,}",
        )
    return found


def wake_word() -> keras.Model:
    """A 1-D network after MLPerf Tiny's streaming wake word: 40 features a frame, separable blocks, three classes."""
    x = inputs = keras.Input((100, 40))
    x = keras.layers.Conv1D(64, 3, padding="causal", activation="relu")(x)
    for dilation in (1, 2, 4, 8):
        x = keras.layers.ZeroPadding1D((4 * dilation, 0))(x)
        x = keras.layers.SeparableConv1D(64, 5, dilation_rate=dilation, use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x), name="wake_word")


def law(count: int) -> None:
    """Networks of the papers and random ones, each step compared by `to_tflite`."""
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/streaming")]
    from generator import randomize
    from random_streams import random_stream, windows

    for name in (*LAW, "wake_word"):
        model = wake_word() if name == "wake_word" else networks.NETWORKS[name].build()
        randomize(model, np.random.default_rng(0))
        x = np.random.default_rng(0).normal(size=(8, *model.input_shape[1:])).astype("float32")
        window = keras_pit.to_tflite(model, x, logits=True)
        stream = keras_pit.to_tflite(model, x, logits=True, streaming=True)
        programs = [File.of(tflite).program for tflite in (window, stream)]
        took = [instructions(program, CORE) for program in programs]
        memory = [arena(program, CORE).total for program in programs]
        print(
            f"{name}: equal; {timing_of(File.of(stream))}; {took[0]:,.0f} / {took[1]:,.0f} = {took[0] / took[1]:.1f} "
            f"instructions, {memory[0]:,} / {memory[1]:,} B",
            flush=True,
        )
    equal = refused = 0
    for seed in range(count):
        model = random_stream(seed)
        x = windows(model, 6)
        try:
            keras_pit.to_tflite(model, x)
        except keras_pit.DeploymentError:  # random weights may not fit into 8 bits
            refused += 1
            continue
        keras_pit.to_tflite(model, x, streaming=True)
        equal += 1
    print(f"{equal} random networks equal at each step, none different; {refused} have no int8 file of the window")


def main() -> None:
    arguments = parser(__doc__, "streaming.json")
    arguments.add_argument("--epochs", type=int, default=24, help="of the training on windows")
    arguments.add_argument("--law", type=int, metavar="COUNT", help="test networks of the papers and random ones")
    given = arguments.parse_args()
    if given.law is not None:
        law(given.law)
        return
    tasks = [task for task in given.only if task in ("watch", "keywords")]
    results = [one for task in tasks for seed in given.seeds for one in run(task, given.data, seed, given.epochs)]
    Console(width=200).print(table(results))
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n")


if __name__ == "__main__":
    main()
