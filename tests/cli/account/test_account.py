"""`parley register`, `login`, `logout` and `whoami`."""

import socket
import threading
import urllib.request
from urllib.parse import parse_qs, urlsplit

import pytest

from cli import browser_login
from tests.cli import replies
from tests.support import qr_codes
from tests.support.time_limits import HANG_S

ALICE = {"id": "u-1", "email": "alice@example.com", "display_name": "Alice", "role": "admin"}


def test_register_logs_in_and_says_what_to_try_next(server, parley):
    server.on("POST /auth/register", replies.reply(201, {"user": ALICE, **replies.token_pair(1)}))
    server.on("GET /auth/me", replies.reply(200, ALICE))

    result = parley("register", "alice@example.com", "--password-stdin", "--url", server.url, stdin="a long password\n")

    assert result.stdout == f'Registered and logged in as alice@example.com at {server.url}\nSend a first message: parley chat "Hello"\n'
    assert server.requests[0].body == {"email": "alice@example.com", "password": "a long password"}
    assert parley("whoami").stdout == f"alice@example.com (Alice) · admin · {server.url}\n"


def test_register_takes_an_invite(server, parley):
    server.on("POST /auth/register", replies.reply(201, {"user": ALICE, **replies.token_pair(1)}))

    parley("register", "alice@example.com", "--invite", "abc", "--password-stdin", "--url", server.url, stdin="a long password")

    assert server.requests[0].body["invite"] == "abc"


def test_register_prompts_for_missing_values_and_hides_the_password(server, terminal):
    server.on("POST /auth/register", replies.reply(201, {"user": ALICE, **replies.token_pair(1)}))
    person = terminal("register", "--url", server.url)
    for prompt, typed in (
        ("E-mail: ", "alice@example.com"),
        ("Password: ", "a long password"),
        ("Repeat for confirmation: ", "a long password"),
    ):
        person.expect(prompt)
        person.type(typed + "\n")

    assert person.end() == 0
    assert "Registered" in person.shown
    assert "a long password" not in person.shown


def test_login_makes_its_address_the_default(server, parley):
    server.on("POST /auth/login", replies.reply(200, {"user": ALICE, **replies.token_pair(1)}))

    result = parley("login", "alice@example.com", "--password-stdin", "--url", f"{server.url}/", stdin="a long password\n")

    assert result.stdout == f"Logged in as alice@example.com at {server.url}\n"


def test_a_wrong_password_is_reported_in_one_sentence(server, parley):
    server.on("POST /auth/login", replies.problem(401, "invalid_credentials", "E-mail or password is wrong."))

    result = parley("login", "alice@example.com", "--password-stdin", "--url", server.url, stdin="wrong")

    assert (result.exit_code, result.stderr) == (1, "E-mail or password is wrong.\nrequest req-1\n")


def test_logout_removes_the_tokens_and_tells_the_server(server, alice, parley):
    server.on("POST /auth/logout", replies.reply(204))

    result = parley("logout", "--everywhere")

    assert result.stdout == f"Logged out from {server.url}\n"
    assert server.requests[0].body == {"everywhere": True}
    assert alice.read().by_url == {}


def test_logout_names_the_address_at_which_the_issuer_logs_out(server, alice, parley):
    server.on("POST /auth/logout", replies.reply(200, {"label": "Corp", "url": "https://id.example.com/end?client_id=parley"}))

    shown = parley("logout").stdout.splitlines()
    assert shown[1:] == ["To log out of Corp too, visit:", "https://id.example.com/end?client_id=parley"]


def test_logout_removes_the_tokens_even_if_the_server_fails(server, alice, parley):
    server.on("POST /auth/logout", replies.problem(500, "internal", "Something broke."))

    result = parley("logout")

    assert (result.exit_code, result.stderr) == (0, "The session could not be ended on the server: Something broke.\n")
    assert alice.read().by_url == {}


@pytest.mark.parametrize("command", [["whoami"], ["logout"], ["chat", "Hi"], ["conversations"], ["history"], ["models"]])
def test_a_command_without_a_session_says_how_to_get_one(server, parley, command):
    result = parley(*command, "--url", server.url)

    assert result.exit_code == 1
    assert result.stderr == f"You are not logged in at {server.url}. Log in: parley login (or create an account: parley register)\n"


