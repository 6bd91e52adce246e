"""Roles in requests to servers that render them by the model's template, which may refuse roles that do not alternate."""

import pytest

from parley.llm.messages import Image, Message, ModelRequest, Text, ToolCall, ToolResult
from parley.llm.vendors import mistral
from parley.llm.vendors.openai_chat import OPENAI_DIALECT, Dialect, request_messages

IMAGE = Image("image/png", b"\x89PNG\r\n\x1a\n")
QUESTIONS = [Message("user", "first"), Message("user", "second")]
CALL = Message("assistant", [Text("Let me see."), ToolCall("abcdefghi", "t", "{}")])
RESULT = Message("tool", [ToolResult("abcdefghi", "2")])

several_dialects = pytest.mark.parametrize("dialect", [Dialect(), mistral.DIALECT], ids=["compatible", "mistral"])


def sent(messages, dialect, **request):
    return request_messages(ModelRequest(messages, **request), dialect)


def roles(messages):
    return [message["role"] for message in messages]


@several_dialects
def test_a_question_that_was_never_answered_joins_the_next_one(dialect):
    assert sent(QUESTIONS, dialect) == [{"role": "user", "content": "first\n\nsecond"}]


@several_dialects
def test_a_question_with_an_image_joins_the_next_one(dialect):
    (message,) = sent([Message("user", [Text("look"), IMAGE]), *QUESTIONS], dialect)

    assert [part.get("text") for part in message["content"]] == ["look", None, "first\n\nsecond"]


@several_dialects
def test_the_user_begins_after_the_system_prompt_although_the_history_begins_with_an_answer(dialect):
    messages = sent([Message("assistant", "an answer"), *QUESTIONS], dialect, system="be brief")

    assert roles(messages) == ["system", "user", "assistant", "user"]
    assert messages[1]["content"].strip()


@several_dialects
def test_an_answer_in_two_messages_is_one_and_keeps_its_reasoning_and_its_calls(dialect):
    answer = Message("assistant", "One moment.", reasoning="a")
    messages = sent([QUESTIONS[0], answer, CALL, RESULT], dialect)

    assert roles(messages) == ["user", "assistant", "tool"]
    assert messages[1]["content"] == "One moment.\n\nLet me see."
    assert messages[1].get("reasoning_content") == ("a" if dialect.takes_reasoning else None)
    assert messages[1]["tool_calls"][0]["id"] == messages[2]["tool_call_id"]


@several_dialects
def test_the_results_of_parallel_calls_stay_apart(dialect):
    call = Message("assistant", [ToolCall(id * 9, "t", "{}") for id in "ab"])
    messages = sent([QUESTIONS[0], call, Message("tool", [ToolResult(id * 9, id) for id in "ab"])], dialect)

    assert roles(messages) == ["user", "assistant", "tool", "tool"]


@several_dialects
def test_system_messages_at_the_beginning_are_one(dialect):
    messages = sent([Message("system", "Be kind."), QUESTIONS[0]], dialect, system="be brief")

    assert messages == [{"role": "system", "content": "be brief\n\nBe kind."}, {"role": "user", "content": "first"}]


@several_dialects
@pytest.mark.parametrize("said", [[Message("system", "Greet.")], []])
def test_a_request_without_a_question_gets_one(dialect, said):
    assert roles(sent(said, dialect))[-1] == "user"


def test_participants_with_names_stay_apart_where_the_server_is_told_the_names():
    said = [Message("user", "a", "ann"), Message("user", "b", "ben"), Message("user", "c", "ben")]

    assert [(each["content"], each["name"]) for each in sent(said, Dialect())] == [("a", "ann"), ("b\n\nc", "ben")]
    assert sent(said, mistral.DIALECT) == [{"role": "user", "content": "a\n\nb\n\nc"}]


def test_only_mistral_hears_from_the_assistant_between_results_and_the_user():
    said = [QUESTIONS[0], CALL, RESULT, QUESTIONS[1]]

    assert roles(sent(said, mistral.DIALECT)) == ["user", "assistant", "tool", "assistant", "user"]
    assert roles(sent(said, Dialect())) == ["user", "assistant", "tool", "user"]


def test_openai_gets_the_messages_as_they_are():
    assert roles(sent([CALL, RESULT, *QUESTIONS], OPENAI_DIALECT)) == ["assistant", "tool", "user", "user"]
