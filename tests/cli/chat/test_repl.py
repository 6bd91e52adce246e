"""`parley chat` without a message: the interactive chat."""

import stat

import pytest

from tests.cli import replies
from tests.cli.terminal import PROMPT

MODELS = [{"id": "offline", "provider": "offline", "context_tokens": 8192, "abilities": ["tools"], "default": True}]


@pytest.fixture
def person(server, alice, terminal):
    """A user at the prompt of a new chat."""
    server.on("POST /chat", replies.answer("Hello."))
    server.on("GET /models", replies.reply(200, MODELS))
    opened = terminal("chat")
    opened.expect(PROMPT)
    return opened


def test_the_chat_stays_in_its_conversation_until_ctrl_d(server, person):
    for message in ("Hi", "And you?"):
        person.type(f"{message}\n")
        person.expect("1.4 s")
        person.expect(PROMPT)
    person.type("\x04")

    assert person.end() == 0
    assert [request.body.get("conversation_id") for request in server.requests] == [None, "c-1"]


def test_empty_lines_are_not_sent(server, person):
    person.type("\n")
    person.expect(PROMPT)
    person.type("   \n/quit\n")

    assert person.end() == 0
    assert server.requests == []


def test_new_starts_another_conversation(server, person):
    for typed, shown in (("Hi", "1.4 s"), ("/new", "New conversation"), ("Hi again", "1.4 s")):
        person.type(f"{typed}\n")
        person.expect(shown)
        person.expect(PROMPT)

    assert [request.body.get("conversation_id") for request in server.requests] == [None, None]


def test_only_an_available_model_can_be_selected(server, person):
    for typed, shown in (
        ("/model gpt", "There is no model 'gpt'. Available models: offline"),
        ("/model offline", "Model: offline"),
        ("Hi", "1.4 s"),
    ):
        person.type(f"{typed}\n")
        person.expect(shown)
        person.expect(PROMPT)

    assert server.requests[-1].body["model"] == "offline"


def test_slash_words_are_commands_and_paths_are_messages(server, person):
    for typed, shown in (
        ("/help", "/history"),
        ("/models", "offline"),
        ("/nonsense", "Unknown command /nonsense"),
        ("/etc/hosts?", "Hello."),
    ):
        person.type(f"{typed}\n")
        person.expect(shown)
        person.expect(PROMPT)

    assert server.requests[-1].body["message"] == "/etc/hosts?"


def test_history_shows_this_conversation(server, person):
    messages = [{"role": "user", "text": "Hi"}, {"role": "assistant", "text": "Hello, Alice.", "model": "offline"}]
    server.on("GET /conversations/c-1/messages", replies.reply(200, {"items": messages, "next_cursor": None}))
    for typed, shown in (
        ("/history", "This conversation has no messages yet."),
        ("Hi", "1.4 s"),
        ("/history", "assistant · offline\nHello, Alice."),
    ):
        person.type(f"{typed}\n")
        person.expect(shown)
        person.expect(PROMPT)


def test_a_failure_does_not_end_the_chat(server, person):
    server.on("POST /chat", replies.problem(429, "rate_limited", "Too many questions.", retry_after=3), replies.answer("Hello."))
    for typed, shown in (("Hi", "Too many questions. Retry in 3 s."), ("Hi", "Hello.")):
        person.type(f"{typed}\n")
        person.expect(shown)
        person.expect(PROMPT)


def test_a_lost_session_ends_the_chat(server, person):
    server.on("POST /chat", replies.problem(401, "invalid_token", "Token."))
    server.on("POST /auth/refresh", replies.problem(401, "invalid_refresh_token", "No."))
    person.type("Hi\n")

    assert person.end() == 1
    assert "Your session has ended. Log in again: parley login" in person.shown


def test_ctrl_c_stops_the_answer_and_returns_to_the_prompt(server, person, gate):
    server.on(
        "POST /chat", replies.event_stream(replies.TURN_STARTED, ("text.delta", {"text": "Once upon"}), gate.open), replies.answer("Hello.")
    )
    server.on("POST /chat/turns/t-1/stop", replies.reply(202))
    person.type("A long story\n")
    person.expect("Once upon")
    person.interrupt()
    person.expect("stopped\n")
    person.expect(PROMPT)
    person.type("Hi\n")
    person.expect("Hello.")

    assert server.requests[-1].body["conversation_id"] == "c-1"


