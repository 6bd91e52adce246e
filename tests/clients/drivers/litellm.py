"""LiteLLM as a client."""

import json
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it downloads a list of prices

import litellm
from checks import ANSWER, KEY, MODEL, PERSON, QUESTION, TOOL_ANSWER, TOOL_QUESTION, URL, add, check, equal, raises
from pydantic import BaseModel

PARLEY = {"model": f"openai/{MODEL}", "api_base": f"{URL}/v1", "api_key": KEY}

ASK = [{"role": "user", "content": QUESTION}]
NUMBERS = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
ADD = {"type": "function", "function": {"name": "add", "description": "Add two numbers.", "parameters": NUMBERS}}


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@check("answer")
def _() -> None:
    equal(litellm.completion(**PARLEY, messages=ASK).choices[0].message.content, ANSWER)


@check("stream")
def _() -> None:
    pieces = [chunk.choices[0].delta.content for chunk in litellm.completion(**PARLEY, messages=ASK, stream=True)]
    assert len(list(filter(None, pieces))) > 1
    equal("".join(filter(None, pieces)), ANSWER)


@check("tools")
def _() -> None:
    messages = [{"role": "user", "content": TOOL_QUESTION}]
    asked = litellm.completion(**PARLEY, messages=messages, tools=[ADD]).choices[0].message
    (call,) = asked.tool_calls
    result = str(add(**json.loads(call.function.arguments)))
    messages += [asked.model_dump(), {"role": "tool", "tool_call_id": call.id, "content": result}]
    equal(litellm.completion(**PARLEY, messages=messages, tools=[ADD]).choices[0].message.content, TOOL_ANSWER)


@check("structured output")
def _() -> None:
    answer = litellm.completion(**PARLEY, messages=ASK, response_format=Person)
    equal(json.loads(answer.choices[0].message.content), PERSON)


@check("embeddings")
def _() -> None:
    answer = litellm.embedding(**PARLEY | {"model": "openai/lexical"}, input=["one", "two"])
    equal([len(item["embedding"]) for item in answer.data], [64, 64])


@check("responses")
def _() -> None:
    equal(litellm.responses(**PARLEY, input=QUESTION).output[0].content[0].text, ANSWER)


@check("errors")
def _() -> None:
    with raises(litellm.NotFoundError):
        litellm.completion(**PARLEY | {"model": "openai/no-such-model"}, messages=ASK)
    with raises(litellm.AuthenticationError):
        litellm.completion(**PARLEY | {"api_key": "wrong"}, messages=ASK)
