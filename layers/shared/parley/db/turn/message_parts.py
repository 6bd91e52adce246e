"""The parts of an answer, in order: texts, the model's thoughts, tool calls and their results, and sources.

    {"type": "text", "text"}                                  each model call of a turn may add text
    {"type": "thought", "origin", "payload"}                  opaque to all but the vendor; not shown by any API
    {"type": "tool_call", "call_id", "name", "arguments"}     `arguments` is an object
    {"type": "tool_result", "call_id", "ok", "content"}       "is_vouched": true marks trusted content
    {"type": "user_message", "id", "text"}                    the user wrote it while the answer was written
    {"type": "source", "number", "document_id", "chunk_id", …} a document chunk that the answer may cite as `[number]`
    {"type": "source", "number", "url", "title", "snippet"}   a web page that it may cite so
    {"type": "memory"}                                        the prompt had untrusted memory; not shown by any API

All calls of a model response precede their results. While the answer is being generated, a source is at the place where it
entered the prompt. A stored answer contains only the sources it cites, at its end.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from parley.db.turn.turn_events import LoggedEvent
from parley.llm.citations import cited_numbers
from parley.memory.passages import Utterance

type MessagePart = Mapping[str, Any]

_MEMORY: MessagePart = {"type": "memory"}
# Parts of the prompt's context. An answer with no other parts is empty.
_CONTEXT_TYPES = {"memory", "source"}


class AnswerParts:
    """Collects the parts of an answer while it is generated. Consecutive texts become one part."""

    def __init__(self, parts: Iterable[MessagePart] = ()) -> None:
        self._parts: list[MessagePart] = list(parts)
        self._texts: list[str] = []

    @classmethod
    def from_events(cls, entries: Iterable[LoggedEvent], *, before: Iterable[MessagePart] = ()) -> Self:
        """Rebuild the parts from a turn's event log, appended to the parts `before`."""
        answer = cls(before)
        for entry in entries:
            match entry.name:
                case "text.delta":
                    answer.add_text(entry.text)
                case "tool.call":
                    answer.add_tool_call(entry.data["call_id"], entry.data["name"], entry.data["arguments"])
                case "message.read":
                    answer.add_user_message(entry.data["id"], entry.data["text"])
                case "memory":
                    answer.mark_memory_used()
                case "source":
                    answer.add_source(entry.data)
                case "tool.result":
                    answer.add_tool_result(entry.data["call_id"], ok=entry.data["ok"], content=entry.data["content"])
        return answer

    def __bool__(self) -> bool:
        return bool(self._texts) or any(part["type"] not in _CONTEXT_TYPES for part in self._parts)

    def add_text(self, text: str) -> None:
        """Append text."""
        self._texts.append(text)

    def add_thought(self, origin: str, payload: str) -> None:
        """Append the vendor's opaque record of the model's reasoning; only the vendor `origin` can read it."""
        self._add({"type": "thought", "origin": origin, "payload": payload})

    def add_tool_call(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> None:
        """Append a tool call."""
        self._add({"type": "tool_call", "call_id": call_id, "name": name, "arguments": arguments})

    def add_tool_result(self, call_id: str, *, ok: bool, content: str, is_trusted: bool = False) -> None:
        """Append the result of a tool call."""
        trust_mark = {"is_vouched": True} if is_trusted else {}
        self._add({"type": "tool_result", "call_id": call_id, "ok": ok, "content": content} | trust_mark)

    def add_user_message(self, id: str, text: str) -> None:
        """Append a message that the user sent while the answer was written."""
        self._add({"type": "user_message", "id": id, "text": text})

    def mark_memory_used(self) -> None:
        """Record that the prompt contained untrusted memory or documents, which taints the rest of the answer."""
        if _MEMORY not in self._parts:
            self._add(_MEMORY)

    def add_source(self, source: Mapping[str, Any]) -> None:
        """Append a source that enters the prompt. Its text is untrusted, whether or not the answer cites it."""
        self.mark_memory_used()
        self._add({"type": "source"} | dict(source))

    @property
    def sources(self) -> list[MessagePart]:
        """The sources in the prompt."""
        return [part for part in self._parts if part["type"] == "source"]

    @property
    def user_messages(self) -> set[str]:
        """The ids of the messages that the user sent while the answer was written, and that the model has read."""
        return {part["id"] for part in self._parts if part["type"] == "user_message"}

    @property
    def text(self) -> str:
        """All texts, joined."""
        return "".join(part["text"] for part in self.all() if part["type"] == "text")

    @property
    def tool_calls(self) -> list[MessagePart]:
        """The tool calls, in order."""
        return [part for part in self._parts if part["type"] == "tool_call"]

    @property
    def pending_tool_calls(self) -> list[MessagePart]:
        """The tool calls without a result."""
        answered = {part["call_id"] for part in self._parts if part["type"] == "tool_result"}
        return [part for part in self.tool_calls if part["call_id"] not in answered]

    def all(self) -> Sequence[MessagePart]:
        """Return all parts so far."""
        self._flush_text()
        return list(self._parts)

    def stored(self) -> Sequence[MessagePart]:
        """Return the parts to store: with the cited sources only, and with an empty text part if the answer is empty."""
        parts = _with_cited_sources(self.all())
        return parts if self else [*parts, {"type": "text", "text": ""}]

    def _add(self, part: MessagePart) -> None:
        self._flush_text()
        self._parts.append(part)

    def _flush_text(self) -> None:
        if text := "".join(self._texts):
            if self._parts and self._parts[-1]["type"] == "text":
                text = self._parts.pop()["text"] + text
            self._parts.append({"type": "text", "text": text})
        self._texts = []


def is_source(part: Mapping[str, Any]) -> bool:
    """Whether a part is a source with the fields that turns store and links and pages show. An imported file may lack them."""
    has_fields = isinstance(part.get("number"), int) and isinstance(part.get("title"), str)
    return part["type"] == "source" and has_fields and isinstance(part.get("page"), int | None) and isinstance(part.get("url"), str | None)


def utterances(role: str, parts: Iterable[MessagePart]) -> list[Utterance]:
    """Return what a message of this role says, in order. What the user said while an answer was written is an utterance of its own."""
    said: list[Utterance] = []
    for part in parts:
        if part["type"] == "user_message":
            said.append(Utterance("user", part["text"]))
        elif part["type"] == "text":
            before = said.pop().text if said and said[-1].role == role else ""
            said.append(Utterance(role, before + part["text"]))
    return said


def _with_cited_sources(parts: Sequence[MessagePart]) -> list[MessagePart]:
    """Move the cited sources to the end, by number, and drop the others. A text can cite only sources that precede it."""
    citable: dict[int, MessagePart] = {}
    cited: dict[int, MessagePart] = {}
    for part in parts:
        if part["type"] == "source":
            citable[part["number"]] = part
        elif part["type"] == "text":
            cited |= {number: citable[number] for number in cited_numbers(part["text"]) if number in citable}
    return [*(part for part in parts if part["type"] != "source"), *(cited[number] for number in sorted(cited))]
