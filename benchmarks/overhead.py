"""What the search costs while it runs: a training step of the search model over one of the seed.

A step is forward, backward and optimizer (Adam), batch 32, on one CPU thread. Time is CPU time, the models take turns:
the seed, a search with a strength and one for a target (a third of the seed's MACs). The ratio is that of the medians.
Memory is the peak of a process that does nothing else than train the seed or a search, ratio of the whole processes.

    python benchmarks/overhead.py [--rounds 20] [--jit] [--output out/overhead.json]
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

import keras_pit
from examples import networks

NETWORKS: dict[str, Callable[[], keras.Model]] = {
    "ECGTCN": networks.ecgtcn,
    "TCN": networks.tcn,
    "TC-ResNet14": lambda: networks.tc_resnet14(seed=False),
    "DS-CNN": networks.ds_cnn,
    "ResNet-8": networks.resnet8,
}
BATCH, WARM_UP, LIMIT_TIME, LIMIT_MEMORY = 32, 3, 1.10, 1.15


MODES: dict[str, Callable[[keras.Model], keras.Model]] = {
    "plain": lambda model: model,
    "strength": lambda model: keras_pit.convert(model, "macs"),
    "target": lambda model: keras_pit.convert(model, "macs", target=keras_pit.cost(model, "macs") / 3),
}


def build(name: str, mode: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    return MODES[mode](NETWORKS[name]())


def stepper(model: keras.Model, jit: bool) -> Callable[[], Any]:
    """A function that does one training step."""
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(BATCH, *model.input_shape[1:])), tf.float32)
    y = tf.constant(rng.integers(model.output_shape[-1], size=BATCH))
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=jit)
    model.train_on_batch(x, y)
    step = model.train_function

    def batches() -> Iterator[Any]:
        yield x, y, None  # as `train_on_batch` does: the step is not traced again

    return lambda: step(batches())


def times(name: str, rounds: int, jit: bool) -> dict[str, float]:
    """Median CPU seconds of a step in each mode."""
    steppers = {mode: stepper(build(name, mode), jit) for mode in MODES}
    spent: dict[str, list[float]] = {mode: [] for mode in MODES}
    for turn in range(WARM_UP + rounds):
        for mode, step in steppers.items():
            start = time.process_time()
            step()
            if turn >= WARM_UP:
                spent[mode].append(time.process_time() - start)
    return {mode: statistics.median(seconds) for mode, seconds in spent.items()}


def peak(name: str, mode: str, jit: bool) -> float:
    """Peak memory in MB of a fresh process that takes ten steps."""
    command = [sys.executable, __file__, "--peak", name, "--mode", mode, *(["--jit"] * jit)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def print_peak(name: str, mode: str, jit: bool) -> None:
    step = stepper(build(name, mode), jit)
    for _ in range(10):
        step()
    print(peak_memory())


def peak_memory() -> float:
    """The largest resident size of this process so far, in MB.

    Not `ru_maxrss`, which a new process on Linux starts at the size of the one that started it.
    """
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main(rounds: int, jit: bool, output: pathlib.Path) -> None:
    table = Table(title=f"Search step over plain step, batch {BATCH}, one thread, {'with' if jit else 'without'} XLA")
    for column in ("network", "mode", "plain (ms)", "search (ms)", "time", "plain (MB)", "search (MB)", "memory"):
        table.add_column(column, justify="left" if column in ("network", "mode") else "right")
    results = []
    for name in NETWORKS:
        seconds = times(name, rounds, jit)
        before = peak(name, "plain", jit)
        for mode in ("strength", "target"):
            after = peak(name, mode, jit)
            ratio = seconds[mode] / seconds["plain"]
            result = {"network": name, "mode": mode, "jit": jit, "time": ratio, "memory": after / before}
            results.append(result)
            cells = [seconds["plain"] * 1e3, seconds[mode] * 1e3, ratio, before, after, after / before]
            formats = ["{:.1f}", "{:.1f}", "{:.3f}", "{:.0f}", "{:.0f}", "{:.3f}"]
            table.add_row(name, mode, *(text.format(cell) for text, cell in zip(formats, cells, strict=True)))
            Console().print(f"{name}, {mode}: time {result['time']:.3f}, memory {result['memory']:.3f}")
    Console().print(table)
    worst = max(result["time"] for result in results), max(result["memory"] for result in results)
    Console().print(f"worst: time {worst[0]:.3f} (limit {LIMIT_TIME}), memory {worst[1]:.3f} (limit {LIMIT_MEMORY})")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--jit", action="store_true", help="compile with XLA")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("out/overhead.json"))
    parser.add_argument("--peak", choices=NETWORKS, help=argparse.SUPPRESS)
    parser.add_argument("--mode", choices=MODES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if arguments.peak:
        print_peak(arguments.peak, arguments.mode, arguments.jit)
    else:
        main(arguments.rounds, arguments.jit, arguments.output)