@pytest.mark.parametrize(("args", "missing"), [([], "E-mail"), (["alice@example.com"], "Password")])
def test_a_script_without_a_password_is_told_the_option(start, args, missing):
    process = start("login", *args)

    assert process.wait(HANG_S) == 2
    assert f"{missing} is missing." in process.stderr.read()


@pytest.mark.parametrize("args", [["--password-stdin"], ["alice@example.com", "--password-stdin"]])
def test_password_stdin_needs_an_address_and_a_password(parley, args):
    assert parley("login", *args, stdin="").exit_code == 2


def test_ctrl_c_at_a_prompt_ends_quietly(terminal):
    person = terminal("login")
    person.expect("E-mail: ")
    person.interrupt()

    assert person.end() == 130
    assert "Traceback" not in person.shown


@pytest.fixture
def browser(monkeypatch):
    """A browser in which the user signs in: it comes back to the program with these parameters. It lists the addresses it opened."""
    opened = []

    def answer_with(parameters):
        def visit(url):
            opened.append(url)
            back = f"{parse_qs(urlsplit(url).query)['redirect_uri'][0]}?{parameters}"
            threading.Thread(target=lambda: urllib.request.urlopen(back).close()).start()

        monkeypatch.setattr(browser_login.webbrowser, "open", visit)
        return opened

    return answer_with


def test_login_by_an_issuer_exchanges_the_code_of_the_browser(server, parley, browser):
    opened = browser("code=c1")
    server.on("GET /auth/oidc", replies.reply(200, {"password_login": True, "issuers": [{"id": "corp", "label": "Corp"}]}))
    server.on("POST /auth/oidc/token", replies.reply(200, {"user": ALICE, **replies.token_pair(1)}))
    result = parley("login", "--oidc", "--url", server.url)

    assert result.stdout == f"Logged in as alice@example.com at {server.url}\n"
    assert opened[0].startswith(f"{server.url}/auth/oidc/corp/start?")
    assert server.requests[-1].body["code"] == "c1"


def test_a_browser_may_open_a_spare_connection_before_it_comes_back(server, parley, browser, monkeypatch):
    browser("code=c1")
    visit, spare = browser_login.webbrowser.open, socket.socket()
    # Otherwise a program that waits for the spare connection would wait for ever.
    hang = threading.Timer(HANG_S / 10, spare.close)

    def connect_and_visit(url):
        address = urlsplit(parse_qs(urlsplit(url).query)["redirect_uri"][0])
        spare.connect((address.hostname, address.port))
        hang.start()
        visit(url)

    monkeypatch.setattr(browser_login.webbrowser, "open", connect_and_visit)
    server.on("GET /auth/oidc", replies.reply(200, {"password_login": True, "issuers": [{"id": "corp", "label": "Corp"}]}))
    server.on("POST /auth/oidc/token", replies.reply(200, {"user": ALICE, **replies.token_pair(1)}))
    result = parley("login", "--oidc", "--url", server.url)

    assert result.stdout == f"Logged in as alice@example.com at {server.url}\n"
    assert hang.is_alive()
    hang.cancel()
    spare.close()


def test_a_refused_login_by_an_issuer_is_reported(server, parley, browser):
    browser("error=oidc_refused")
    server.on("GET /auth/oidc", replies.reply(200, {"password_login": True, "issuers": [{"id": "corp", "label": "Corp"}]}))
    result = parley("login", "--oidc", "corp", "--url", server.url)

    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, "The sign-in failed: oidc_refused. Try again, or ask an admin.")


@pytest.mark.parametrize(("issuers", "exit_code"), [([], 1), (["corp", "other"], 2)])
def test_a_login_by_an_unknown_issuer_opens_no_browser(server, parley, browser, issuers, exit_code):
    opened = browser("code=c1")
    server.on("GET /auth/oidc", replies.reply(200, {"issuers": [{"id": id, "label": id} for id in issuers]}))

    assert parley("login", "--oidc", "--url", server.url).exit_code == exit_code
    assert opened == []


