"""Pydantic AI."""

import asyncio

from checks import ANSWER, KEY, MODEL, PERSON, QUESTION, TOOL_ANSWER, TOOL_QUESTION, URL, add, check, equal, raises
from pydantic import BaseModel
from pydantic_ai import Agent, ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=f"{URL}/v1", api_key=KEY))


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@check("answer")
def _() -> None:
    equal(Agent(model).run_sync(QUESTION).output, ANSWER)


@check("stream")
def _() -> None:
    async def pieces() -> list[str]:
        async with Agent(model).run_stream(QUESTION) as answer:
            return [piece async for piece in answer.stream_text(delta=True, debounce_by=None)]

    found = asyncio.run(pieces())
    assert len(found) > 1
    equal("".join(found), ANSWER)


@check("tools")
def _() -> None:
    equal(Agent(model, tools=[add]).run_sync(TOOL_QUESTION).output, TOOL_ANSWER)


@check("structured output")
def _() -> None:
    equal(Agent(model, output_type=Person).run_sync(QUESTION).output, Person(**PERSON))


@check("responses")
def _() -> None:
    responses = OpenAIResponsesModel(MODEL, provider=OpenAIProvider(base_url=f"{URL}/v1", api_key=KEY))
    equal(Agent(responses, tools=[add]).run_sync(TOOL_QUESTION).output, TOOL_ANSWER)


@check("errors")
def _() -> None:
    with raises(ModelHTTPError, "404"):
        Agent(OpenAIChatModel("no-such-model", provider=OpenAIProvider(base_url=f"{URL}/v1", api_key=KEY))).run_sync(QUESTION)
    with raises(ModelHTTPError, "401"):
        Agent(OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=f"{URL}/v1", api_key="wrong"))).run_sync(QUESTION)
