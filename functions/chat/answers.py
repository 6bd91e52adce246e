"""A turn's events as an HTTP answer: Server-Sent Events, or one JSON document."""

import json
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import chain
from typing import Any

from fastapi import Response
from starlette.types import Receive, Scope, Send

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
        return EventStream(first, events)
    with closing(events):
        return Response(_json(_document(first, events)), media_type="application/json")


class EventStream(Response):
    """Sends each event as it comes. A coroutine that blocks: the worker has nothing else to do, and a thread a chunk costs.

    Not Starlette's streaming response: where the connection breaks, that leaves its generator to a later run of the loop,
    which is the worker's next invocation. Here the turn has ended when this has.
    """

    media_type = "text/event-stream"

    def __init__(self, first: Numbered | Ping, events: Events) -> None:
        self.status_code, self.background = 200, None
        self._first, self._events = first, events
        self.init_headers(SSE_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Send the whole stream."""
        with closing(self._events):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for event in chain((self._first,), self._events):
                await send({"type": "http.response.body", "body": _encoded(event), "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


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