def test_ctrl_c_at_the_prompt_shows_a_new_prompt(person):
    person.type("half a que")
    person.expect("half a que")
    person.interrupt()
    person.expect(PROMPT)
    person.type("\x04")

    assert person.end() == 0


def test_lines_are_stored_in_a_private_file(person, terminal, config):
    person.type("What is 6*7?\n")
    person.expect("1.4 s")
    person.type("/quit\n")
    person.end()
    again = terminal("chat")
    again.expect(PROMPT)
    again.type("\x1b[A\x1b[A\n")
    again.expect("What is 6*7?")

    assert stat.S_IMODE((config / "history").stat().st_mode) == 0o600


def test_a_user_without_a_session_is_told_before_typing(server, terminal):
    person = terminal("chat", "--url", server.url)

    assert person.end() == 1
    assert person.shown.startswith("You are not logged in")


def test_a_continued_chat_shows_its_conversation(server, alice, terminal):
    server.on("GET /conversations", replies.reply(200, {"items": [{"id": "c-9"}], "next_cursor": None}))

    terminal("chat", "-c").expect("Conversation c-9")


def test_pasted_lines_are_one_message(server, person):
    person.type("\x1b[200~first line\nsecond line\n\x1b[201~")
    person.type("\r")
    person.expect("1.4 s")

    assert [request.body["message"] for request in server.requests] == ["first line\nsecond line"]


@pytest.mark.parametrize("new_line", ["\x1b\r", "\\\r"])
def test_a_message_can_have_several_lines(server, person, new_line):
    person.type(f"one{new_line}two\r")
    person.expect("1.4 s")

    assert server.requests[0].body["message"] == "one\ntwo"


def test_earlier_messages_are_searched(server, person):
    for message in ("Tell me about foxes", "Tell me about hens"):
        person.type(f"{message}\r")
        person.expect("1.4 s")
        person.expect(PROMPT)
    person.type("\x12fox\r\r")
    person.expect("1.4 s")

    assert server.requests[-1].body["message"] == "Tell me about foxes"


def test_a_message_is_written_in_the_editor(server, alice, terminal, monkeypatch):
    monkeypatch.setenv("EDITOR", "sh -c 'printf \"one\\ntwo\\n\" > $0'")
    server.on("POST /chat", replies.answer("Hello."))
    person = terminal("chat")
    person.expect(PROMPT)
    person.type("/edit\r")
    person.expect("1.4 s")

    assert server.requests[0].body["message"] == "one\ntwo"


def test_the_last_question_is_answered_again(server, person):
    server.on("POST /chat/regenerate", replies.answer("Hello again."))
    for typed, shown in (("/regenerate", "no messages yet"), ("Hi", "1.4 s"), ("/regenerate", "Hello again.")):
        person.type(f"{typed}\r")
        person.expect(shown)
        person.expect(PROMPT)

    assert server.requests[-1].body == {"conversation_id": "c-1", "stream": True, "questions": True}


def test_the_last_answer_is_rated_with_a_reason(server, person):
    server.on("PUT /messages/m-2/feedback", replies.reply(200, {"rating": "bad", "reason": "Too long."}))
    for typed, shown in (("/good", "no answer to rate"), ("Hi", "1.4 s"), ("/bad Too long.", "Thank you")):
        person.type(f"{typed}\r")
        person.expect(shown)
        person.expect(PROMPT)

    assert server.requests[-1].body == {"rating": "bad", "reason": "Too long."}


def test_a_new_conversation_of_an_incognito_chat_with_instructions_is_incognito_too(server, alice, terminal):
    server.on("POST /conversations", replies.reply(201, {"id": "c-7"}))
    server.on("POST /chat", replies.answer("Hello."))
    person = terminal("chat", "--system", "Be brief.", "--incognito")
    person.expect(PROMPT)
    for typed, shown in (("Hi", "1.4 s"), ("/new", "New conversation"), ("Hi again", "1.4 s")):
        person.type(f"{typed}\n")
        person.expect(shown)
        person.expect(PROMPT)

    new, stored, other = (request.body for request in server.requests)
    assert [new["incognito"], stored.get("conversation_id"), other.get("conversation_id")] == [True, "c-7", None]
    assert (other["incognito"], "incognito" in stored) == (True, False)
