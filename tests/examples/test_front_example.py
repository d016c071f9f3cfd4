"""The example of a front, in a short form."""

import json
import pathlib
import sys
from functools import partial

ROOT = pathlib.Path(__file__).parents[2]


def test_front(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    import front

    # A seed of one layer: what takes long is tracing its search.
    monkeypatch.setattr(front, "tcn", partial(front.tcn, depth=1, channels=8))
    given = ["--points", "1", "--epochs", "1", "--every", "60", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["front.py", *given])
    found = front.main(front.parser().parse_args())
    assert len(found) == 1 and not found.failures
    assert found[0].costs["size"] <= found[0].bound["size"]
    assert json.loads((tmp_path / "front.json").read_text())["points"][0]["costs"] == found[0].costs
    assert (tmp_path / "front.png").stat().st_size > 5000 and (tmp_path / "front.html").stat().st_size > 5000
