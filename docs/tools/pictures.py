"""The pictures of docs/how-it-works.md, of a small search on made-up data.

    python docs/tools/pictures.py         writes docs/pictures/*.png; half a minute

The task is made so that what is needed is known. Of four channels, only the first one tells the class, by how slow its
wave is; the others are noise. Telling waves of 12, 20 and 32 samples apart needs a long receptive field, but not every
sample.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import keras_pit
from keras_pit.layers.masks import THRESHOLD, KernelMask

FOLDER = Path(__file__).parents[1] / "pictures"
LENGTH, PERIODS, EPOCHS, BATCH, SHARE = 64, (12, 20, 32), 40, 32, 0.1
INK, ACCENT, PALE = "#202428", "#1f6fb4", "#d5dbe3"


def samples(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy waves of shape (count, 64, 4) and their classes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(len(PERIODS), size=count)
    phase = rng.uniform(0, 2 * np.pi, (count, 1))
    x = rng.normal(0, 0.6, (count, LENGTH, 4))
    x[..., 0] += np.sin(2 * np.pi * np.arange(LENGTH) / np.array(PERIODS)[y][:, None] + phase)
    return x.astype("float32"), y


def seed_network() -> keras.Model:
    """Two convolutions over 33 samples each, far more than needed."""
    inputs = x = keras.Input((LENGTH, 4))
    for name in ("conv1", "conv2"):
        x = layers.Conv1D(16, 33, padding="causal", name=name)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(len(PERIODS), activation="softmax", name="out")(x), name="waves")


class Recorder(keras.callbacks.Callback):
    """What is on, step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.channels: dict[str, list[np.ndarray]] = {"conv1": [], "conv2": []}
        self.taps: dict[str, list[np.ndarray]] = {"conv1": [], "conv2": []}
        self.macs: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        for name in self.channels:
            layer = self.model.get_layer(name)
            taps = np.zeros(len(layer.kernel_mask.lags), bool)
            taps[layer.kept_taps()] = True
            self.channels[name].append(layer.kept_channels())
            self.taps[name].append(taps)
        self.macs.append(float(logs["macs"]))


def plain(axis: Axes, title: str, x: str = "", y: str = "") -> None:
    axis.set_title(title, fontsize=9, color=INK)
    axis.set_xlabel(x, fontsize=8)
    axis.set_ylabel(y, fontsize=8)
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)


def kernel_states() -> Figure:
    """Which taps of a causal kernel of 9 some states of the masks leave."""
    mask = KernelMask.of(9, "last")
    on, off = THRESHOLD + 0.1, THRESHOLD - 0.1
    states = [
        ("all on: 9 taps", np.full(9, on), np.full(4, on)),
        ("beta off from lag 6 on: 6 taps", np.where(np.arange(9) < 6, on, off), np.full(4, on)),
        ("first gamma off: 5 taps, dilation 2", np.full(9, on), np.array([off, on, on, on])),
        ("two gammas off: 3 taps, dilation 4", np.full(9, on), np.array([off, off, on, on])),
        ("both: 2 taps, dilation 4", np.where(np.arange(9) < 6, on, off), np.array([off, off, on, on])),
    ]
    figure = Figure(figsize=(6.4, 2.3), dpi=110, layout="constrained")
    axis = figure.subplots()
    for row, (_, beta, gamma) in enumerate(states):
        kept = mask.taps(beta, gamma)
        for tap in range(9):
            filled = tap in kept
            axis.add_patch(
                _square(tap, row, facecolor=ACCENT if filled else "white", edgecolor=INK if filled else "#a0a6ad")
            )
    axis.set(xlim=(-0.1, 9), ylim=(len(states), -0.1))
    axis.set_yticks(np.arange(len(states)) + 0.4, [name for name, _, _ in states], fontsize=8)
    axis.set_xticks(np.arange(9) + 0.4, [str(lag) for lag in mask.lags], fontsize=8)
    plain(axis, "taps of a causal kernel that are on", "lag: samples before now")
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    return figure


def _square(column: float, row: float, **colours: str) -> Rectangle:
    return Rectangle((column, row), 0.8, 0.8, linewidth=0.8, **colours)


def over_time(recorder: Recorder, bound: float, seed: float) -> Figure:
    """Masks and cost, step by step."""
    figure = Figure(figsize=(9, 4.6), dpi=100, layout="constrained")
    axes = figure.subplots(2, 3, width_ratios=(1, 1, 1.15))
    steps = len(recorder.macs)
    for row, name in zip(axes, recorder.channels, strict=True):
        _switches(row[0], np.array(recorder.channels[name]).T, f"{name}: channels", "channel")
        _switches(row[1], np.array(recorder.taps[name]).T[::-1], f"{name}: taps of the kernel", "lag (samples)")
    cost, share = axes[0, 2], axes[1, 2]
    cost.plot(recorder.macs, color=INK, linewidth=1.2)
    cost.axhline(bound, color=ACCENT, linestyle="--", linewidth=1.2)
    cost.annotate("target", (0, bound), (4, 4), textcoords="offset points", fontsize=8, color=ACCENT)
    cost.set_ylim(0, 1.05 * seed)
    plain(cost, "cost of what export would return", "step", "MACs")
    widths = [np.array(recorder.channels[name]).sum(1) for name in recorder.channels]
    for width, style, name in zip(widths, ("-", "--"), recorder.channels, strict=True):
        share.step(range(steps), width, linestyle=style, color=INK, linewidth=1.2, label=f"{name}: channels")
    taps = [np.array(recorder.taps[name]).sum(1) for name in recorder.taps]
    for count, style, name in zip(taps, ("-", "--"), recorder.taps, strict=True):
        share.step(range(steps), count, linestyle=style, color=ACCENT, linewidth=1.2, label=f"{name}: taps")
    share.set_ylim(0, 55)  # room for the legend
    share.legend(fontsize=7, frameon=False, loc="upper right")
    plain(share, "how many are on", "step")
    for axis in axes.flat:
        for end in (0.5, 0.8):
            axis.axvline(end * steps, color="#7a8088", linestyle=":", linewidth=0.9)
    return figure


def _switches(axis: Axes, states: np.ndarray, title: str, name: str) -> None:
    """Switches over steps, of shape (switches, steps): those that are on in colour."""
    size, steps = states.shape
    colours = ListedColormap([PALE, ACCENT])
    axis.imshow(states, aspect="auto", cmap=colours, interpolation="nearest", extent=(0, steps, size, 0))
    plain(axis, title, "step", name)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    kernel_states().savefig(FOLDER / "kernel.png")
    keras.utils.set_random_seed(0)
    (x, y), (x_test, y_test) = samples(1024, 0), samples(512, 1)
    model = seed_network()
    compiled = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], "jit_compile": False}
    model.compile(keras.optimizers.Adam(1e-3), **compiled)
    model.fit(x, y, BATCH, 8, verbose=0)
    seed = keras_pit.cost(model, "macs")
    search = keras_pit.convert(model, target={"macs": SHARE * seed})
    recorder = Recorder()
    search.compile(keras.optimizers.Adam(1e-3), **compiled)
    search.fit(x, y, BATCH, EPOCHS, verbose=0, callbacks=[recorder])
    over_time(recorder, SHARE * seed, seed).savefig(FOLDER / "search.png")
    right = [float((m.predict(x_test, verbose=0).argmax(-1) == y_test).mean()) for m in (model, search)]
    print(keras_pit.summary(search))
    print(f"accuracy: seed {right[0]:.1%}, search {right[1]:.1%}; MACs {seed:,} -> {keras_pit.cost(search, 'macs'):,}")


if __name__ == "__main__":
    main()
