"""Conversion of OpenAI's requests to LLM requests."""

import pytest

from functions.chat.openai_api.requests import to_request
from functions.chat.openai_api.schemas import CompletionIn
from parley.errors import InvalidInput
from parley.llm import messages as llm

USER = {"role": "user", "content": "hello"}
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
ADD = {"type": "function", "function": {"name": "add"}}
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def read(*messages, **fields):
    return to_request(CompletionIn.model_validate({"model": "m", "messages": list(messages)} | fields))


def contents(request):
    return [(message.role, list(message.parts)) for message in request.messages]


def test_system_and_developer_messages_at_the_beginning_are_the_system_prompt():
    request = read({"role": "system", "content": "a"}, {"role": "developer", "content": [{"type": "text", "text": "b"}]}, USER)

    assert (request.system, contents(request)) == ("a\n\nb", [("user", [llm.Text("hello")])])


def test_a_later_system_message_keeps_its_place():
    request = read({"role": "system", "content": "a"}, USER, {"role": "developer", "content": "b"}, USER)

    assert (request.system, [(message.role, message.text) for message in request.messages]) == (
        "a",
        [("user", "hello"), ("system", "b"), ("user", "hello")],
    )


def test_a_system_prompt_alone_is_the_question():
    request = read({"role": "system", "content": "write a poem"})

    assert (request.system, contents(request)) == (None, [("user", [llm.Text("write a poem")])])


def test_the_results_of_parallel_calls_are_one_message():
    calling = {"role": "assistant", "content": None, "tool_calls": [CALL, CALL | {"id": "c2"}]}
    results = [{"role": "tool", "tool_call_id": id, "content": id.upper()} for id in ("c2", "c1")]

    assert contents(read(USER, calling, *results, USER))[1:] == [
        ("assistant", [llm.ToolCall("c1", "add", "{}"), llm.ToolCall("c2", "add", "{}")]),
        ("tool", [llm.ToolResult("c2", "C2"), llm.ToolResult("c1", "C1")]),
        ("user", [llm.Text("hello")]),
    ]


def test_a_complete_answer_sent_back_by_the_sdk_is_accepted():
    answer = {"role": "assistant", "content": "hi", "refusal": None, "annotations": [], "audio": None, "function_call": None}

    assert contents(read(USER, answer, USER))[1] == ("assistant", [llm.Text("hi")])


def test_an_image_stays_between_its_texts():
    content = [{"type": "text", "text": "what is"}, {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}}]

    (_, (text, image)) = contents(read({"role": "user", "content": content}))[0]
    assert (text.text, image.data_url) == ("what is", PIXEL)


@pytest.mark.parametrize(
    ("choice", "names", "expected"),
    [
        (None, ["add", "sub"], "auto"),
        ("none", ["add", "sub"], "none"),
        ("required", ["add", "sub"], "required"),
        ({"type": "function", "function": {"name": "sub"}}, ["sub"], "required"),
    ],
)
def test_a_choice_of_tools(choice, names, expected):
    request = read(USER, tools=[ADD, {"type": "function", "function": {"name": "sub"}}], tool_choice=choice)

    assert ([tool.name for tool in request.tools], request.tool_choice) == (names, expected)


def test_any_json_is_a_loose_schema():
    assert read(USER, response_format={"type": "json_object"}).output == llm.OutputSchema("answer", {"type": "object"}, strict=False)


def test_a_schema_is_as_strict_as_the_client_says():
    wanted = {"name": "it", "schema": {"type": "object"}}
    formats = [{"type": "json_schema", "json_schema": wanted | {"strict": strict}} for strict in (True, False, None)]

    assert [read(USER, response_format=one).output.strict for one in formats] == [True, False, False]


@pytest.mark.parametrize(
    ("messages", "fields", "place"),
    [
        ([{"role": "tool", "tool_call_id": "c1", "content": "x"}], {}, ("messages", 0, "tool_call_id")),
        ([USER, {"role": "assistant", "tool_calls": [CALL]}], {}, ("messages",)),
        ([USER, {"role": "assistant", "tool_calls": [CALL]}, USER], {}, ("messages", 2)),
        ([USER | {"tool_calls": [CALL]}], {}, ("messages", 0, "tool_calls", 0)),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}],
            {},
            ("messages", 0, "content", 0, "image_url", "url"),
        ),
        ([USER], {"tools": [ADD], "tool_choice": {"type": "function", "function": {"name": "sub"}}}, ("tool_choice",)),
    ],
)
def test_mismatched_messages_are_refused_with_their_location(messages, fields, place):
    with pytest.raises(InvalidInput) as caught:
        read(*messages, **fields)

    assert caught.value.errors[0]["loc"] == ["body", *place]
