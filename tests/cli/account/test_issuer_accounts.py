"""Accounts that sign in at an issuer and have no password: a recent login replaces it."""

import pytest

from tests.cli import replies

ADDRESS, PASSKEY = "alice@example.com", "0190a1b2-0000-7000-8000-00000000aaaa"
LATE = "Send your password, or sign in again with your organization's account and repeat this within ten minutes."
# A command that asks again for the password reads this instead of waiting for ever.
NOT_READ = "no password\n"
# Each command, what the user types, and the call that needs the password.
COMMANDS = [
    (["delete-account"], f"{ADDRESS}\n\n", "DELETE /auth/me"),
    (["email", "new@example.com"], "\nc-1\n", "POST /auth/email"),
    (["api-keys", "create", "ci"], "\n", "POST /auth/api-keys"),
    (["connect", "cursor", "--print"], "\n", "POST /auth/api-keys"),
    (["second-factor", "on"], "\n123456\n", "POST /auth/second-factor"),
    (["second-factor", "off"], "\n123456\n", "DELETE /auth/second-factor"),
    (["passkeys", "remove", PASSKEY, "--yes"], "\n", f"DELETE /auth/passkeys/{PASSKEY}"),
    (["admin", "end-sessions", "--all", "--yes"], "\n", "DELETE /admin/sessions"),
]


@pytest.fixture
def account(server, alice, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    server.on("GET /auth/me", replies.reply(200, {"email": ADDRESS}))
    server.on("GET /auth/passkeys", replies.reply(200, {"items": [{"id": PASSKEY, "name": "Laptop"}], "next_cursor": None}))
    return server


def password_in(server, route):
    (request,) = [request for request in server.requests if request.line == route]
    return request.body.get("password")


@pytest.mark.parametrize(("command", "typed", "route"), COMMANDS)
def test_an_empty_password_is_left_to_the_server(account, parley, command, typed, route):
    account.on(route, replies.reply(200, {"key": "parley_abc"}))

    assert "Password (empty after a login at an issuer):" in parley(*command, stdin=f"{typed}{NOT_READ}").stderr
    assert password_in(account, route) is None


@pytest.mark.parametrize(("command", "typed", "route"), COMMANDS)
def test_a_login_too_long_ago_is_refused_with_the_remedy(account, parley, command, typed, route):
    account.on(route, replies.problem(422, "login_too_old", LATE))
    result = parley(*command, stdin=f"{typed}{NOT_READ}")

    assert (result.exit_code, LATE in result.stderr) == (1, True)
