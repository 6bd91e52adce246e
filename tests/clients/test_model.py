"""The fake vendor's model answers by the request alone."""

import json

import pytest

from tests.clients.model import chunks, sample

ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}}
HELLO = [{"role": "user", "content": "Hello there"}]


def deltas(**body):
    """Return the deltas of the answer and its finish reason."""
    events = [json.loads(line.removeprefix(b"data: ")) for line in chunks(body) if b"[DONE]" not in line]
    choices = [event["choices"][0] for event in events if event["choices"]]
    return [choice["delta"] for choice in choices], choices[-1]["finish_reason"]


def text_of(**body):
    return "".join(delta.get("content") or "" for delta in deltas(**body)[0])


def call_of(**body):
    found, reason = deltas(**body)
    calls = [delta["tool_calls"][0]["function"] for delta in found if "tool_calls" in delta]
    return reason, calls[0]["name"], json.loads("".join(call["arguments"] for call in calls))


def test_a_question_is_repeated_in_several_pieces():
    found, reason = deltas(messages=HELLO)

    assert ([delta.get("content") for delta in found[:-1]], reason) == (["You ", "said: ", "Hello ", "there"], "stop")


def test_a_named_tool_is_called_with_the_named_arguments():
    question = [{"role": "user", "content": 'Call add {"a": 2, "b": 3} please'}]

    assert call_of(messages=question, tools=[ADD]) == ("tool_calls", "add", {"a": 2, "b": 3})


def test_a_required_call_gets_sample_arguments():
    assert call_of(messages=HELLO, tools=[ADD], tool_choice="required") == ("tool_calls", "add", {"a": 36})


def test_a_tools_result_is_repeated():
    assert text_of(messages=[*HELLO, {"role": "tool", "content": "5"}], tools=[ADD], tool_choice="required") == "The tool returned: 5"


def test_an_answer_by_schema_is_a_sample_of_it():
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}

    assert json.loads(text_of(messages=HELLO, response_format={"json_schema": {"schema": schema}})) == {"name": "Ada"}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": ["integer", "null"]}, 36),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, True),
        ({"enum": ["red", "blue"]}, "red"),
        ({"const": 7}, 7),
        ({"type": "array", "items": {"$ref": "#/$defs/Name"}, "$defs": {"Name": {"type": "string"}}}, ["Ada"]),
        ({"type": "null"}, None),
    ],
)
def test_a_sample_fits_its_schema(schema, value):
    assert sample(schema) == value
