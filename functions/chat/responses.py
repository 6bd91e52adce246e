"""A turn as an HTTP response: Server-Sent Events, or one JSON document."""

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain
from types import MappingProxyType
from typing import Any

from fastapi import Response
from starlette.types import Receive, Scope, Send

from functions.chat.errors import LoggedTurnFailure
from functions.chat.turn.events import NumberedEvent, Ping, ReplayedEvent, ToolAnswered, ToolApproval, TurnEvent, TurnFailed, TurnWaiting
from parley.db.messages import StoredMessage
from parley.http.schemas import MessageOut

type TurnEvents = Generator[NumberedEvent | Ping]


# no-transform: a proxy that compresses would hold events back.
SSE_HEADERS = {"Cache-Control": "no-store, no-transform"}


SSE_PING = b": ping\n\n"


def turn_response(events: TurnEvents, *, stream: bool, ids: Mapping[str, str] = MappingProxyType({})) -> Response:
    """Start the turn, so that what refuses it is an error's answer, and encode what follows.

    `ids` are those of turn and conversation, where the events do not begin with `turn.started`, which has them.
    """
    first = next(events)
    if stream:
        return EventStream(map(_encode_event, chain((first,), events)), events)
    with closing(events):
        return Response(_compact_json(_turn_document(first, events, ids)), media_type="application/json")


class EventStream(Response):
    """Sends each event as it comes. A coroutine that blocks: the worker has nothing else to do, and a thread a chunk costs.

    Not Starlette's streaming response: where the connection breaks, that leaves its generator to a later run of the loop,
    which is the worker's next invocation. Here the turn has ended when this has.
    """

    media_type = "text/event-stream"

    def __init__(self, chunks: Iterator[bytes], events: Generator[Any], headers: Mapping[str, str] = MappingProxyType({})) -> None:
        """Send `chunks`, which are made of `events`: those are closed when all is sent, or cannot be."""
        self.status_code, self.background = 200, None
        self._chunks, self._events = chunks, events
        self.init_headers(SSE_HEADERS | dict(headers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Send the whole stream."""
        with closing(self._events):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for chunk in self._chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def _encode_event(event: NumberedEvent | Ping) -> bytes:
    if isinstance(event, Ping):
        return SSE_PING
    return f"id: {event.number}\nevent: {event.event.name}\ndata: {_compact_json(event.event.data())}\n\n".encode()


def _turn_document(first: NumberedEvent | Ping, events: Iterator[NumberedEvent | Ping], ids: Mapping[str, str]) -> dict[str, Any]:
    """Wait for the turn's end and show what it stored. A failed one raises its error."""
    heard = [event.event for event in (first, *events) if isinstance(event, NumberedEvent)]
    last, end = heard[-1], heard[-1].data()
    known: dict[str, Any] = {name: ids.get(name) or heard[0].data().get(name) for name in ("turn_id", "conversation_id")}
    if isinstance(last, TurnFailed):
        raise last.error
    if last.name == TurnFailed.name:
        raise LoggedTurnFailure(dict(end))
    if last.name == TurnWaiting.name:
        return known | _waiting_document(heard)
    message: StoredMessage = last.message  # type: ignore[union-attr, assignment]
    shown = MessageOut.model_validate(message).model_dump(mode="json")
    rest = {"usage": end["usage"], "sources": _cited_sources(message.parts), "tool_results": _tool_results(message.parts), "approvals": []}
    return known | {"status": message.status, "message": shown} | rest


def _waiting_document(heard: list[TurnEvent | ReplayedEvent]) -> dict[str, Any]:
    """Show a turn that is kept until its user has decided."""
    told = {name: [dict(event.data()) for event in heard if event.name == name] for name in (ToolAnswered.name, ToolApproval.name)}
    results = [{name: one[name] for name in ("call_id", "name", "ok", "content")} for one in told[ToolAnswered.name]]
    rest = {"usage": None, "sources": [], "tool_results": results, "approvals": told[ToolApproval.name]}
    return {"status": "waiting", "message": None} | rest


def _cited_sources(parts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{name: part[name] for name in part if name != "type"} for part in parts if part["type"] == "source"]


def _tool_results(parts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    names = {part["call_id"]: part["name"] for part in parts if part["type"] == "tool_call"}
    return [
        {"call_id": part["call_id"], "name": names.get(part["call_id"]), "ok": part["ok"], "content": part["content"]}
        for part in parts
        if part["type"] == "tool_result"
    ]


def _compact_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
