"""`parley import`: upload an export and follow the import."""

import pytest

from cli.commands import imports
from tests.cli import replies

IMPORT_ID = "0190a1b2-0000-7000-8000-00000000cccc"
ONE = f"GET /conversations/imports/{IMPORT_ID}"
READY = {
    "id": IMPORT_ID,
    "status": "ready",
    "progress": 1.0,
    "conversations_added": 12,
    "conversations_extended": 1,
    "conversations_unchanged": 0,
    "messages_added": 1240,
    "left_out": [{"code": "empty", "reason": "Conversations without a message", "count": 2, "titles": ["New chat"]}],
    "error": None,
}
HALF = READY | {"status": "processing", "progress": 0.5, "left_out": []}


@pytest.fixture
def export(server, alice, monkeypatch, tmp_path):
    """An export whose import is ready at the second poll."""
    monkeypatch.setattr(imports, "POLL_S", 0.0)
    (tmp_path / "export.zip").write_bytes(b"PK...")
    form = {"id": IMPORT_ID, "upload_url": f"{server.url}/bucket", "fields": {"key": f"imports/{IMPORT_ID}", "policy": "e30="}}
    server.on("POST /conversations/imports", replies.reply(201, form))
    server.on("POST /bucket", replies.reply(204))
    server.on(ONE, replies.reply(200, HALF), replies.reply(200, READY))
    return tmp_path / "export.zip"


def test_an_export_is_sent_and_its_import_followed(server, export, parley):
    result = parley("import", str(export))
    announced, sent = server.requests[:2]

    assert announced.body == {"filename": "export.zip", "bytes": 5, "read_facts": False}
    assert (sent.token, sent.body["file"][2]) == ("", b"PK...")
    assert result.stderr == "importing 50%\nimporting 100%\n"
    assert result.stdout == (
        "12 conversations added, 1 extended, 0 unchanged: 1,240 messages.\nleft out: Conversations without a message (2): 'New chat'\n"
    )


def test_a_terminal_shows_the_imports_progress(export, terminal):
    person = terminal("import", str(export))
    person.expect("export.zip: sending [####################] 100%")
    person.expect("importing [####################] 100%")

    assert person.end() == 0


def test_facts_are_read_if_asked(server, export, parley):
    assert parley("import", str(export), "--facts", "--no-wait").exit_code == 0
    assert server.requests[0].body["read_facts"] is True
    assert len(server.lines) == 2


def test_a_failed_import_says_why_and_what_was_imported(server, export, parley):
    server.on(ONE, replies.reply(200, READY | {"status": "failed", "error": "The file is damaged."}))
    result = parley("import", str(export))

    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, "The file is damaged.")
    assert result.stdout.startswith("12 conversations added")


def test_a_second_import_while_one_runs_says_so(server, export, parley):
    server.on("POST /conversations/imports", replies.problem(409, "import_in_progress", "Another import is running."))

    assert "Another import is running." in parley("import", str(export)).stderr