def test_login_asks_for_the_code_of_a_second_factor(server, parley):
    server.on("POST /auth/login", replies.reply(202, {"status": "second_factor_required", "challenge": "pch_1"}))
    server.on("POST /auth/login/second-factor", replies.reply(200, {"user": ALICE, **replies.token_pair(1)}))
    arguments = ("login", "alice@example.com", "--password-stdin", "--code", "123456", "--url", server.url)
    result = parley(*arguments, stdin="a long password")

    assert result.stdout == f"Logged in as alice@example.com at {server.url}\n"
    assert server.requests[-1].body == {"challenge": "pch_1", "code": "123456"}


def test_login_at_a_server_that_demands_a_second_factor_says_how_to_add_one(server, parley):
    server.on("POST /auth/login", replies.reply(200, {"user": ALICE, **replies.token_pair(1), "needs_second_factor": True}))
    result = parley("login", "alice@example.com", "--password-stdin", "--url", server.url, stdin="a long password")

    assert result.exit_code == 0
    assert "parley second-factor on" in result.stderr
    assert "If your account has a passkey, sign in with it in the page" in result.stderr


def test_a_registration_that_needs_a_second_factor_advises_no_message_yet(server, parley):
    server.on("POST /auth/register", replies.reply(201, {"user": ALICE, **replies.token_pair(1), "needs_second_factor": True}))
    result = parley("register", "alice@example.com", "--password-stdin", "--url", server.url, stdin="a long password")

    assert result.stdout == f"Registered and logged in as alice@example.com at {server.url}\n"
    assert "parley second-factor on" in result.stderr


@pytest.fixture
def enrolling(server):
    """A server that enrols an app, and then renews the session."""
    server.on("POST /auth/second-factor", replies.reply(201, {"secret": "JBSW", "uri": "otpauth://totp/x", "qr_svg": "<svg/>"}))
    server.on("POST /auth/second-factor/confirm", replies.reply(200, {"recovery_codes": ["AAAA-BBBB", "CCCC-DDDD"]}))
    server.on("POST /auth/refresh", replies.reply(200, {"user": ALICE, **replies.token_pair(2)}))
    return server


def test_the_second_factor_is_turned_on_with_a_code_of_the_app(enrolling, alice, parley):
    result = parley("second-factor", "on", stdin="a long password\n123456\n")

    assert result.stdout.endswith("AAAA-BBBB\nCCCC-DDDD\n")
    assert enrolling.requests[-2].body == {"code": "123456"}
    assert qr_codes.read_blocks(result.stderr) == "otpauth://totp/x"


def test_a_session_with_a_new_second_factor_has_its_rights_at_once(enrolling, alice, parley):
    enrolling.on("GET /auth/me", replies.reply(200, ALICE))
    parley("second-factor", "on", stdin="a long password\n123456\n")
    parley("whoami")

    assert enrolling.requests[-1].token == "access-2"


def test_a_terminal_that_is_too_narrow_for_the_qr_code_shows_the_key(enrolling, alice, parley, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    result = parley("second-factor", "on", stdin="a long password\n123456\n")

    assert "JBSW" in result.stderr
    assert not set(result.stderr) & qr_codes.BLOCKS


PASSKEY = {
    "id": "01996f6a-0000-7000-8000-00000000aaaa",
    "name": "Laptop",
    "is_backed_up": False,
    "created_at": "2026-11-28T00:00:00Z",
    "last_used_at": None,
}


@pytest.mark.parametrize(("typed", "sent"), [("a long password", "a long password"), ("", None)])
def test_a_passkey_is_listed_and_removed_with_the_password_if_there_is_one(server, alice, parley, typed, sent):
    server.on("GET /auth/passkeys", replies.reply(200, {"items": [PASSKEY], "next_cursor": None}))
    server.on(f"DELETE /auth/passkeys/{PASSKEY['id']}", replies.reply(204))

    assert parley("passkeys").stdout.splitlines()[-1] == "0000aaaa  Laptop  2026-11-28 00:00  never"
    assert parley("passkeys", "remove", "0000aaaa", "--yes", stdin=f"{typed}\n").exit_code == 0
    assert server.requests[-1].body == {"password": sent}
