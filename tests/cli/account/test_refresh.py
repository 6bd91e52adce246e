"""Access tokens are refreshed once, and stored before they are used."""

import json

from tests.cli import replies
from tests.support.time_limits import HANG_S

ME = {"email": "alice@example.com", "display_name": None, "role": "user"}


def test_a_401_is_retried_with_a_new_token(server, alice, parley):
    server.on("GET /auth/me", replies.problem(401, "invalid_token", "Token."), replies.reply(200, ME))
    server.on("POST /auth/refresh", replies.reply(200, replies.token_pair(2)))

    result = parley("whoami")

    assert result.exit_code == 0
    assert [request.token for request in server.requests] == ["access-1", "", "access-2"]
    assert server.requests[1].body == {"refresh_token": "refresh-1"}


def test_an_expired_token_is_refreshed_before_it_is_sent(server, expired, parley):
    server.on("GET /auth/me", replies.reply(200, ME))
    server.on("POST /auth/refresh", replies.reply(200, replies.token_pair(2)))

    parley("whoami")

    assert server.lines == ["POST /auth/refresh", "GET /auth/me"]
    assert expired.read().by_url[server.url].refresh_token == "refresh-2"
    assert expired.read().by_url[server.url].email == "alice@example.com"


def test_the_new_pair_is_saved_before_it_is_used(server, expired, parley):
    saved = []

    def look_then_answer(handler):
        saved.append(json.loads(expired.path.read_text())["sessions"][server.url]["refresh_token"])
        replies.reply(200, ME)(handler)

    server.on("GET /auth/me", look_then_answer)
    server.on("POST /auth/refresh", replies.reply(200, replies.token_pair(2)))

    parley("whoami")

    assert saved == ["refresh-2"]


def test_concurrent_processes_refresh_once(server, expired, start, gate):
    def held_for_a_second_one(handler):
        gate.arrived.wait(0.5)
        replies.reply(200, replies.token_pair(2))(handler)

    def second_one(handler):
        gate.arrived.set()
        replies.problem(401, "invalid_refresh_token", "Reused.")(handler)

    server.on("GET /auth/me", replies.reply(200, ME))
    server.on("POST /auth/refresh", held_for_a_second_one, second_one)
    processes = [start("whoami") for _ in range(3)]

    assert [process.wait(HANG_S) for process in processes] == [0, 0, 0]
    assert server.lines.count("POST /auth/refresh") == 1
    assert {request.token for request in server.requests if request.method == "GET"} == {"access-2"}


def test_a_refused_refresh_ends_the_session(server, expired, parley):
    server.on("POST /auth/refresh", replies.problem(401, "invalid_refresh_token", "The refresh token is not valid."))

    result = parley("whoami")

    assert (result.exit_code, result.stderr) == (1, "Your session has ended. Log in again: parley login\n")
    assert expired.read().by_url == {}


def test_a_refresh_that_fails_for_another_reason_keeps_the_session(server, expired, parley):
    server.on("POST /auth/refresh", replies.problem(503, "unavailable", "The database is away.", retry_after=2))

    result = parley("whoami")

    assert result.stderr.startswith("The database is away. Retry in 2 s.\n")
    assert expired.read().by_url[server.url].refresh_token == "refresh-1"


def test_a_401_with_a_new_token_is_shown_and_not_retried(server, alice, parley):
    server.on("GET /auth/me", replies.problem(401, "invalid_token", "Who are you?"))
    server.on("POST /auth/refresh", replies.reply(200, replies.token_pair(2)))

    result = parley("whoami")

    assert result.stderr.startswith("Who are you?")
    assert len(server.requests) == 3


def test_an_expired_session_is_refreshed_before_a_chat(server, expired, parley):
    server.on("POST /auth/refresh", replies.reply(200, replies.token_pair(2)))
    server.on("POST /chat", replies.answer("Hello."))

    result = parley("chat", "Hi")

    assert result.stdout == "Hello.\n"
