"""A turn's events as an HTTP answer: Server-Sent Events, or one JSON document."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, fields
from decimal import Decimal
from typing import Any
from uuid import UUID

from fastapi import Response
from fastapi.responses import StreamingResponse

from functions.chat.events import Timings, TurnCompleted, TurnEvent, TurnFailed, TurnInterrupted, TurnStarted, UsageSum
from parley.http.problems import problem
from parley.http.schemas import MessageOut

# no-transform: a proxy that compresses would hold events back.
SSE_HEADERS = {"Cache-Control": "no-store, no-transform"}


def answer(events: Iterator[TurnEvent], *, stream: bool, request_id: str) -> Response:
    """Start the turn, so that what refuses it is an error's answer, and encode what follows."""
    started = next(events)
    if not isinstance(started, TurnStarted):
        raise TypeError(f"a turn began with {started!r}")
    if stream:
        return StreamingResponse(_sse(started, events, request_id), media_type="text/event-stream", headers=SSE_HEADERS)
    return Response(_json(_document(started, events)), media_type="application/json")


async def _sse(started: TurnStarted, events: Iterator[TurnEvent], request_id: str) -> AsyncIterator[bytes]:
    """Encode each event as it comes. A coroutine that blocks: the worker has nothing else to do, and a thread a chunk costs."""
    yield _event(1, started, request_id)
    for number, event in enumerate(events, start=2):
        yield _event(number, event, request_id)


def _event(number: int, event: TurnEvent, request_id: str) -> bytes:
    return f"id: {number}\nevent: {event.name}\ndata: {_json(_fields(event, request_id))}\n\n".encode()


def _fields(event: TurnEvent, request_id: str) -> dict[str, Any]:
    match event:
        case TurnFailed(error):
            return problem(error, request_id=request_id) | {"retryable": error.retryable}
        case TurnCompleted() | TurnInterrupted():
            others = {field.name: getattr(event, field.name) for field in fields(event) if field.name != "message"}
            return {"message_id": event.message.id} | others
        case _:
            return asdict(event)


def _document(started: TurnStarted, events: Iterator[TurnEvent]) -> dict[str, Any]:
    """Wait for the turn's end and show what it stored. A failed one raises its error."""
    *_, last = events
    if isinstance(last, TurnFailed):
        raise last.error
    if not isinstance(last, TurnCompleted | TurnInterrupted):
        raise TypeError(f"a turn ended with {last!r}")
    message = MessageOut.model_validate(last.message).model_dump(mode="json")
    document = {"turn_id": started.turn_id, "conversation_id": started.conversation_id, "message": message}
    return document | {"usage": last.usage, "sources": [], "tool_results": []}


def _json(value: object) -> str:
    return json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":"))


def _plain(value: object) -> object:
    match value:
        case UUID():
            return str(value)
        case Decimal():
            return float(value)
        case UsageSum() | Timings():
            return asdict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
