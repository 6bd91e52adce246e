"""The parts of an answer, in order: texts, the model's thoughts, tool calls and their results.

    {"type": "text", "text"}                                  each round of a turn may add text
    {"type": "thought", "origin", "payload"}                  opaque to everybody but the vendor; no API shows it
    {"type": "tool_call", "call_id", "name", "arguments"}     `arguments` is an object
    {"type": "tool_result", "call_id", "ok", "content"}       with "is_vouched": true, the content is trusted
    {"type": "source", "number", "document_id", "chunk_id", …} a chunk of a document that the answer cites as `[number]`
    {"type": "memory"}                                        the model was given untrusted memory; no API shows it

All calls of a round precede the first of its results. While an answer is made, each source is at the position where the
model was given it; a stored answer has only the sources that it cites, at its end.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from parley.db.turn.turn_events import LoggedEvent
from parley.llm.citations import cited_numbers

type MessagePart = Mapping[str, Any]

_MEMORY: MessagePart = {"type": "memory"}
# What the model knew, and did not say.
_CONTEXT_TYPES = {"memory", "source"}


class AnswerParts:
    """Gathers the parts of one answer as they come; texts that follow one another are one part."""

    def __init__(self, parts: Iterable[MessagePart] = ()) -> None:
        self._parts: list[MessagePart] = list(parts)
        self._texts: list[str] = []

    @classmethod
    def from_events(cls, entries: Iterable[LoggedEvent], *, before: Iterable[MessagePart] = ()) -> Self:
        """Gather what a turn's log tells, behind the parts of which is known already."""
        gathered = cls(before)
        for entry in entries:
            match entry.name:
                case "text.delta":
                    gathered.add_text(entry.text)
                case "tool.call":
                    gathered.call(entry.data["call_id"], entry.data["name"], entry.data["arguments"])
                case "memory":
                    gathered.remember()
                case "source":
                    gathered.source(entry.data)
                case "tool.result":
                    gathered.result(entry.data["call_id"], ok=entry.data["ok"], content=entry.data["content"])
        return gathered

    def __bool__(self) -> bool:
        return bool(self._texts) or any(part["type"] not in _CONTEXT_TYPES for part in self._parts)

    def add_text(self, text: str) -> None:
        """Add a piece of text."""
        self._texts.append(text)

    def add_thought(self, origin: str, payload: str) -> None:
        """Add a thought."""
        self._add({"type": "thought", "origin": origin, "payload": payload})

    def call(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> None:
        """Add a call of a tool."""
        self._add({"type": "tool_call", "call_id": call_id, "name": name, "arguments": arguments})

    def result(self, call_id: str, *, ok: bool, content: str, is_vouched: bool = False) -> None:
        """Add what came of a call."""
        vouched = {"is_vouched": True} if is_vouched else {}
        self._add({"type": "tool_result", "call_id": call_id, "ok": ok, "content": content} | vouched)

    def remember(self) -> None:
        """Note that what follows was said by a model that knew memory, or documents, which nobody vouches for."""
        if _MEMORY not in self._parts:
            self._add(_MEMORY)

    def source(self, given: Mapping[str, Any]) -> None:
        """Add a source that the model is given, by its `number`. It may be anybody's words, cited or not."""
        self.remember()
        self._add({"type": "source"} | dict(given))

    @property
    def sources(self) -> list[MessagePart]:
        """The sources that the model was given."""
        return [part for part in self._parts if part["type"] == "source"]

    @property
    def text(self) -> str:
        """All texts as one."""
        return "".join(part["text"] for part in self.all() if part["type"] == "text")

    @property
    def calls(self) -> list[MessagePart]:
        """The calls, in order."""
        return [part for part in self._parts if part["type"] == "tool_call"]

    @property
    def open_calls(self) -> list[MessagePart]:
        """The calls without a result."""
        answered = {part["call_id"] for part in self._parts if part["type"] == "tool_result"}
        return [part for part in self.calls if part["call_id"] not in answered]

    def all(self) -> Sequence[MessagePart]:
        """Return the parts so far."""
        self._close()
        return list(self._parts)

    def stored(self) -> Sequence[MessagePart]:
        """Return what is stored of an answer; one that says nothing has an empty text. Of its sources those stay that it cites."""
        parts = _with_cited_sources(self.all())
        return parts if self else [*parts, {"type": "text", "text": ""}]

    def _add(self, part: MessagePart) -> None:
        self._close()
        self._parts.append(part)

    def _close(self) -> None:
        if text := "".join(self._texts):
            before = self._parts[-1] if self._parts else None
            if before and before["type"] == "text":
                text = before["text"] + text
                self._parts.pop()
            self._parts.append({"type": "text", "text": text})
        self._texts = []


def _with_cited_sources(parts: Sequence[MessagePart]) -> list[MessagePart]:
    """Return the parts with the cited sources alone, at the end. A text cites only what was given before it."""
    given: dict[int, MessagePart] = {}
    found: dict[int, MessagePart] = {}
    for part in parts:
        if part["type"] == "source":
            given[part["number"]] = part
        elif part["type"] == "text":
            found |= {number: given[number] for number in cited_numbers(part["text"]) if number in given}
    return [*(part for part in parts if part["type"] != "source"), *(found[number] for number in sorted(found))]
