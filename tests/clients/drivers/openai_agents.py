"""OpenAI's Agents SDK for Python."""

import asyncio

import openai
from agents import Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
from checks import ANSWER, KEY, MODEL, PERSON, QUESTION, TOOL_ANSWER, TOOL_QUESTION, URL, add, check, equal, raises
from openai import AsyncOpenAI
from pydantic import BaseModel

set_tracing_disabled(True)


def agent(**options: object) -> Agent:
    """Return an agent with a client of its own, because a client belongs to one event loop."""
    model = OpenAIChatCompletionsModel(MODEL, openai_client=AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY))
    return Agent("parley", model=model, **options)


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@check("answer")
def _() -> None:
    equal(Runner.run_sync(agent(), QUESTION).final_output, ANSWER)


@check("stream")
def _() -> None:
    async def pieces() -> list[str]:
        events = Runner.run_streamed(agent(), QUESTION).stream_events()
        raw = [event.data async for event in events if event.type == "raw_response_event"]
        return [data.delta for data in raw if data.type == "response.output_text.delta"]

    found = asyncio.run(pieces())
    assert len(found) > 1
    equal("".join(found), ANSWER)


@check("tools")
def _() -> None:
    equal(Runner.run_sync(agent(tools=[function_tool(add)]), TOOL_QUESTION).final_output, TOOL_ANSWER)


@check("structured output")
def _() -> None:
    equal(Runner.run_sync(agent(output_type=Person), QUESTION).final_output, Person(**PERSON))


@check("responses")
def _() -> None:
    model = OpenAIResponsesModel(MODEL, openai_client=AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY))
    agent_of_responses = Agent("parley", model=model, tools=[function_tool(add)])
    equal(Runner.run_sync(agent_of_responses, TOOL_QUESTION).final_output, TOOL_ANSWER)


@check("errors")
def _() -> None:
    def run(name: str, key: str) -> None:
        client = AsyncOpenAI(base_url=f"{URL}/v1", api_key=key)
        Runner.run_sync(Agent("parley", model=OpenAIChatCompletionsModel(name, openai_client=client)), QUESTION)

    with raises(openai.NotFoundError):
        run("no-such-model", KEY)
    with raises(openai.AuthenticationError):
        run(MODEL, "wrong")
