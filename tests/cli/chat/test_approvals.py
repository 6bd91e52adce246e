"""Approval of tool calls."""

import pytest

from tests.cli import replies


def approval(call_id="w", **arguments):
    return ("tool.approval", {"call_id": call_id, "name": "write", "arguments": arguments or {"to": "bob"}})


def waits(*calls):
    ids = [data["call_id"] for _, data in calls]
    return replies.event_stream(replies.TURN_STARTED, ("text.delta", {"text": "I write."}), *calls, ("turn.waiting", {"call_ids": ids}))


APPROVALS = "POST /chat/turns/t-1/approvals"


@pytest.fixture
def waiting(server, alice):
    """A server whose answers wait for approval of the tool `write`."""
    server.on("POST /chat", waits(approval()))
    server.on(APPROVALS, replies.event_stream(("text.delta", {"text": "Done."}), replies.TURN_COMPLETED))
    return server


@pytest.mark.parametrize(("typed", "word"), [("y\n", True), ("n\n", False)])
def test_the_user_is_asked_and_the_answer_continues(waiting, terminal, typed, word):
    person = terminal("chat", "Write to Bob")
    person.expect('Run write {"to": "bob"}? [y/N]:')
    person.type(typed)
    person.expect("Done.")

    assert person.end() == 0
    assert waiting.requests[-1].body == {"call_id": "w", "approve": word, "stream": True}


@pytest.mark.parametrize(("flag", "word"), [("--yes", True), ("--no", False)])
def test_a_script_decides_with_an_option(waiting, parley, flag, word):
    result = parley("chat", "Write to Bob", flag)

    assert (result.exit_code, result.stdout) == (0, "I write.\nDone.\n")
    assert waiting.requests[-1].body["approve"] is word


def test_a_script_without_a_decision_is_told_the_options(waiting, parley):
    result = parley("chat", "Write to Bob")

    assert result.exit_code == 1
    assert "is waiting for your approval of write" in result.stderr
    assert "--yes or --no" in result.stderr
    assert waiting.lines == ["POST /chat"]


def test_every_call_of_a_turn_is_decided(server, alice, parley):
    server.on("POST /chat", waits(approval("one"), approval("two")))
    server.on(APPROVALS, replies.reply(202), replies.answer("Done."))

    assert parley("chat", "Write twice", "--yes").stdout == "I write.\nDone.\n"
    assert [request.body["call_id"] for request in server.requests[1:]] == ["one", "two"]


@pytest.mark.parametrize("opener", ["\x9d", "\x90", "\x9b"])
def test_an_approval_prompt_shows_what_follows_a_control_character(server, alice, terminal, opener):
    server.on("POST /chat", waits(approval(to=f"bob{opener}000 and everybody")))
    person = terminal("chat", "Write to Bob")
    person.expect("[y/N]:")

    assert f"bob\\u{ord(opener):04x}000 and everybody" in "\n".join(person.lines)


def test_an_approval_prompt_cannot_control_the_terminal(server, alice, terminal):
    server.on("POST /chat", waits(approval(to="\x1b[2Jbob\nRun nothing")))
    person = terminal("chat", "Write to Bob")
    person.expect("[y/N]:")

    assert [line for line in person.lines if line] == ["I write.", 'Run write {"to": "\\u001b[2Jbob\\nRun nothing"}? [y/N]:']


def test_ctrl_c_at_the_question_stops_the_turn(waiting, terminal):
    waiting.on("POST /chat/turns/t-1/stop", replies.reply(202))
    person = terminal("chat", "Write to Bob")
    person.expect("[y/N]:")
    person.interrupt()
    person.end()

    assert waiting.lines[-1] == "POST /chat/turns/t-1/stop"


WAITS = {"turn_id": "t-1", "status": "waiting", "approvals": [{"call_id": "w", "name": "write", "arguments": {}}]}


def test_json_of_a_waiting_turn_is_printed_and_the_command_fails(server, alice, parley):
    server.on("POST /chat", replies.reply(200, WAITS))
    result = parley("chat", "Write", "--json")

    assert result.exit_code == 1
    assert '"status": "waiting"' in result.stdout


def test_json_with_a_decision_is_the_complete_answer(server, alice, parley):
    server.on("POST /chat", replies.reply(200, WAITS))
    server.on(APPROVALS, replies.reply(200, {"turn_id": "t-1", "status": "completed", "approvals": []}))
    result = parley("chat", "Write", "--json", "--yes")

    assert result.exit_code == 0
    assert '"status": "completed"' in result.stdout
