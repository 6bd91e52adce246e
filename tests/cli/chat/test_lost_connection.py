"""An answer whose connection is lost goes on where it stopped."""

import pytest

from cli.chat import turn_stream
from tests.cli import replies


def delta(text, number):
    return ("text.delta", {"text": text}, number)


STARTED = (*replies.TURN_STARTED, 1)
COMPLETED = (*replies.TURN_COMPLETED, 5)
EVENTS = "GET /chat/turns/t-1/events"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(turn_stream, "RECONNECT_DELAYS_S", (0.0, 0.0, 0.0))


@pytest.mark.parametrize("is_cut", [True, False])
def test_the_answer_goes_on_after_the_last_event_without_a_gap_or_a_doubled_word(server, alice, parley, is_cut):
    server.on("POST /chat", replies.event_stream(STARTED, delta("One ", 2), delta("two ", 3), is_cut=is_cut))
    server.on(EVENTS, replies.event_stream(delta("two ", 3), delta("three.", 4), COMPLETED))

    result = parley("chat", "Count")

    assert (result.exit_code, result.stdout) == (0, "One two three.\n")
    assert server.lines == ["POST /chat", f"{EVENTS}?after=3"]


def test_a_connection_that_is_lost_again_and_again_is_made_again_as_long_as_events_arrive(server, alice, parley):
    server.on("POST /chat", replies.event_stream(STARTED, is_cut=True))
    pieces = [replies.event_stream(delta(f"{number} ", number), is_cut=True) for number in range(2, 9)]
    server.on(EVENTS, *pieces, replies.event_stream((*replies.TURN_COMPLETED, 9)))

    assert parley("chat", "Count").stdout == "2 3 4 5 6 7 8 \n"


def test_a_question_whose_answer_has_not_begun_is_sent_again_with_the_same_key(server, alice, parley):
    server.on("POST /chat", replies.event_stream(is_cut=True), replies.event_stream(STARTED, delta("Hello.", 2), COMPLETED))

    assert parley("chat", "Hi").stdout == "Hello.\n"
    assert len({request.key for request in server.requests}) == 1
    assert server.requests[0].key


def test_a_question_that_is_being_answered_is_followed(server, alice, parley):
    running = replies.problem(409, "in_progress", "The request is still running.", turn_id="t-1")
    server.on("POST /chat", replies.event_stream(is_cut=True), running)
    server.on(EVENTS, replies.event_stream(STARTED, delta("Hello.", 2), COMPLETED))

    assert parley("chat", "Hi").stdout == "Hello.\n"
    assert server.lines[-1] == f"{EVENTS}?after=0"


def test_an_approval_is_sent_again_because_it_may_be_lost(server, alice, parley):
    approval = ("tool.approval", {"call_id": "w", "name": "write", "arguments": {}}, 2)
    server.on("POST /chat", replies.event_stream(STARTED, approval, ("turn.waiting", {"call_ids": ["w"]}, 3)))
    server.on("POST /chat/turns/t-1/approvals", replies.event_stream(is_cut=True), replies.event_stream(delta("Done.", 4), COMPLETED))

    assert parley("chat", "--yes", "Write").stdout == "Done.\n"
    assert server.lines[1:] == ["POST /chat/turns/t-1/approvals"] * 2


def test_after_enough_attempts_the_loss_is_reported(server, alice, parley):
    server.on("POST /chat", replies.event_stream(STARTED, delta("Well", 2), is_cut=True))
    server.on(EVENTS, replies.event_stream(is_cut=True))

    result = parley("chat", "Hi")

    assert (result.exit_code, result.stdout) == (1, "Well\n")
    assert result.stderr == "The connection was lost before the answer was complete. To see the stored part: parley history\n"
    assert len(server.lines) == 4


def test_a_turn_that_is_gone_is_reported(server, alice, parley):
    server.on("POST /chat", replies.event_stream(STARTED, is_cut=True))
    server.on(EVENTS, replies.problem(404, "not_found", "There is no such turn."))

    assert "The connection was lost" in parley("chat", "Hi").stderr


def test_a_server_that_was_never_reached_is_reported_at_once(alice, server, parley, monkeypatch):
    alice.log_in("http://127.0.0.1:9", next(iter(alice.read().by_url.values())))
    monkeypatch.setattr(turn_stream, "RECONNECT_DELAYS_S", (1000.0,))

    assert "No server answers at http://127.0.0.1:9" in parley("chat", "Hi", "--url", "http://127.0.0.1:9").stderr
