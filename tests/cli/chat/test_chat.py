"""`parley chat` with a message: the streamed answer and every way it can end."""

import json

import pytest

from tests.cli import replies
from tests.support.time_limits import HANG_S

CONVERSATION = "0190a1b2-0000-7000-8000-0000deadbeef"


def delta(text):
    return ("text.delta", {"text": text})


def test_the_answer_is_printed_and_nothing_else(server, alice, parley):
    server.on("POST /chat", replies.answer("Hel", "lo."))

    result = parley("chat", "Hi")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "Hello.\n", "")
    assert server.requests[0].body == {"message": "Hi", "stream": True}


def test_the_first_text_is_shown_before_the_last_is_sent(server, alice, start, gate):
    server.on("POST /chat", replies.event_stream(replies.TURN_STARTED, delta("First"), gate.open, delta(", last."), replies.TURN_COMPLETED))
    process = start("chat", "Hi")

    first = process.stdout.read(5)
    gate.open.set()

    assert first == "First"
    assert process.stdout.read() == ", last.\n"


@pytest.mark.parametrize("args", [["-"], []])
def test_the_message_comes_from_standard_input(server, alice, parley, args):
    server.on("POST /chat", replies.answer("Yes."))

    parley("chat", *args, stdin="line one\nline two é\n")

    assert server.requests[0].body["message"] == "line one\nline two é\n"


def test_standard_input_that_is_not_utf8_still_arrives(server, alice, parley):
    server.on("POST /chat", replies.answer("Yes."))

    parley("chat", stdin=b"caf\xe9")

    assert server.requests[0].body["message"] == "caf\ufffd"


@pytest.mark.parametrize("args", [[""], ["  "], []])
def test_an_empty_message_is_not_sent(server, alice, parley, args):
    result = parley("chat", *args, stdin="")

    assert result.exit_code == 2
    assert "The message must contain text." in result.stderr
    assert server.requests == []


def test_an_argument_that_is_not_utf8_is_reported(server, alice, start):
    process = start("chat", b"caf\xe9")

    assert process.wait(HANG_S) == 1
    assert process.stderr.read() == "The input is not valid UTF-8 text.\n"


def test_continue_uses_the_latest_conversation(server, alice, parley):
    server.on("GET /conversations", replies.reply(200, {"items": [{"id": CONVERSATION}], "next_cursor": None}))
    server.on("POST /chat", replies.answer("Yes."))

    parley("chat", "-c", "And then?", "--model", "offline")

    assert server.lines[0] == "GET /conversations?limit=1"
    assert server.requests[1].body == {"message": "And then?", "stream": True, "conversation_id": CONVERSATION, "model": "offline"}


def test_continue_without_a_conversation_says_how_to_start_one(server, alice, parley):
    server.on("GET /conversations", replies.reply(200, {"items": [], "next_cursor": None}))

    result = parley("chat", "-c", "And then?")

    assert (result.exit_code, result.stderr) == (1, 'No conversations yet. Start one: parley chat "Hello"\n')


def test_a_conversation_can_be_named_by_its_short_id(server, alice, parley):
    server.on("GET /conversations", replies.reply(200, {"items": [{"id": CONVERSATION}], "next_cursor": None}))
    server.on("POST /chat", replies.answer("Yes."))

    parley("chat", "Go on", "--conversation", "deadbeef")

    assert server.requests[-1].body["conversation_id"] == CONVERSATION


def test_continue_and_conversation_cannot_be_combined(alice, parley):
    assert parley("chat", "Hi", "-c", "--conversation", CONVERSATION).exit_code == 2


def test_json_prints_the_whole_answer(server, alice, parley):
    answer = {"turn_id": "t-1", "message": {"text": "Hé\x1b[31m \x9b31m"}, "usage": {"cost_usd": 0}}
    server.on("POST /chat", replies.reply(200, answer))

    result = parley("chat", "--json", "Hi")

    assert server.requests[0].body == {"message": "Hi", "stream": False}
    assert json.loads(result.stdout) == answer
    assert not set("\x1b\x9b") & set(result.stdout)


def test_a_failed_turn_is_one_sentence_after_the_text_so_far(server, alice, parley):
    failed = ("turn.failed", {"status": 503, "code": "provider_busy", "detail": "The model is busy.", "retryable": True})
    server.on("POST /chat", replies.event_stream(replies.TURN_STARTED, delta("Well"), failed))

    result = parley("chat", "Hi")

    assert (result.exit_code, result.stdout, result.stderr) == (1, "Well\n", "The model is busy.\n")


