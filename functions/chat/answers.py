"""A turn's events as an HTTP answer: Server-Sent Events, or one JSON document."""

import json
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import closing
from typing import Any

from fastapi import Response
from fastapi.responses import StreamingResponse

from functions.chat.events import Numbered, Ping, TurnFailed
from parley.errors import ParleyError
from parley.http.schemas import MessageOut

type Events = Generator[Numbered | Ping]

# no-transform: a proxy that compresses would hold events back.
SSE_HEADERS = {"Cache-Control": "no-store, no-transform"}
PING = b": ping\n\n"


class StoredFailure(ParleyError):
    """The failure that a turn's log tells of."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(f"stored: {problem['code']}")
        self.status, self.code, self.public_message = problem["status"], problem["code"], problem["detail"]


def answer(events: Events, *, stream: bool) -> Response:
    """Start the turn, so that what refuses it is an error's answer, and encode what follows."""
    first = next(events)
    if stream:
        return StreamingResponse(_sse(first, events), media_type="text/event-stream", headers=SSE_HEADERS)
    with closing(events):
        return Response(_json(_document(first, events)), media_type="application/json")


async def _sse(first: Numbered | Ping, events: Events) -> AsyncIterator[bytes]:
    """Encode each event as it comes. A coroutine that blocks: the worker has nothing else to do, and a thread a chunk costs."""
    with closing(events):
        yield _encoded(first)
        for event in events:
            yield _encoded(event)


def _encoded(event: Numbered | Ping) -> bytes:
    if isinstance(event, Ping):
        return PING
    return f"id: {event.number}\nevent: {event.event.name}\ndata: {_json(event.event.data())}\n\n".encode()


def _document(first: Numbered | Ping, events: Iterator[Numbered | Ping]) -> dict[str, Any]:
    """Wait for the turn's end and show what it stored. A failed one raises its error."""
    numbered = [event.event for event in (first, *events) if isinstance(event, Numbered)]
    started, last = numbered[0], numbered[-1]
    if isinstance(last, TurnFailed):
        raise last.error
    end = last.data()
    if last.name == TurnFailed.name:
        raise StoredFailure(dict(end))
    message = MessageOut.model_validate(last.message).model_dump(mode="json")  # type: ignore[union-attr]
    document = {name: started.data()[name] for name in ("turn_id", "conversation_id")} | {"message": message}
    return document | {"usage": end["usage"], "sources": [], "tool_results": []}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
