"""What an answer is made of, in order: texts, the model's thoughts, its calls of tools, and their results.

    {"type": "text", "text"}                                  several rounds of a turn may each have some
    {"type": "thought", "origin", "payload"}                  sealed by a vendor; no API shows it
    {"type": "tool_call", "call_id", "name", "arguments"}     `arguments` is an object
    {"type": "tool_result", "call_id", "ok", "content"}       with "is_vouched": true, nobody outside had a say in it
    {"type": "source", "number", "document_id", "chunk_id", …} a piece of a document that the answer cites as `[number]`
    {"type": "memory"}                                        the model was given what outsiders may have written; no API shows it

All calls of a round stand before the first of its results. While an answer is made, every source that the model is given stands
where it was given; of an answer that is stored, those that it cites, at its end.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from parley.db.turn_events import Entry
from parley.llm.citations import cited

type Part = Mapping[str, Any]

_MEMORY: Part = {"type": "memory"}
# What the model knew, and did not say.
_GIVEN = {"memory", "source"}


class AnswerParts:
    """Gathers the parts of one answer as they come; texts that follow one another are one part."""

    def __init__(self, parts: Iterable[Part] = ()) -> None:
        self._parts: list[Part] = list(parts)
        self._texts: list[str] = []

    @classmethod
    def of_log(cls, entries: Iterable[Entry], *, before: Iterable[Part] = ()) -> Self:
        """Gather what a turn's log tells, behind the parts of which is known already."""
        gathered = cls(before)
        for entry in entries:
            match entry.name:
                case "text.delta":
                    gathered.say(entry.text)
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
        return bool(self._texts) or any(part["type"] not in _GIVEN for part in self._parts)

    def say(self, text: str) -> None:
        """Add a piece of text."""
        self._texts.append(text)

    def think(self, origin: str, payload: str) -> None:
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
    def sources(self) -> list[Part]:
        """The sources that the model was given."""
        return [part for part in self._parts if part["type"] == "source"]

    @property
    def text(self) -> str:
        """All texts as one."""
        return "".join(part["text"] for part in self.all() if part["type"] == "text")

    @property
    def calls(self) -> list[Part]:
        """The calls, in order."""
        return [part for part in self._parts if part["type"] == "tool_call"]

    @property
    def open_calls(self) -> list[Part]:
        """The calls without a result."""
        answered = {part["call_id"] for part in self._parts if part["type"] == "tool_result"}
        return [part for part in self.calls if part["call_id"] not in answered]

    def all(self) -> Sequence[Part]:
        """Return the parts so far."""
        self._close()
        return list(self._parts)

    def stored(self) -> Sequence[Part]:
        """Return what is stored of an answer; one that says nothing has an empty text. Of its sources those stay that it cites."""
        parts = _checked(self.all())
        return parts if self else [*parts, {"type": "text", "text": ""}]

    def _add(self, part: Part) -> None:
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


def _checked(parts: Sequence[Part]) -> list[Part]:
    """Return the parts with the cited sources alone, at the end. A text cites only what was given before it."""
    given: dict[int, Part] = {}
    found: dict[int, Part] = {}
    for part in parts:
        if part["type"] == "source":
            given[part["number"]] = part
        elif part["type"] == "text":
            found |= {number: given[number] for number in cited(part["text"]) if number in given}
    return [*(part for part in parts if part["type"] != "source"), *(found[number] for number in sorted(found))]
