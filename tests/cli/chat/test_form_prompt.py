"""Questions of the model at the terminal."""

import pytest

from tests.cli import replies

ANSWERS = "POST /chat/turns/t-1/answers"
NO_BOUNDS = {"options": [], "required": True, "default": None}
FIELDS = [
    NO_BOUNDS | {"id": "city", "text": "Which city?", "kind": "choice", "options": [{"value": v, "label": v} for v in ("Lyon", "Turin")]},
    NO_BOUNDS | {"id": "days", "text": "How many days?", "kind": "number"},
    NO_BOUNDS | {"id": "quiet", "text": "A quiet room?", "kind": "boolean"},
    NO_BOUNDS | {"id": "note", "text": "A note?", "kind": "text", "required": False},
]


def asks(*fields, server=None, message=""):
    form = {"server": server, "message": message, "fields": list(fields)}
    question = {"question_id": "q-1", "call_id": "q-1", "name": "ask_user", "form": form}
    return replies.event_stream(replies.TURN_STARTED, ("tool.question", question), ("turn.waiting", {"call_ids": ["q-1"]}))


@pytest.fixture
def asking(server, alice):
    """A server whose answers ask the user four questions."""
    server.on("POST /chat", asks(*FIELDS))
    server.on(ANSWERS, replies.event_stream(("text.delta", {"text": "Done."}), replies.TURN_COMPLETED))
    return server


def test_the_questions_are_asked_one_by_one_and_the_answer_continues(asking, terminal):
    person = terminal("chat", "Plan a trip")
    for label, typed in [("Which city? [1-2]:", "2\n"), ("How many days?:", "3\n"), ("A quiet room? [y/n]:", "y\n"), ("(optional):", "\n")]:
        person.expect(label)
        person.type(typed)
    person.expect("Done.")

    assert person.end() == 0
    assert asking.requests[0].body["questions"] is True
    assert asking.requests[-1].body == {"question_id": "q-1", "answers": {"city": "Turin", "days": 3, "quiet": True}, "stream": True}


def test_what_cannot_be_an_answer_is_asked_again(asking, terminal):
    person = terminal("chat", "Plan a trip")
    person.expect("Which city? [1-2]:")
    person.type("7\n")
    person.expect("type a number from 1 to 2")
    person.expect("Which city? [1-2]:")
    person.type("1\n")
    person.expect("How many days?:")
    person.type("many\n")

    person.expect("type a number")


def test_answers_that_the_server_refuses_are_asked_again(asking, terminal):
    asking.on("POST /chat", asks(FIELDS[1]))
    refused = replies.reply(422, {"code": "invalid_input", "detail": "The request has invalid fields.", "status": 422, "title": "x"})
    asking.on(ANSWERS, refused, replies.event_stream(("text.delta", {"text": "Done."}), replies.TURN_COMPLETED))
    person = terminal("chat", "Plan a trip")
    for typed in ("-1\n", "3\n"):
        person.expect("How many days?:")
        person.type(typed)
    person.expect("Done.")

    assert [request.body["answers"] for request in asking.requests[1:]] == [{"days": -1}, {"days": 3}]


def test_ctrl_d_declines(asking, terminal):
    person = terminal("chat", "Plan a trip")
    person.expect("Which city? [1-2]:")
    person.type("\x04")
    person.expect("Done.")

    assert asking.requests[-1].body["answers"] is None


def test_a_tool_server_is_named_and_cannot_control_the_terminal(asking, terminal):
    asking.on("POST /chat", asks(FIELDS[1], server="trips", message="\x1b[2JPlease\nanswer"))
    person = terminal("chat", "Plan a trip")
    person.expect("The tool server trips asks you:")
    person.expect("Your answers are sent to trips.")
    person.expect("How many days?:")

    assert "\x1b[2J" not in person.shown


def test_a_script_cannot_be_asked(asking, parley):
    asking.on("POST /chat", replies.answer("Done."))
    parley("chat", "Plan a trip")

    assert "questions" not in asking.requests[0].body
