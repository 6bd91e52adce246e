"""The events of a turn, read from a server-sent stream."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx2

from cli.errors import CutOff
from cli.fields import Fields

ENDS = frozenset({"turn.completed", "turn.stopped", "turn.interrupted", "turn.waiting", "turn.failed"})
# A tool's result travels in one event; the body limit of the API is 4 MiB.
MAX_EVENT_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Event:
    """One event: its name, as in the contract, and its JSON object."""

    name: str
    fields: Fields

    @property
    def ends_the_turn(self) -> bool:
        """Whether nothing follows."""
        return self.name in ENDS


def events_of(response: httpx2.Response) -> Iterator[Event]:
    """Yield events as they arrive, and read the stream to its end: who hangs up early looks like someone who left.

    Raises `CutOff` when the stream breaks or ends without one. Names are not checked:
    a newer server may send more.
    """
    has_ended = False
    try:
        for sse in httpx2.EventSource(response, max_event_size=MAX_EVENT_BYTES):
            event = Event(sse.event, Fields.parse(sse.data))
            has_ended = has_ended or event.ends_the_turn
            yield event
    except httpx2.TransportError as exc:
        if not has_ended:
            raise CutOff from exc
    if not has_ended:
        raise CutOff
