"""What goes wrong between us and a server is told in a sentence, with what to do next."""

import socket

import pytest

from tests.cli import replies
from tests.support.time_limits import HANG_S


@pytest.fixture
def nobody():
    """An address where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def log_in(parley, url):
    return parley("login", "alice@example.com", "--password-stdin", "--url", url, stdin="a long password")


def test_a_stack_that_does_not_run_is_told_with_how_to_start_it(parley, nobody):
    result = log_in(parley, nobody)

    assert result.exit_code == 1
    assert (
        result.stderr == f"No server answers at {nobody}. Start it with `parley up` (or `make up`), or name another address with --url.\n"
    )


def test_the_default_address_is_that_of_make_up(parley, nobody, monkeypatch):
    monkeypatch.setenv("PARLEY_PORT", nobody.rpartition(":")[2])

    result = parley("login", "alice@example.com", "--password-stdin", stdin="a long password")

    assert f"No server answers at {nobody}." in result.stderr


@pytest.mark.parametrize("url", ["localhost:3000", "ftp://x", "http://", "http://h:port", "http://u:p@h", "http://h/?q", "nonsense"])
def test_what_is_no_address_is_a_usage_error(parley, url):
    result = log_in(parley, url)

    assert result.exit_code == 2
    assert "is not a valid address. Example: http://127.0.0.1:3000" in result.stderr


def test_the_fields_that_were_wrong_are_listed(server, parley):
    errors = [{"loc": ["body", "email"], "msg": "not an e-mail address"}, {"loc": "password", "msg": "at least 12 characters\x1b[2J"}]
    server.on("POST /auth/login", replies.problem(422, "invalid_request", "Some fields are wrong.", errors=errors))

    result = log_in(parley, server.url)

    assert result.stderr == ("Some fields are wrong.\n  email: not an e-mail address\n  password: at least 12 characters\nrequest req-1\n")


@pytest.mark.parametrize(("retry_after", "told"), [("1.2", " Retry in 2 s."), ("soon", ""), ("-1", ""), ("inf", "")])
def test_a_busy_server_says_when_to_try_again(server, parley, retry_after, told):
    server.on("POST /auth/login", replies.problem(429, "rate_limited", "Too many attempts.", retry_after=retry_after))

    assert log_in(parley, server.url).stderr == f"Too many attempts.{told}\nrequest req-1\n"


@pytest.mark.parametrize(
    ("status", "body", "evidence"),
    [
        (404, "<html>", "it answered 404"),
        (200, "<html>", "its answer is not JSON"),
        (200, "[]", "its answer has no tokens"),
        (302, "", "it answered 302"),
    ],
)
def test_another_program_is_not_taken_for_parley(server, parley, status, body, evidence):
    server.on("POST /auth/login", replies.reply(status, body, media_type="text/html"))

    assert f"does not look like Parley ({evidence})" in log_in(parley, server.url).stderr


def test_the_gateways_own_message_is_shown_too(server, parley):
    server.on("POST /auth/login", replies.reply(403, {"message": "Forbidden"}, X_Request_Id="req-9"))

    assert log_in(parley, server.url).stderr == "Forbidden\nrequest req-9\n"


def test_a_connection_that_breaks_is_told(server, parley):
    def half(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        handler.close_connection = True

    server.on("POST /auth/login", half)

    assert f"The connection to {server.url} was lost before the answer was complete." in log_in(parley, server.url).stderr


def test_a_config_folder_that_cannot_be_made_is_told(server, parley, config):
    config.parent.write_text("a file where the folder should be")
    server.on("POST /auth/login", replies.reply(200, replies.token_pair(1)))

    result = log_in(parley, server.url)

    assert result.exit_code == 1
    assert "Not a directory. To use another directory, set PARLEY_CONFIG_DIR." in result.stderr


def test_an_interrupted_reader_does_not_show_a_traceback(server, alice, start, gate):
    server.on(
        "POST /chat",
        replies.event_stream(
            replies.TURN_STARTED, ("text.delta", {"text": "x" * 9}), gate.open, ("text.delta", {"text": "y"}), replies.TURN_COMPLETED
        ),
    )
    process = start("chat", "Hi")
    process.stdout.read(9)
    process.stdout.close()
    gate.open.set()

    process.wait(HANG_S)
    assert process.stderr.read() == ""
