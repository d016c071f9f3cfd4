"""How long the package and its command line take to start, against `import keras`, in one run.

    python benchmarks/startup.py [--rounds 5] [--output out/startup.json]

Each is a process of its own; they take turns, and medians of their CPU time are compared, which what else the machine
does disturbs least. `import keras_pit` must take no longer than `import keras` and 0.2 s, whichever comes first;
`keras-pit --help`, `boards`, and `profile` and `fits` of a file must not import TensorFlow, and end within a second.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

from rich.console import Console
from rich.table import Table

MODEL = str(pathlib.Path(__file__).parents[1] / "tflite" / "watch" / "model.tflite")
BASE = "import keras"
STARTS = {
    "python": ("-c", "pass"),
    BASE: ("-c", "import keras"),
    "import keras, keras_pit": ("-c", "import keras, keras_pit"),
    "import keras_pit, keras": ("-c", "import keras_pit, keras"),
    "import keras_pit": ("-c", "import keras_pit"),
    "keras-pit --help": ("-m", "keras_pit", "--help"),
    "keras-pit boards": ("-m", "keras_pit", "boards"),
    "keras-pit profile model.tflite": ("-m", "keras_pit", "profile", MODEL),
    "keras-pit fits model.tflite": ("-m", "keras_pit", "fits", MODEL),
}
QUIET = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}


def spent(arguments: tuple[str, ...]) -> tuple[float, float]:
    """CPU and wall seconds of a process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=QUIET, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main(rounds: int, output: pathlib.Path) -> None:
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in STARTS}
    for turn in range(1 + rounds):
        for name, arguments in STARTS.items():
            found = spent(arguments)
            if turn:  # the first one fills caches
                measured[name].append(found)
    medians = {name: tuple(map(statistics.median, zip(*found, strict=True))) for name, found in measured.items()}
    base = medians[BASE][0]
    table = Table(title=f"starts of processes: medians of {rounds}")
    for column in ("start", "CPU s", "wall s", f"CPU over {BASE}"):
        table.add_column(column, justify="left" if column == "start" else "right")
    for name, (cpu, wall) in medians.items():
        table.add_row(name, f"{cpu:.2f}", f"{wall:.2f}", f"{cpu / base:.3f}")
    Console(width=100).print(table)
    rows = {name: {"cpu": cpu, "wall": wall, "ratio": cpu / base} for name, (cpu, wall) in medians.items()}
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"rounds": rounds, "starts": rows}, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("out/startup.json"))
    arguments = parser.parse_args()
    main(arguments.rounds, arguments.output)
