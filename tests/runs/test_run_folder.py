"""The folder of a run: files are whole or not there, and one process works in it."""

import json

import pytest

from keras_pit import runs


def test_a_file_is_there_as_a_whole_or_not_at_all(tmp_path):
    run = runs.Folder(tmp_path / "run")
    run.put_json("request.json", {"model": "one"})

    def killed(path):
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.put("request.json", killed)
    assert run.json("request.json") == {"model": "one"}
    run.put_json("request.json", {"model": "two"})
    assert run.json("request.json") == {"model": "two"}


def test_one_process_at_a_time(tmp_path):
    run = runs.Folder(tmp_path / "run")
    with run.locked(), pytest.raises(BlockingIOError, match="Another process works in"), run.locked():
        pass


def test_history_has_each_epoch_once_and_no_torn_line(tmp_path):
    run = runs.Folder(tmp_path)
    rows = [("fine-tune", 0, 1.0), ("search", 0, 3.0), ("search", 1, 2.0), ("search", 1, 2.5)]
    lines = [json.dumps({"phase": phase, "epoch": epoch, "loss": loss}) for phase, epoch, loss in rows]
    (tmp_path / "history.jsonl").write_text("\n".join(lines) + '\n{"phase": "sea')
    assert [(row["phase"], row["loss"]) for row in run.history()] == [
        ("search", 3.0),
        ("search", 2.5),
        ("fine-tune", 1.0),
    ]
    run.log({"phase": "fine-tune", "epoch": 1, "loss": 0.5})
    run.log({"phase": "fine-tune", "epoch": 2, "loss": 0.25})
    assert [row["loss"] for row in run.history()] == [3.0, 2.5, 1.0, 0.5, 0.25]
    assert runs.Folder(tmp_path / "nothing").history() == []
