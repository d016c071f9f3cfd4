"""Conversions and exports leave nothing behind: the short form of benchmarks/memory.py."""

import pytest

from benchmarks import memory


@pytest.mark.parametrize("name", ["flash", "target", pytest.param("size", marks=pytest.mark.slow)])
def test_conversions_and_exports_leave_nothing_behind(name, request):
    slow = request.config.option.runslow
    found = memory.cycles(memory.CYCLES[name], 20 if slow else 5, memory.WARM_UP if slow else 3)
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
    found = memory.cycles({}, 2, 1)
    assert found["alive"] > 0 and found["objects"] > 1000
