"""Anthropic's SDK for Python."""

import anthropic
from anthropic import Anthropic
from checks import ANSWER, KEY, MODEL, PERSON, QUESTION, TOOL_ANSWER, TOOL_QUESTION, URL, add, check, equal, raises
from pydantic import BaseModel

client = Anthropic(base_url=URL, api_key=KEY)

ASK = {"model": MODEL, "max_tokens": 1000, "messages": [{"role": "user", "content": QUESTION}]}
NUMBERS = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
ADD = {"name": "add", "description": "Add two numbers.", "input_schema": NUMBERS}


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@check("answer")
def _() -> None:
    answer = client.messages.create(**ASK)
    equal((answer.content[0].text, answer.stop_reason, answer.usage.output_tokens), (ANSWER, "end_turn", 3))


@check("stream")
def _() -> None:
    with client.messages.stream(**ASK) as stream:
        pieces = list(stream.text_stream)
    assert len(pieces) > 1
    equal("".join(pieces), ANSWER)


@check("tools")
def _() -> None:
    messages = [{"role": "user", "content": TOOL_QUESTION}]
    asked = client.messages.create(**ASK | {"messages": messages}, tools=[ADD])
    (use,) = [block for block in asked.content if block.type == "tool_use"]
    result = {"type": "tool_result", "tool_use_id": use.id, "content": str(add(**use.input))}
    messages += [{"role": "assistant", "content": asked.content}, {"role": "user", "content": [result]}]
    equal(client.messages.create(**ASK | {"messages": messages}, tools=[ADD]).content[0].text, TOOL_ANSWER)


@check("structured output")
def _() -> None:
    equal(client.messages.parse(**ASK, output_format=Person).parsed_output, Person(**PERSON))


@check("count of tokens")
def _() -> None:
    assert client.messages.count_tokens(model=MODEL, messages=ASK["messages"]).input_tokens > 0


@check("errors")
def _() -> None:
    with raises(anthropic.NotFoundError):
        client.messages.create(**ASK | {"model": "no-such-model"})
    with raises(anthropic.AuthenticationError):
        client.with_options(api_key="wrong").messages.create(**ASK)
