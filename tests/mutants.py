"""Damaged .tflite files; run as a program, it hands them to the public functions and counts what comes back.

    python tests/mutants.py FOLDER FIRST COUNT [--run]

FOLDER holds whole files. Mutant number n is the same in every run. It goes through `profile`, `fits` and `deploy`: each
must return, or raise DeploymentError, within `LIMIT` seconds. What a mutant computes is tried with --run alone, as a
runtime takes half a second for each. Prints one line of JSON: counts, failures, the slowest call and the memory.
"""

import contextlib
import importlib
import json
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

LIMIT = 5
"""Seconds, and `STARTS` more where a runtime's process is started, several times for a file that crashes it."""
STARTS = 15
_HUGE = (0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 0x10000, 0x1000000, 0x40000000, 0, 1, 255, 127)


def flip(content: bytearray, others: list[bytes], rng: random.Random) -> None:
    """Some bits."""
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def truncate(content: bytearray, others: list[bytes], rng: random.Random) -> None:
    """The beginning alone."""
    del content[rng.randrange(len(content)) :]


def cut(content: bytearray, others: list[bytes], rng: random.Random) -> None:
    """A piece is missing."""
    at = rng.randrange(len(content))
    del content[at : at + rng.choice((1, 4, 16, 256))]


def splice(content: bytearray, others: list[bytes], rng: random.Random) -> None:
    """A piece from another place, or another file."""
    other, size = rng.choice((*others, bytes(content))), 4 * rng.randint(1, 16)
    start, at = (4 * rng.randrange(max(1, (len(one) - size) // 4)) for one in (other, content))
    content[at : at + size] = other[start : start + size]


def enlarge(content: bytearray, others: list[bytes], rng: random.Random) -> None:
    """A number, which may be a length, a distance or a size, is another one."""
    struct.pack_into("<I", content, 4 * rng.randrange(len(content) // 4), rng.choice(_HUGE))


def shift(content: bytearray, others: list[bytes], rng: random.Random) -> None:
    """A number, which may be a distance, is a little more or less."""
    at = 4 * rng.randrange(len(content) // 4)
    (number,) = struct.unpack_from("<I", content, at)
    struct.pack_into("<I", content, at, (number + rng.choice((-16, -4, -1, 1, 4, 16, 64))) % 2**32)


def redirect(content: bytearray, others: list[bytes], rng: random.Random) -> None:
    """A number becomes the distance to something that another one refers to: a part is shared."""
    places = [4 * rng.randrange(len(content) // 4) for _ in range(2)]
    (number,) = struct.unpack_from("<I", content, places[0])
    struct.pack_into("<I", content, places[1], (number + places[0] - places[1]) % 2**32)


KINDS = (flip, flip, truncate, cut, splice, splice, enlarge, enlarge, shift, redirect)


def mutant(number: int, seeds: list[bytes]) -> bytes:
    """The damaged file of a number."""
    rng = random.Random(number)
    content = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if len(content) > 8:
            rng.choice(KINDS)(content, seeds, rng)
    return bytes(content)


@contextlib.contextmanager
def limited(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def main(folder: Path, first: int, count: int, run: bool) -> dict[str, object]:
    import keras_pit

    seeds = [path.read_bytes() for path in sorted(folder.glob("*.tflite"))]
    if not run:

        def refuse(*_arguments: object, **_options: object) -> None:
            raise keras_pit.DeploymentError("Not run here.")

        for module, name in (("profile", "micro_run"), ("bundle", "micro_run"), ("bundle", "verified_run")):
            setattr(importlib.import_module(f"keras_pit.deployment.{module}"), name, refuse)
    target = Path(tempfile.mkdtemp())
    functions: dict[str, Callable[[bytes], object]] = {
        "profile": keras_pit.profile,
        "fits": lambda content: keras_pit.fits(content, "nano33ble"),
        "deploy": lambda content: keras_pit.deploy(content, target / "out", overwrite=True),
    }
    warnings.simplefilter("error")
    # An older Matplotlib calls a newer pyparsing by names that it is about to give up.
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="matplotlib|pyparsing")
    warnings.filterwarnings("ignore", message="The file leaves the batch open")
    warnings.filterwarnings("ignore", message=r"On (board|core) ")
    counts: Counter[str] = Counter()
    failures, slowest, before = [], 0.0, memory()
    for number in range(first, first + count):
        content = mutant(number, seeds)
        for name, function in functions.items():
            start = time.perf_counter()
            try:
                with limited(LIMIT + STARTS * run):
                    str(function(content))
                counts[f"{name} returns"] += 1
            except keras_pit.DeploymentError as error:
                counts[f"{name} refuses"] += 1
                if not str(error):
                    failures.append((number, name, "an error without words"))
            except Exception as error:  # noqa: BLE001 - any other error is what is looked for
                frame = traceback.extract_tb(error.__traceback__)[-1]
                failures.append((number, name, f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"))
            slowest = max(slowest, time.perf_counter() - start)
    shutil.rmtree(target)
    return {"counts": counts, "failures": failures, "slowest": slowest, "grown": memory() - before}


def memory() -> float:
    """The most that this process has taken, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    place, start, number, *options = sys.argv[1:]
    print(json.dumps(main(Path(place), int(start), int(number), "--run" in options)))
