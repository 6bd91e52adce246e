"""`parley admin audit`: the audit of the deployment."""

import stat

import pytest

from cli.commands import account_data
from tests.cli import replies

pytestmark = pytest.mark.usefixtures("utc", "alice")

BOB = {"id": "0190a1b2-0000-7000-8000-00000000aaaa", "email": "bob@example.com"}
EVENT = {
    "id": "0190a1b2-0000-7000-8000-00000000eeee",
    "at": "2026-03-01T14:02:33Z",
    "action": "login\x1b[2J",
    "actor": "user",
    "actor_id": BOB["id"],
    "account_id": BOB["id"],
    "network": "192.0.2.0/24",
    "outcome": "refused",
    "detail": {},
}


@pytest.fixture
def audit(server):
    """A server with one event of Bob."""
    server.on("GET /admin/users", replies.reply(200, {"items": [BOB], "next_cursor": None}))
    server.on("GET /admin/audit", replies.reply(200, {"items": [EVENT], "next_cursor": None}))
    return server


def test_events_are_listed_without_control_characters(audit, parley):
    row = parley("admin", "audit").stdout.splitlines()[1]

    assert row.split() == ["2026-03-01", "14:02", "login,", "refused", "user", "0000aaaa", "0000aaaa", "192.0.2.0/24"]
    assert "\x1b" not in row


def test_events_are_filtered_by_address_action_and_time(audit, parley):
    parley("admin", "audit", "--actor", BOB["email"], "--action", "login", "--from", "2026-03-01", "--limit", "5")

    assert audit.lines[-1] == f"GET /admin/audit?limit=5&action=login&from=2026-03-01&actor_id={BOB['id']}"


def test_the_id_of_a_deleted_account_is_not_looked_up(audit, parley):
    parley("admin", "audit", "--account", EVENT["id"])

    assert [line.partition("?")[0] for line in audit.lines] == ["GET /admin/audit"]


def test_the_whole_audit_is_saved_for_its_reader_only(server, parley, monkeypatch, tmp_path):
    monkeypatch.setattr(account_data, "EXPORT_POLL_S", 0.0)
    server.on("POST /admin/audit/exports", replies.reply(202, {"id": "e-1", "status": "queued", "url": None}))
    server.on("GET /auth/me/exports/e-1", replies.reply(200, {"id": "e-1", "status": "ready", "url": f"{server.url}/bucket/e-1"}))
    server.on("GET /bucket/e-1", replies.reply(200, '{"action": "login"}\n'))
    done = parley("admin", "audit", "--export", str(tmp_path / "audit.jsonl"))

    assert (done.exit_code, (tmp_path / "audit.jsonl").read_text().strip()) == (0, '{"action": "login"}')
    assert stat.S_IMODE((tmp_path / "audit.jsonl").stat().st_mode) == 0o600
