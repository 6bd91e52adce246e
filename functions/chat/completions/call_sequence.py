"""Tool calls one after the other, for APIs whose streams have one open item at a time.

Vendors send the whole calls only after the answer, and may mix the pieces of parallel calls. Here a call ends as soon as its arguments
are a complete JSON object and something else begins. What begins before is held back until the call has ended.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from functions.chat.completions.completion import CompletionEvent
from functions.chat.turn.events import Ping
from parley.llm.messages import Finished, ToolCall, ToolCallDelta


@dataclass(slots=True)
class _OpenCall:
    """A call whose pieces have begun to arrive."""

    index: int
    id: str
    name: str
    texts: list[str] = field(default_factory=list)

    def whole(self) -> ToolCall | None:
        """Return the call, or None if its arguments are not a complete JSON object."""
        text = "".join(self.texts)
        return ToolCall(self.id, self.name, text) if is_object(text) else None


def is_object(text: str) -> bool:
    """Return whether a text is a complete JSON object."""
    if not text.rstrip().endswith("}"):
        return False
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def in_sequence(events: Iterable[CompletionEvent]) -> Iterator[CompletionEvent]:
    """Yield the events of a completion with the pieces of each call together, followed by the whole call.

    A call that has no whole form, because the answer ended before, is followed by the next event.
    """
    sequence = _Sequence()
    for event in events:
        yield from sequence.add(event)


class _Sequence:
    """The open call, the events held back until it ends, and the calls that have ended before their whole form arrives."""

    def __init__(self) -> None:
        self._open: _OpenCall | None = None
        self._held: list[CompletionEvent] = []
        self._ended_ids: list[str] = []
        self._ended_indexes: set[int] = set()

    def add(self, event: CompletionEvent) -> Iterator[CompletionEvent]:
        """Yield the events that may be sent now."""
        match event:
            case Ping():
                yield event
            case Finished():
                held, self._held, self._open = self._held, [], None
                yield from (*held, event)
            case ToolCallDelta(index=index) if self._open and index == self._open.index:
                self._open.texts.append(event.arguments)
                yield event
            case ToolCallDelta(index=index) if index in self._ended_indexes:
                return  # white space after the object
            case ToolCall(id=id) if id in self._ended_ids:
                self._ended_ids.remove(id)
            case ToolCall(id=id) if self._open and id == self._open.id:
                yield from self._end(event)
            case _ if self._open and (whole := self._open.whole()):
                self._ended_ids.append(whole.id)
                yield from self._end(whole)
                yield from self.add(event)
            case _ if self._open:
                self._held.append(event)
            case ToolCallDelta(index, id, name, arguments):
                self._open = _OpenCall(index, id, name, [arguments])
                yield event
            case _:
                yield event

    def _end(self, call: ToolCall) -> Iterator[CompletionEvent]:
        if self._open:
            self._ended_indexes.add(self._open.index)
        held, self._held, self._open = self._held, [], None
        yield call
        for event in held:
            yield from self.add(event)
