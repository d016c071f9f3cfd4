"""What guides tell of the code is what the code says: supported layers, warnings and errors."""

import pytest

from docs.tools import messages, supported


def rows(page):
    return {line for line in page.splitlines() if line.startswith("| `")}


def test_supported_layers_are_those_of_the_tables():
    page = supported.PAGE.read_text()
    made = supported.rendered(page)
    assert rows(made) <= rows(page), "run python docs/tools/supported.py"
    if supported.is_of_this_keras(page):
        assert made == page, "run python docs/tools/supported.py"


def test_a_table_that_is_out_of_date_is_found():
    page = supported.PAGE.read_text()
    old = page.replace("| `Conv1D` |", "| `Conv4D` |")
    assert rows(supported.rendered(old)) - rows(old) == rows(page) - rows(old) != set()


@pytest.fixture(scope="module")
def found():
    return messages.messages()


def test_every_message_has_an_entry(found):
    page = messages.PAGE.read_text()
    assert len(found) > 100
    lacking = [f"{one.file}:{one.line}: {one.template}" for one in messages.missing(page, found)]
    assert not lacking, "docs/troubleshooting.md has no entry for these:\n" + "\n".join(lacking)


def test_every_entry_is_of_a_message(found):
    assert messages.stale(messages.PAGE.read_text(), found) == []


@pytest.mark.parametrize(
    ("code", "templates"),
    [
        ('raise ValueError(f"Input {name!r} is {1:g}; expected 2.")', ["Input … is …; expected 2."]),
        ('raise ValueError("one " + f"{b}" + " three")', ["one … three"]),
        ('warnings.warn("one two three", stacklevel=2)', ["one two three"]),
        ('said = "one of two" if x else f"the {y} other"\n    raise KeyError(said)', ["one of two", "the … other"]),
        ("raise DeploymentError(_told(x))\n\ndef _told(x):\n    return f'told of {x}'", ["told of …"]),
        ('raise checks.wrong_type("`a`", "a number", a)', ["`a` must be a number, received …"]),
        ("raise", []),
    ],
)
def test_messages_are_read_from_code(tmp_path, code, templates):
    (tmp_path / "file.py").write_text(f"def function(x):\n    {code}\n")
    assert [message.template for message in messages.messages(tmp_path)] == templates


def test_entries_that_lack_or_are_old_are_found():
    page = "| message | cure |\n|---|---|\n| `Input … is` | `code` |\n| `Output … is` | |\n"
    page += "\n| other | cure |\n|---|---|\n| `no message` | |\n"
    found = [messages.Message("Input '…' is wrong", "a.py", 1), messages.Message("Something else", "a.py", 2)]
    assert messages.entries(page) == ["Input … is", "Output … is"]
    assert [message.line for message in messages.missing(page, found)] == [2]
    assert messages.stale(page, found) == ["Output … is"]


def test_draft_of_an_entry():
    row = messages.draft(messages.Message("The `x` … is too large; expected 3. Take less.", "a.py", 1))
    assert row == "| `` The `x` … is too large `` | Expected 3. Take less. |"
