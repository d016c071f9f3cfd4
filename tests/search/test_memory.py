"""Conversions and exports leave nothing behind: the short form of benchmarks/memory.py."""

import pytest

from benchmarks import memory


@pytest.mark.parametrize("arguments", memory.CYCLES.values(), ids=memory.CYCLES)
def test_conversions_and_exports_leave_nothing_behind(arguments):
    found = memory.cycles(arguments, 20)
    assert found["alive"] == 0
    assert found["objects"] < 100
    assert found["ratio"] < memory.LIMIT


def test_a_model_that_is_kept_would_be_seen(monkeypatch):
    kept, cycle = [], memory.cycle

    def leaking(*given):
        made = cycle(*given)
        kept.extend(model() for model in made)
        return made

    monkeypatch.setattr(memory, "cycle", leaking)
    found = memory.cycles({}, 5)
    assert found["alive"] > 0 and found["objects"] > 1000
