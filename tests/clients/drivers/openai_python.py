"""OpenAI's SDK for Python."""

import json

import openai
from checks import ANSWER, KEY, MODEL, PERSON, QUESTION, TOOL_ANSWER, TOOL_QUESTION, URL, add, check, equal, raises
from openai import OpenAI
from pydantic import BaseModel

client = OpenAI(base_url=f"{URL}/v1", api_key=KEY)

ASK = [{"role": "user", "content": QUESTION}]
NUMBERS = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
ADD = {"type": "function", "function": {"name": "add", "description": "Add two numbers.", "parameters": NUMBERS}}

FLAT_ADD = {"type": "function", **ADD["function"], "strict": False}


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@check("models")
def _() -> None:
    assert MODEL in {model.id for model in client.models.list()}
    equal(client.models.retrieve(MODEL).id, MODEL)


@check("answer")
def _() -> None:
    answer = client.chat.completions.create(model=MODEL, messages=ASK)
    equal((answer.choices[0].message.content, answer.choices[0].finish_reason), (ANSWER, "stop"))
    equal(answer.usage.total_tokens, 15)


@check("stream")
def _() -> None:
    with client.chat.completions.stream(model=MODEL, messages=ASK, stream_options={"include_usage": True}) as stream:
        pieces = [event.delta for event in stream if event.type == "content.delta"]
    assert len(pieces) > 1
    equal(("".join(pieces), stream.get_final_completion().usage.total_tokens), (ANSWER, 15))


@check("tools")
def _() -> None:
    messages = [{"role": "user", "content": TOOL_QUESTION}]
    (call,) = client.chat.completions.create(model=MODEL, messages=messages, tools=[ADD]).choices[0].message.tool_calls
    result = str(add(**json.loads(call.function.arguments)))
    messages += [{"role": "assistant", "tool_calls": [call.model_dump()]}, {"role": "tool", "tool_call_id": call.id, "content": result}]
    equal(client.chat.completions.create(model=MODEL, messages=messages, tools=[ADD]).choices[0].message.content, TOOL_ANSWER)


@check("structured output")
def _() -> None:
    equal(client.chat.completions.parse(model=MODEL, messages=ASK, response_format=Person).choices[0].message.parsed, Person(**PERSON))


@check("embeddings")
def _() -> None:
    equal([len(item.embedding) for item in client.embeddings.create(model="lexical", input=["one", "two"]).data], [64, 64])


@check("responses")
def _() -> None:
    answer = client.responses.create(model=MODEL, input=QUESTION)
    equal((answer.output_text, answer.status), (ANSWER, "completed"))
    after = client.responses.create(model=MODEL, input=TOOL_QUESTION, previous_response_id=answer.id, tools=[FLAT_ADD])
    (call,) = [item for item in after.output if item.type == "function_call"]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": str(add(**json.loads(call.arguments)))}
    equal(client.responses.create(model=MODEL, input=[result], previous_response_id=after.id, tools=[FLAT_ADD]).output_text, TOOL_ANSWER)


@check("streamed responses")
def _() -> None:
    with client.responses.stream(model=MODEL, input=QUESTION) as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
    assert len(pieces) > 1
    equal(
        ("".join(pieces), client.responses.parse(model=MODEL, input=QUESTION, text_format=Person).output_parsed), (ANSWER, Person(**PERSON))
    )


@check("errors")
def _() -> None:
    with raises(openai.NotFoundError):
        client.chat.completions.create(model="no-such-model", messages=ASK)
    with raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").models.list()
