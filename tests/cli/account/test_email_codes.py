"""E-mailed codes: registration, password reset and change of address."""

import pytest

from tests.cli import replies
from tests.support.time_limits import HANG_S

ME = {"id": "u-1", "email": "new@example.com", "display_name": None, "role": "user"}
PASSWORD, NEW = "a long password", "a longer password"


def test_register_asks_for_the_e_mailed_code(server, terminal):
    server.on("POST /auth/register", replies.reply(202, {"status": "verification_sent"}))
    server.on("POST /auth/verify", replies.reply(200, {"user": ME, **replies.token_pair(1)}))
    person = terminal("register", "new@example.com", "--url", server.url)
    for shown, typed in (("Password: ", PASSWORD), ("confirmation: ", PASSWORD), ("Code from the e-mail: ", " c-1 ")):
        person.expect(shown)
        person.type(typed + "\n")
    person.expect("Registered and logged in as new@example.com")

    assert (person.end(), server.requests[1].body) == (0, {"email": "new@example.com", "code": "c-1", "password": PASSWORD})


def test_a_script_that_registers_is_told_the_next_command(server, parley):
    server.on("POST /auth/register", replies.reply(202, {"status": "verification_sent"}))

    result = parley("register", "new@example.com", "--password-stdin", "--url", server.url, stdin=PASSWORD)

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "A code was sent to new@example.com.\nTo enter the code: parley verify new@example.com\n"


def test_verify_takes_the_code_later_and_logs_in(server, parley):
    server.on("POST /auth/verify", replies.reply(200, {"user": ME, **replies.token_pair(1)}))
    server.on("GET /auth/me", replies.reply(200, ME))

    parley("verify", "new@example.com", "--url", server.url, stdin=f"c-1\n{PASSWORD}\n")

    assert parley("whoami").stdout == f"new@example.com · user · {server.url}\n"


def test_verify_without_a_code_says_what_to_do(server, start):
    process = start("verify", "new@example.com", "--url", server.url)

    assert process.wait(HANG_S) == 2
    assert "Code from the e-mail is missing. To enter it later: parley verify new@example.com" in process.stderr.read()


def test_a_code_resets_a_forgotten_password(server, parley):
    server.on("POST /auth/password/forgot", replies.reply(202, {"status": "accepted"}))
    server.on("POST /auth/password/reset", replies.reply(204))

    result = parley("password", "reset", "new@example.com", "--url", server.url, stdin=f"c-1\n{NEW}\n{NEW}\n")

    assert server.requests[1].body == {"email": "new@example.com", "code": "c-1", "new_password": NEW}
    assert "Log in: parley login new@example.com" in result.stdout


def test_an_existing_code_needs_no_second_e_mail(server, alice, parley):
    server.on("POST /auth/password/reset", replies.reply(204))

    parley("password", "reset", "alice@example.com", "--no-mail", stdin=f"c-1\n{NEW}\n{NEW}\n")

    assert server.lines == ["POST /auth/password/reset"]


def test_a_password_change_needs_the_old_one_and_shows_neither(server, alice, terminal):
    server.on("POST /auth/password", replies.reply(204))
    person = terminal("password", "change")
    for shown, typed in (("Current password: ", PASSWORD), ("New password: ", NEW), ("confirmation: ", NEW)):
        person.expect(shown)
        person.type(typed + "\n")

    assert person.end() == 0
    assert "Your password is changed." in person.shown
    assert "longer" not in person.shown
    assert server.requests[0].body == {"current_password": PASSWORD, "new_password": NEW}


def test_a_change_of_password_can_keep_the_api_keys(server, alice, parley):
    server.on("POST /auth/password", replies.reply(204))
    result = parley("password", "change", "--keep-api-keys", stdin=f"{PASSWORD}\n{NEW}\n{NEW}\n")

    assert server.requests[0].body == {"current_password": PASSWORD, "new_password": NEW, "keep_api_keys": True}
    assert "your API keys still work" in result.stdout


def test_an_address_changes_with_password_and_code_and_is_stored(server, alice, parley):
    server.on("POST /auth/email", replies.reply(202, {"status": "accepted"}))
    server.on("POST /auth/email/confirm", replies.reply(204))
    server.on("GET /auth/me", replies.reply(200, ME))

    result = parley("email", "new@example.com", stdin=f"{PASSWORD}\nc-1\n")

    assert [request.body for request in server.requests[:2]] == [{"password": PASSWORD, "new_email": "new@example.com"}, {"code": "c-1"}]
    assert result.stdout.endswith("Your e-mail address is now new@example.com\n")
    assert alice.read().by_url[server.url].email == "new@example.com"


@pytest.mark.parametrize("command", [["password", "change"], ["email", "new@example.com"]])
def test_a_user_who_is_not_logged_in_sees_no_prompt(server, parley, command):
    result = parley(*command, "--url", server.url)

    assert (result.exit_code, result.stdout, server.requests) == (1, "", [])
    assert "You are not logged in" in result.stderr
