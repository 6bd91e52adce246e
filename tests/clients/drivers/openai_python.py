"""OpenAI's SDK for Python."""

import json
import time

import openai
from checks import ANSWER, KEY, MODEL, PERSON, QUESTION, TOOL_ANSWER, TOOL_QUESTION, URL, add, check, equal, raises
from openai import OpenAI
from openai.types.responses import Response
from pydantic import BaseModel

client = OpenAI(base_url=f"{URL}/v1", api_key=KEY)

ASK = [{"role": "user", "content": QUESTION}]
NUMBERS = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
ADD = {"type": "function", "function": {"name": "add", "description": "Add two numbers.", "parameters": NUMBERS}}

FLAT_ADD = {"type": "function", **ADD["function"], "strict": False}
PATCH = '*** Begin Patch\n+say "hello"\n*** End Patch'


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def until_ended(response_id: str) -> Response:
    """Read a response until it has ended."""
    for _ in range(100):
        response = client.responses.retrieve(response_id)
        if response.status != "in_progress":
            break
        time.sleep(0.1)
    return response


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


@check("free-form tools")
def _() -> None:
    question = f"Call patch {json.dumps({'input': PATCH})}"
    with client.responses.stream(model=MODEL, input=question, tools=[{"type": "custom", "name": "patch"}]) as stream:
        pieces = [event.delta for event in stream if event.type == "response.custom_tool_call_input.delta"]
    assert len(pieces) > 1
    equal(("".join(pieces), stream.get_final_response().output[0].input), (PATCH, PATCH))


@check("background responses")
def _() -> None:
    created = client.responses.create(model=MODEL, input=QUESTION, background=True)
    equal((created.status, created.output), ("in_progress", []))
    equal(until_ended(created.id).output_text, ANSWER)
    events = list(client.responses.retrieve(created.id, stream=True, starting_after=1))
    equal((events[0].sequence_number, events[-1].type), (2, "response.completed"))
    *_, last = client.responses.create(model=MODEL, input=QUESTION, background=True, stream=True)
    equal((last.response.output_text, client.responses.cancel(last.response.id).status), (ANSWER, "completed"))


@check("conversations")
def _() -> None:
    conversation = client.conversations.create(items=ASK, metadata={"topic": "greeting"})
    equal(client.responses.create(model=MODEL, input=QUESTION, conversation=conversation.id).output_text, ANSWER)
    client.conversations.items.create(conversation.id, items=ASK)
    roles = [item.role for item in client.conversations.items.list(conversation.id, order="asc", limit=2)]
    equal(roles, ["user", "user", "assistant", "user"])
    equal(client.conversations.update(conversation.id, metadata={"topic": "end"}).metadata, {"topic": "end"})
    assert client.conversations.delete(conversation.id).deleted
    with raises(openai.NotFoundError):
        client.conversations.retrieve(conversation.id)


@check("errors")
def _() -> None:
    with raises(openai.NotFoundError):
        client.chat.completions.create(model="no-such-model", messages=ASK)
    with raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").models.list()
