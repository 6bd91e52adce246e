"""Connection and server failures are reported in one sentence with a remedy."""

import socket

import pytest

from tests.cli import replies
from tests.support.time_limits import HANG_S


@pytest.fixture
def closed_port():
    """The address of a closed port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def log_in(parley, url):
    return parley("login", "alice@example.com", "--password-stdin", "--url", url, stdin="a long password")


def test_a_stopped_stack_is_reported_with_how_to_start_it(parley, closed_port):
    result = log_in(parley, closed_port)

    assert result.exit_code == 1
    assert (
        result.stderr
        == f"No server answers at {closed_port}. Start it with `parley up` (or `make up`), or name another address with --url.\n"
    )


def test_the_default_address_is_that_of_make_up(parley, closed_port, monkeypatch):
    monkeypatch.setenv("PARLEY_PORT", closed_port.rpartition(":")[2])

    result = parley("login", "alice@example.com", "--password-stdin", stdin="a long password")

    assert f"No server answers at {closed_port}." in result.stderr


@pytest.mark.parametrize("url", ["localhost:3000", "ftp://x", "http://", "http://h:port", "http://u:p@h", "http://h/?q", "nonsense"])
def test_an_invalid_address_is_a_usage_error(parley, url):
    result = log_in(parley, url)

    assert result.exit_code == 2
    assert "is not a valid address. Example: http://127.0.0.1:3000" in result.stderr


def test_invalid_fields_are_listed(server, parley):
    errors = [{"loc": ["body", "email"], "msg": "not an e-mail address"}, {"loc": "password", "msg": "at least 12 characters\x1b[2J"}]
    server.on("POST /auth/login", replies.problem(422, "invalid_request", "Some fields are wrong.", errors=errors))

    result = log_in(parley, server.url)

    assert result.stderr == ("Some fields are wrong.\n  email: not an e-mail address\n  password: at least 12 characters\nrequest req-1\n")


@pytest.mark.parametrize(("retry_after", "expected"), [("1.2", " Retry in 2 s."), ("soon", ""), ("-1", ""), ("inf", "")])
def test_a_busy_server_says_when_to_try_again(server, parley, retry_after, expected):
    server.on("POST /auth/login", replies.problem(429, "rate_limited", "Too many attempts.", retry_after=retry_after))

    assert log_in(parley, server.url).stderr == f"Too many attempts.{expected}\nrequest req-1\n"


@pytest.mark.parametrize(
    ("status", "body", "evidence"),
    [
        (404, "<html>", "it answered 404"),
        (200, "<html>", "its answer is not JSON"),
        (200, "[]", "its answer has no tokens"),
        (302, "", "it answered 302"),
    ],
)
def test_a_server_that_is_not_parley_is_recognised(server, parley, status, body, evidence):
    server.on("POST /auth/login", replies.reply(status, body, media_type="text/html"))

    assert f"does not look like Parley ({evidence})" in log_in(parley, server.url).stderr


def test_the_gateways_own_message_is_shown_too(server, parley):
    server.on("POST /auth/login", replies.reply(403, {"message": "Forbidden"}, X_Request_Id="req-9"))

    assert log_in(parley, server.url).stderr == "Forbidden\nrequest req-9\n"


def test_a_lost_connection_is_reported(server, parley):
    def half(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        handler.close_connection = True

    server.on("POST /auth/login", half)

    assert f"The connection to {server.url} was lost before the answer was complete." in log_in(parley, server.url).stderr


def test_a_config_directory_that_cannot_be_created_is_reported(server, parley, config):
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
