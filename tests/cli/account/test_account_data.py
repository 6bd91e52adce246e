"""Data of the account: security events, export and deletion."""

import stat

import pytest

from cli.commands import account_data
from tests.cli import replies

pytestmark = pytest.mark.usefixtures("utc")

ME = {"id": "u-1", "email": "alice@example.com", "role": "user"}
DETAIL = {"name": "ci", "api_key_id": "0190a1b2-0000-7000-8000-00000000aaaa", "failed_before": 2}
EXPORTS = "/auth/me/exports"


@pytest.fixture
def exported(server, alice, monkeypatch, tmp_path):
    """An export that is ready at the second poll."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(account_data, "EXPORT_POLL_S", 0.0)
    server.on(f"POST {EXPORTS}", replies.reply(202, {"id": "e-1", "status": "queued", "url": None}))
    ready = {"id": "e-1", "status": "ready", "url": f"{server.url}/bucket/e-1?X-Amz-Signature=a%2Fb"}
    server.on(f"GET {EXPORTS}/e-1", replies.reply(200, {"id": "e-1", "status": "queued", "url": None}), replies.reply(200, ready))
    server.on("GET /bucket/e-1", replies.reply(200, '{"tables": {}}'))
    return tmp_path


def test_account_events_are_listed(server, alice, parley):
    event = {"at": "2026-03-01T14:02:33Z", "event": "api_key_made", "address": "192.0.2.1", "user_agent": "x", "detail": DETAIL}
    server.on("GET /auth/audit", replies.reply(200, {"items": [event], "next_cursor": None}))

    result = parley("audit", "--limit", "5")

    assert (
        result.stdout.splitlines()[1]
        == "2026-03-01 14:02  api key made  192.0.2.1  x        name: ci, api key id: 0000aaaa, failed before: 2"
    )
    assert server.lines == ["GET /auth/audit?limit=5"]


def test_an_export_is_waited_for_and_saved_for_its_owner_only(server, exported, parley):
    result = parley("export", "-o", "mine.json")

    assert (exported / "mine.json").read_text() == '{"tables": {}}'
    assert stat.S_IMODE((exported / "mine.json").stat().st_mode) == 0o600
    assert result.stdout == "Saved all data stored about you to mine.json (14 bytes). Only you can read the file.\n"
    assert (server.lines[-1], server.requests[-1].token) == ("GET /bucket/e-1?X-Amz-Signature=a%2Fb", "")


def test_an_export_can_be_written_to_standard_output(exported, parley):
    assert parley("export", "-o", "-").stdout == '{"tables": {}}'


def test_a_terminal_shows_the_progress_of_an_export(server, exported, terminal):
    server.on(f"GET {EXPORTS}/e-1", replies.reply(200, {"status": "ready", "url": f"{server.url}/bucket/e-1"}))
    person = terminal("export", "-o", str(exported / "mine.json"))
    person.expect("downloading [####################] 100%")

    assert person.end() == 0


def test_an_export_has_a_default_file_name(exported, parley):
    parley("export")

    assert [path.name[:14] for path in exported.glob("*.json")] == ["parley-export-"]


def test_an_export_never_replaces_a_file(server, exported, parley):
    (exported / "mine.json").write_text("older")

    result = parley("export", "-o", "mine.json")

    assert (result.exit_code, result.stderr) == (1, "mine.json already exists. To write another file: -o FILE\n")
    assert ((exported / "mine.json").read_text(), server.requests) == ("older", [])


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ({f"GET {EXPORTS}/e-1": replies.reply(200, {"status": "failed"})}, "The server could not write the file."),
        ({f"GET {EXPORTS}/e-1": replies.reply(200, {"status": "ready", "url": "file:///etc/passwd"})}, "does not look like Parley"),
        ({"GET /bucket/e-1": replies.reply(403, "<Error/>")}, "The file could not be downloaded"),
    ],
)
def test_a_failed_export_is_reported_and_leaves_no_file(server, exported, parley, answers, sentence):
    for route, answer in answers.items():
        server.on(route, answer)

    result = parley("export", "-o", "mine.json")

    assert (result.exit_code, sentence in result.stderr, (exported / "mine.json").exists()) == (1, True, False)


def test_an_export_that_takes_too_long_can_be_fetched_later(exported, parley, monkeypatch):
    monkeypatch.setattr(account_data, "EXPORT_TIMEOUT_S", 0.0)

    assert parley("export").stderr == "The server has not written the file yet. Run the same command again later.\n"


def test_an_account_is_deleted_with_its_address_and_password(server, alice, parley):
    server.on("GET /auth/me", replies.reply(200, ME))
    server.on("DELETE /auth/me", replies.reply(202, {"status": "accepted"}))

    result = parley("delete-account", stdin="Alice@example.com\na long password\n")

    assert server.requests[-1].body == {"password": "a long password"}
    assert result.stdout.endswith("Your account is closed. Its data is deleted within a minute.\n")
    assert alice.read().by_url == {}


def test_another_address_deletes_nothing(server, alice, parley):
    server.on("GET /auth/me", replies.reply(200, ME))

    result = parley("delete-account", stdin="bob@example.com\na long password\n")

    assert (result.exit_code, server.lines) == (1, ["GET /auth/me"])
    assert "Nothing was deleted." in result.stderr


def test_a_wrong_password_keeps_account_and_session(server, alice, parley):
    server.on("GET /auth/me", replies.reply(200, ME))
    server.on("DELETE /auth/me", replies.problem(403, "wrong_password", "The current password is wrong."))

    result = parley("delete-account", stdin="alice@example.com\nwrong\n")

    assert (result.exit_code, list(alice.read().by_url)) == (1, [server.url])
    assert "The current password is wrong." in result.stderr
