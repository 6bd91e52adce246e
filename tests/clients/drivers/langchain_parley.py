"""Parley's own package for LangChain, with LangChain's package for OpenAI."""

import asyncio
import time

import httpx
from checks import ANSWER, KEY, MODEL, QUESTION, URL, check, equal, raises
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_openai import ChatOpenAI
from langchain_parley import NotStored, ParleyChatMessageHistory, ParleyRetriever

http = httpx.Client(base_url=URL, headers={"Authorization": f"Bearer {KEY}"}, timeout=60)
TEXT = "Employees have 28 days of leave a year."


def upload(text: str) -> None:
    """Upload a document and wait until search finds it."""
    id = http.post("/documents", files={"file": ("handbook.txt", text.encode(), "text/plain")}).raise_for_status().json()["id"]
    for _ in range(480):  # a busy machine indexes slowly, because the requests of users come first
        if (status := http.get(f"/documents/{id}").json()["status"]) in ("ready", "failed"):
            break
        time.sleep(0.5)
    equal(status, "ready")


@check("retriever of documents")
def _() -> None:
    upload(TEXT)
    retriever = ParleyRetriever(url=URL, api_key=KEY, k=1)
    (found,) = retriever.invoke("days of leave")
    equal((found.page_content, found.metadata["title"]), (TEXT, "handbook"))
    equal([document.page_content for document in asyncio.run(retriever.ainvoke("days of leave"))], [TEXT])


@check("chat history")
def _() -> None:
    history = ParleyChatMessageHistory(url=URL, api_key=KEY)
    model = ChatOpenAI(base_url=f"{URL}/v1", api_key=KEY, model=MODEL, default_headers=history.headers)
    chain = RunnableWithMessageHistory(model, lambda session_id: history)
    equal(chain.invoke([HumanMessage(QUESTION)], {"configurable": {"session_id": "any"}}).content, ANSWER)
    equal([(message.type, message.content) for message in history.messages], [("human", QUESTION), ("ai", ANSWER)])


@check("retriever of conversations")
def _() -> None:
    (found, *_) = ParleyRetriever(url=URL, api_key=KEY, source="conversations").invoke(QUESTION)
    assert QUESTION in found.page_content, found


@check("a message of another model")
def _() -> None:
    history = ParleyChatMessageHistory(url=URL, api_key=KEY)
    with raises(NotStored):
        history.add_messages([HumanMessage("hi"), AIMessage("ho")])


@check("clear")
def _() -> None:
    history = ParleyChatMessageHistory(url=URL, api_key=KEY)
    before = history.conversation_id
    history.clear()
    equal(http.get(f"/conversations/{before}").status_code, 404)


@check("errors")
def _() -> None:
    with raises(httpx.HTTPStatusError, "401"):
        ParleyRetriever(url=URL, api_key="wrong").invoke("leave")
