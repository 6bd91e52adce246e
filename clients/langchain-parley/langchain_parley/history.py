"""A chat history over a conversation that Parley stores."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

_PAGE = 100


class NotStored(ValueError):
    """A message was added that Parley has not stored. Parley stores the turns of its own models only."""


class ParleyChatMessageHistory(BaseChatMessageHistory):
    """The messages of one conversation, oldest first.

    A new conversation is created at the first use if `conversation_id` is None. Give `headers` to the chat model that calls Parley, so
    that its turns are stored in this conversation. The methods raise `httpx.HTTPStatusError` for an error status.
    """

    def __init__(self, *, url: str, api_key: str, conversation_id: str | None = None, timeout_s: float = 30.0) -> None:
        super().__init__()
        self._conversation_id = conversation_id
        headers = {"Authorization": f"Bearer {api_key}"}
        self._http = httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=timeout_s)

    @property
    def conversation_id(self) -> str:
        """The id of the conversation, which is created if it does not exist yet."""
        if self._conversation_id is None:
            created = self._http.post("/conversations", json={}).raise_for_status().json()
            self._conversation_id = str(created["id"])
        return self._conversation_id

    @property
    def headers(self) -> dict[str, str]:
        """The header with which a chat model at Parley's `/v1` continues this conversation."""
        return {"X-Conversation-Id": self.conversation_id}

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        """All messages. A turn that called tools has the calls and their results between its question and its answer."""
        return [message for stored in self._stored() for message in _to_messages(stored)]

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Check that Parley has stored the messages. Raises `NotStored` unless the conversation ends with them."""
        added = [(message.type, message.text) for message in messages]
        stored = [(message.type, message.text) for message in self.messages]
        if added and stored[-len(added) :] != added:
            raise NotStored("the conversation does not end with these messages; give `headers` to the chat model")

    def clear(self) -> None:
        """Delete the conversation. The next use creates a new one with another id."""
        if self._conversation_id is not None:
            self._http.delete(f"/conversations/{self._conversation_id}").raise_for_status()
            self._conversation_id = None

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _stored(self) -> Iterator[Mapping[str, Any]]:
        path, params = f"/conversations/{self.conversation_id}/messages", {"limit": str(_PAGE)}
        while True:
            page = self._http.get(path, params=params).raise_for_status().json()
            yield from page["items"]
            if not page["next_cursor"]:
                return
            params["cursor"] = page["next_cursor"]


def _to_messages(stored: Mapping[str, Any]) -> Iterator[BaseMessage]:
    """Yield LangChain's messages of one stored message. An answer may consist of several rounds of calls and results."""
    if stored["role"] == "user":
        yield HumanMessage(stored["text"], id=stored["id"])
        return
    text, calls = "", list[dict[str, Any]]()
    for part in stored["parts"]:
        match part["type"]:
            case "text":
                text += part["text"] if "text" in part else stored["text"][part["start"] : part["end"]]
            case "tool_call":
                calls.append({"name": part["name"], "args": part["arguments"], "id": part["call_id"]})
            case "tool_result":
                if text or calls:
                    yield AIMessage(text, tool_calls=calls)
                    text, calls = "", []
                yield ToolMessage(part["content"], tool_call_id=part["call_id"], status="success" if part["ok"] else "error")
    if text or calls:
        yield AIMessage(text, tool_calls=calls, id=stored["id"])