def test_a_failed_turn_without_a_reason_is_reported_too(server, alice, parley):
    server.on("POST /chat", replies.event_stream(replies.TURN_STARTED, ("turn.failed", {})))

    assert parley("chat", "Hi").stderr == "The model could not answer.\n"


@pytest.mark.parametrize(("name", "word"), [("turn.interrupted", "interrupted"), ("turn.waiting", "approval")])
def test_an_unfinished_answer_is_reported(server, alice, parley, name, word):
    server.on("POST /chat", replies.event_stream(replies.TURN_STARTED, delta("Well"), (name, {})))

    result = parley("chat", "Hi")

    assert result.exit_code == 1
    assert word in result.stderr


def test_a_stopped_answer_is_not_a_failure(server, alice, parley):
    server.on("POST /chat", replies.event_stream(replies.TURN_STARTED, delta("Well"), ("turn.stopped", {"reason": "user"})))

    assert parley("chat", "Hi").exit_code == 0


def test_unknown_events_pings_and_odd_fields_are_ignored(server, alice, parley):
    odd = [b": ping\n\n", ("mood", {"is": "good"}), b"event: text.delta\ndata: [1]\n\n", ("text.delta", {"text": 7}), b"data: x\n\n"]
    server.on("POST /chat", replies.event_stream(replies.TURN_STARTED, *odd, delta("Fine."), replies.TURN_COMPLETED))

    result = parley("chat", "Hi")

    assert (result.exit_code, result.stdout) == (0, "Fine.\n")


def test_an_event_split_anywhere_is_reassembled(server, alice, parley):
    raw = 'event: text.delta\r\ndata: {"text": "é 🙂"}\r\n\r\n'.encode()
    server.on("POST /chat", replies.event_stream(replies.TURN_STARTED, *(bytes([byte]) for byte in raw), replies.TURN_COMPLETED))

    assert parley("chat", "Hi").stdout == "é 🙂\n"


def test_a_model_cannot_control_the_terminal(server, alice, parley):
    server.on("POST /chat", replies.answer("a\x1b", "[31mb\x1b]0;ti", "tle\x07c\r\x08", "\x9b2", "Jd\n"))

    assert parley("chat", "Hi").stdout == "abcd\n"


def test_a_response_that_is_not_a_stream_is_an_error(server, alice, parley):
    server.on("POST /chat", replies.reply(200, {"message": "?"}))

    result = parley("chat", "Hi")

    assert result.exit_code == 1
    assert f"The server at {server.url} does not look like Parley (its answer is not an event stream)." in result.stderr


def test_a_terminal_shows_steps_and_cost_around_the_answer(server, alice, terminal):
    call = ("tool.call", {"call_id": "1", "name": "calculator", "arguments": {"expression": "2*3"}})
    result = ("tool.result", {"call_id": "1", "name": "calculator", "ok": True, "content": "6\x1b[2J", "elapsed_ms": 3})
    server.on(
        "POST /chat",
        replies.event_stream(replies.TURN_STARTED, delta("Let me see"), call, result, delta("It is 6."), replies.TURN_COMPLETED),
    )
    person = terminal("chat", "2*3?")

    assert person.end() == 0
    assert person.lines == [
        "Let me see",
        '→ calculator {"expression": "2*3"}',
        "← calculator: 6",
        "",
        "It is 6.",
        "offline · 12 in / 34 out · $0.00042 · first token 120 ms · 1.4 s",
    ]


def test_ctrl_c_ends_the_answer_quietly_and_stops_the_turn(server, alice, terminal, gate):
    server.on("POST /chat", replies.event_stream(replies.TURN_STARTED, delta("Once upon"), gate.open))
    server.on("POST /chat/turns/t-1/stop", replies.reply(202))
    person = terminal("chat", "A long story")
    person.expect("Once upon")
    person.interrupt()

    assert person.end() == 130
    assert [line.removesuffix("^C") for line in person.lines] == ["Once upon"]
    assert server.lines == ["POST /chat", "POST /chat/turns/t-1/stop"]


def test_ctrl_c_stops_the_turn_of_a_whole_answer_too(server, alice, terminal, gate):
    def hold(handler):
        gate.arrived.set()
        gate.open.wait(HANG_S)
        replies.reply(200, {})(handler)

    server.on("POST /chat", hold, replies.problem(409, "in_progress", "The request is still running.", turn_id="t-1"))
    server.on("POST /chat/turns/t-1/stop", replies.reply(202))
    person = terminal("chat", "--json", "A long story")
    gate.arrived.wait(HANG_S)
    person.interrupt()
    code = person.end()
    gate.open.set()

    assert code == 130
    assert server.lines == ["POST /chat", "POST /chat", "POST /chat/turns/t-1/stop"]
    assert len({request.key for request in server.requests[:2]}) == 1
