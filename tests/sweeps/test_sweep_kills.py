"""A sweep that is killed at any moment goes on: nothing that is finished is lost or made twice."""

import os
import random
import signal
import time

from sweeps.tiny import forks, logged

import keras_pit
from keras_pit.sweeps.store import Store

KILLS = 10
PATIENCE = 120
"""Seconds for a sweep that is not killed."""


def contents(store: Store) -> dict[str, dict[str, bytes]]:
    """The files of all finished steps."""
    return {
        step.name: {path.name: path.read_bytes() for path in store.folder(step).iterdir()} for step in store.steps()
    }


def trained(log) -> list[str]:
    """The steps that were begun, in this order."""
    kinds = {"seed": "seed-0", "search": "search-0-{}", "fine-tune": "point-0-{}"}
    lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return [kinds[line[0]].format(line[1]) for line in lines if len(line) == 2 and line[0] in kinds]


def test_killed_at_ten_random_moments(tmp_path):
    context, moments = forks(), random.Random(1)
    begin = time.monotonic()
    whole = context.Process(target=logged, args=(tmp_path / "whole", str(tmp_path / "log")))
    whole.start()
    whole.join(PATIENCE)
    span = 0.6 * (time.monotonic() - begin)
    kills, sweeps = 0, 0
    while kills < KILLS:
        sweeps += 1
        directory, log = tmp_path / f"sweep{sweeps}", tmp_path / f"log{sweeps}"
        store, finished = Store(directory), {}
        while True:
            begun = len(trained(log))
            process = context.Process(target=logged, args=(directory, str(log)))
            process.start()
            process.join(moments.uniform(0, span) if kills < KILLS else PATIENCE)
            if process.is_alive():
                assert kills < KILLS, log.read_text()
                os.kill(process.pid, signal.SIGKILL)
                process.join()
                kills += 1
            assert process.exitcode in (0, -signal.SIGKILL), log.read_text()
            assert not set(trained(log)[begun:]) & set(finished)
            now = contents(store) if directory.exists() else {}
            assert {name: now[name] for name in finished} == finished
            finished = now
            if process.exitcode == 0:
                break
        front = keras_pit.Front.load(directory)
        assert [point.number for point in front] == [1, 2] and not front.failures
        assert len(finished) == 5
        left = {path.name for path in directory.iterdir()} - set(finished)
        assert left == {"sweep.json", "seed.keras", ".lock"}
