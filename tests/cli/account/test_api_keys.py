"""API keys: list, create and revoke them, and use one instead of a login."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.cli import replies
from tests.support.time_limits import HANG_S

pytestmark = pytest.mark.usefixtures("utc")

KEY = {
    "id": "0190a1b2-0000-7000-8000-00000000aaaa",
    "name": "ci",
    "scopes": ["chat", "tools"],
    "expires_at": "2026-12-01T00:00:00Z",
    "last_used_at": None,
}
PATH = "/auth/api-keys"


@pytest.fixture
def listed(server, alice):
    server.on(f"GET {PATH}", replies.reply(200, {"items": [KEY], "next_cursor": None}))
    server.on(f"DELETE {PATH}/{KEY['id']}", replies.reply(204))


@pytest.mark.usefixtures("listed")
def test_listed_keys_do_not_show_the_key_itself(parley):
    assert parley("api-keys").stdout.splitlines() == [
        "id        name  scopes       expires           last used",
        "0000aaaa  ci    chat, tools  2026-12-01 00:00  never",
    ]


def test_without_keys_it_says_how_to_create_one(server, alice, parley):
    server.on(f"GET {PATH}", replies.reply(200, {"items": [], "next_cursor": None}))

    assert parley("api-keys").stdout == "No API keys yet. Create one: parley api-keys create NAME\n"


def test_only_the_new_key_is_written_to_standard_output(server, alice, parley):
    server.on(f"POST {PATH}", replies.reply(201, {**KEY, "key": "parley_abc"}))

    result = parley("api-keys", "create", "ci", "--scope", "chat", "--scope", "tools", "--password-stdin", stdin="secret\n")

    assert result.stdout == "parley_abc\n"
    assert "API key 'ci' (0000aaaa) for chat, tools, until 2026-12-01 00:00." in result.stderr
    assert server.requests[0].body == {"name": "ci", "password": "secret", "scopes": ["chat", "tools"]}


def test_a_new_key_needs_the_password_which_is_not_shown(server, alice, terminal):
    server.on(f"POST {PATH}", replies.reply(201, {**KEY, "key": "parley_abc"}))
    person = terminal("api-keys", "create", "ci")
    person.expect("Password (empty after a login at an issuer): ")
    person.type("secret\n")
    person.expect("parley_abc")

    assert (person.end(), "secret" in person.shown) == (0, False)
    assert server.requests[0].body == {"name": "ci", "password": "secret"}


def test_a_duration_becomes_an_expiry_time(server, alice, parley):
    server.on(f"POST {PATH}", replies.reply(201, {**KEY, "key": "parley_abc"}))

    parley("api-keys", "create", "ci", "--expires", "90d", stdin="secret\n")

    left = datetime.fromisoformat(server.requests[0].body["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=89) < left <= timedelta(days=90)


def test_an_expiry_date_is_in_the_local_time_zone(server, alice, parley):
    server.on(f"POST {PATH}", replies.reply(201, {**KEY, "key": "parley_abc"}))

    parley("api-keys", "create", "ci", "--expires", "2026-12-01", "--password-stdin", stdin="secret")

    assert server.requests[0].body["expires_at"] == "2026-12-01T00:00:00+00:00"


def test_a_script_without_a_password_is_told_how_to_pass_it(server, alice, start):
    process = start("api-keys", "create", "ci")

    assert process.wait(HANG_S) == 2
    assert "In scripts, pass it with --password-stdin." in process.stderr.read()
    assert server.requests == []


@pytest.mark.parametrize("when", ["soon", "0d", "90", "-1d", "999999w"])
def test_an_invalid_expiry_is_a_usage_error(server, alice, parley, when):
    result = parley("api-keys", "create", "ci", "--expires", when)

    assert (result.exit_code, server.requests) == (2, [])
    assert "neither a duration like 12h, 90d or 4w nor a date" in result.stderr


@pytest.mark.usefixtures("listed")
def test_a_key_is_revoked_after_confirmation(server, parley):
    result = parley("api-keys", "revoke", "0000aaaa", stdin="y\n")

    assert "Revoke the API key 'ci' (0000aaaa)?" in result.stderr
    assert server.lines[-1] == f"DELETE {PATH}/{KEY['id']}"


@pytest.mark.usefixtures("listed")
def test_without_confirmation_nothing_is_revoked(server, parley):
    assert parley("api-keys", "revoke", "0000aaaa", stdin="n\n").exit_code == 130
    assert server.lines == [f"GET {PATH}?limit=100"]


@pytest.mark.usefixtures("listed")
def test_a_script_without_confirmation_is_told_the_option(server, start):
    process = start("api-keys", "revoke", "0000aaaa")

    assert process.wait(HANG_S) == 2
    assert "In scripts: --yes" in process.stderr.read()
    assert server.lines == [f"GET {PATH}?limit=100"]


@pytest.mark.usefixtures("listed")
def test_a_script_revokes_without_a_prompt(parley):
    assert parley("api-keys", "revoke", "0000aaaa", "--yes").stdout == "Revoked the API key 'ci' (0000aaaa)\n"


@pytest.mark.parametrize(
    ("command", "route", "answer"),
    [
        (["chat", "Hi"], "POST /chat", replies.answer("Hello.")),
        (["conversations"], "GET /conversations", replies.reply(200, {"items": [], "next_cursor": None})),
        (["models"], "GET /models", replies.reply(200, [])),
    ],
)
def test_a_key_in_the_environment_needs_no_login(server, parley, monkeypatch, command, route, answer):
    monkeypatch.setenv("PARLEY_API_KEY", "parley_abc\n")
    server.on(route, answer)

    assert parley(*command, "--url", server.url).exit_code == 0
    assert [request.token for request in server.requests] == ["parley_abc"]


def test_a_key_is_preferred_to_the_session_except_for_account_commands(server, alice, parley, monkeypatch):
    monkeypatch.setenv("PARLEY_API_KEY", "parley_abc")
    server.on("GET /models", replies.reply(200, []))
    server.on("GET /auth/me", replies.reply(200, {"email": "alice@example.com", "role": "user"}))

    parley("models")
    parley("whoami")

    assert [request.token for request in server.requests] == ["parley_abc", "access-1"]


def test_a_refused_key_is_reported_and_keeps_the_session(server, alice, parley, monkeypatch):
    monkeypatch.setenv("PARLEY_API_KEY", "parley_abc")
    server.on("GET /models", replies.problem(401, "unauthorized", "No."))

    result = parley("models")

    assert (result.exit_code, server.lines) == (1, ["GET /models"])
    assert result.stderr.startswith(f"The API key in PARLEY_API_KEY is not valid at {server.url}")
    assert list(alice.read().by_url) == [server.url]


@pytest.mark.parametrize("key", ["two words", "línea"])
def test_an_invalid_key_is_not_sent(server, parley, monkeypatch, key):
    monkeypatch.setenv("PARLEY_API_KEY", key)

    result = parley("models", "--url", server.url)

    assert (result.exit_code, server.requests) == (1, [])
    assert "PARLEY_API_KEY is not a valid API key." in result.stderr
