"""LlamaIndex, by its package for servers that are like OpenAI's."""

import openai
from checks import ANSWER, KEY, MODEL, PERSON, QUESTION, TOOL_QUESTION, URL, add, check, equal, raises
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

OPTIONS = {"api_base": f"{URL}/v1", "is_chat_model": True, "is_function_calling_model": True}
llm = OpenAILike(model=MODEL, api_key=KEY, **OPTIONS)


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@check("answer")
def _() -> None:
    equal(llm.complete(QUESTION).text, ANSWER)


@check("stream")
def _() -> None:
    pieces = [chunk.delta for chunk in llm.stream_complete(QUESTION) if chunk.delta]
    assert len(pieces) > 1
    equal("".join(pieces), ANSWER)


@check("tools")
def _() -> None:
    answer = llm.predict_and_call([FunctionTool.from_defaults(add)], TOOL_QUESTION)
    equal(answer.response, "5")


@check("structured output")
def _() -> None:
    equal(llm.as_structured_llm(Person).complete(QUESTION).raw, Person(**PERSON))


@check("errors")
def _() -> None:
    with raises(openai.NotFoundError):
        OpenAILike(model="no-such-model", api_key=KEY, **OPTIONS).complete(QUESTION)
    with raises(openai.AuthenticationError):
        OpenAILike(model=MODEL, api_key="wrong", **OPTIONS).complete(QUESTION)
