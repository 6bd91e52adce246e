"""LangChain, by its package for OpenAI."""

import openai
from checks import ANSWER, KEY, MODEL, PERSON, QUESTION, TOOL_ANSWER, TOOL_QUESTION, URL, add, check, equal, raises
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

model = ChatOpenAI(base_url=f"{URL}/v1", api_key=KEY, model=MODEL)
# Texts instead of tokens, whose vocabulary LangChain downloads.
embeddings = OpenAIEmbeddings(base_url=f"{URL}/v1", api_key=KEY, model="lexical", check_embedding_ctx_length=False)


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def answer_by_tools(chat: ChatOpenAI) -> str:
    """Return the answer to a question that needs a tool."""
    add_tool = tool(add)
    with_tools = chat.bind_tools([add_tool])
    messages = [HumanMessage(TOOL_QUESTION)]
    messages.append(with_tools.invoke(messages))
    messages += [add_tool.invoke(call) for call in messages[-1].tool_calls]
    return with_tools.invoke(messages).text


@check("answer")
def _() -> None:
    answer = model.invoke(QUESTION)
    equal((answer.content, answer.usage_metadata["total_tokens"]), (ANSWER, 15))


@check("stream")
def _() -> None:
    pieces = [chunk.text for chunk in model.stream(QUESTION) if chunk.text]
    assert len(pieces) > 1
    equal("".join(pieces), ANSWER)


@check("tools")
def _() -> None:
    equal(answer_by_tools(model), TOOL_ANSWER)


@check("structured output")
def _() -> None:
    equal(model.with_structured_output(Person).invoke(QUESTION), Person(**PERSON))
    equal(model.with_structured_output(Person, method="function_calling").invoke(QUESTION), Person(**PERSON))


@check("embeddings")
def _() -> None:
    equal([len(vector) for vector in embeddings.embed_documents(["one", "two"])], [64, 64])


@check("responses")
def _() -> None:
    responses = ChatOpenAI(base_url=f"{URL}/v1", api_key=KEY, model=MODEL, use_responses_api=True)
    pieces = [chunk.text for chunk in responses.stream(QUESTION) if chunk.text]
    assert len(pieces) > 1
    equal(("".join(pieces), answer_by_tools(responses)), (ANSWER, TOOL_ANSWER))
    equal(responses.with_structured_output(Person).invoke(QUESTION), Person(**PERSON))


@check("errors")
def _() -> None:
    with raises(openai.NotFoundError):
        ChatOpenAI(base_url=f"{URL}/v1", api_key=KEY, model="no-such-model").invoke(QUESTION)
    with raises(openai.AuthenticationError):
        ChatOpenAI(base_url=f"{URL}/v1", api_key="wrong", model=MODEL).invoke(QUESTION)
