"""A turn as an HTTP response: Server-Sent Events, or one JSON document."""

import json
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain
from types import MappingProxyType
from typing import Any, Literal

from fastapi import Response
from starlette.types import Receive, Scope, Send

from functions.chat.ag_ui.events import AgUiEvent, AgUiRun, ag_ui_events
from functions.chat.errors import LoggedTurnFailure
from functions.chat.turn.events import (
    LAST_EVENTS,
    IncompleteAnswer,
    NumberedEvent,
    Ping,
    ReplayedEvent,
    TurnCompleted,
    TurnEvent,
    TurnFailed,
    TurnWaiting,
)
from functions.chat.turn.tool_events import ToolAnswered, ToolApproval, ToolQuestion
from parley.db.messages import StoredMessage
from parley.http.schemas import HistoryMessageOut, UsageOut

type TurnEvents = Generator[NumberedEvent | Ping]
type StreamFormat = Literal["parley", "ag-ui"]

# no-transform: a proxy that compresses would hold events back.
SSE_HEADERS = {"Cache-Control": "no-store, no-transform"}
SSE_PING = b": ping\n\n"
# For the API description.
SERVER_TIMING: dict[str, Any] = {
    "description": "Milliseconds of a whole answer: `parley;dur=…, model;dur=…`. `model` is the time spent waiting for models, `parley` "
    "the rest since the function received the request. A stream has `timings` in its last event instead.",
    "schema": {"type": "string"},
}


def turn_response(
    events: TurnEvents,
    *,
    stream: bool,
    ids: Mapping[str, str] = MappingProxyType({}),
    stream_format: StreamFormat = "parley",
    run: AgUiRun | None = None,
) -> Response:
    """Wait for the first event, so that a refused turn becomes an error response, then return the encoded events.

    `ids` supplies `turn_id` and `conversation_id` if the events do not begin with `turn.started`, which contains both. Without events,
    the response is 204, after which browsers do not connect again. A stream in AG-UI's format needs all events of the turn,
    or the `run` that resumes it.
    """
    first = next(events, None)
    if first is None:
        return Response(status_code=204)
    if stream:
        all_events = _until_last(chain((first,), events))
        chunks = map(_encode_ag_ui, ag_ui_events(all_events, run)) if stream_format == "ag-ui" else map(_encode_event, all_events)
        return EventStream(chunks, events)
    try:
        document, model_ms = _turn_document(first, events, ids)
        return WholeAnswer(_compact_json(document), events, model_ms=model_ms)
    except BaseException:
        events.close()
        raise


class WholeAnswer(Response):
    """One JSON document. `events` is closed after the client has the document: its follow-up jobs are queued only then.

    The header `Server-Timing` tells the time spent waiting for models, and the rest of the time since the function got the request
    (https://www.w3.org/TR/server-timing/).
    """

    media_type = "application/json"

    def __init__(
        self, document: str, events: Generator[Any], headers: Mapping[str, str] = MappingProxyType({}), *, model_ms: float | None
    ) -> None:
        """Send `document`, then close `events`, which has yielded its last event. Without `model_ms` there is no `Server-Timing`."""
        super().__init__(document, headers=headers)
        self._events, self._model_ms = events, model_ms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Send the document and close the events."""
        if self._model_ms is not None:
            total_ms = (time.perf_counter() - scope["parley.started_s"]) * 1000
            self.headers["Server-Timing"] = f"parley;dur={max(total_ms - self._model_ms, 0):.1f}, model;dur={self._model_ms:.1f}"
        with closing(self._events):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self.body, "more_body": False})


class WorkingAnswer(Response):
    """One JSON document, whose work begins after the client has it, and is done before the invocation ends."""

    media_type = "application/json"

    def __init__(self, document: str, work: Iterator[Any]) -> None:
        """Send `document`, then run `work` to its end."""
        super().__init__(document)
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Send the document, and do the work even if the client has left."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self.body, "more_body": False})
        finally:
            for _ in self._work:
                pass


class EventStream(Response):
    """Sends each event as it arrives. The coroutine blocks: a worker serves one request at a time, and a thread per chunk is costly.

    Starlette's streaming response does not close its generator when the connection breaks: the turn would end only when the event
    loop runs again, in the worker's next invocation. This class closes the generator before the invocation ends.
    """

    media_type = "text/event-stream"

    def __init__(self, chunks: Iterator[bytes], events: Generator[Any], headers: Mapping[str, str] = MappingProxyType({})) -> None:
        """Send `chunks`, which are encoded from `events`. `events` is closed after the last chunk, or when sending fails."""
        self.status_code, self.background = 200, None
        self._chunks, self._events = chunks, events
        self.init_headers(SSE_HEADERS | dict(headers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Send all chunks."""
        with closing(self._events):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for chunk in self._chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def _encode_event(event: NumberedEvent | Ping) -> bytes:
    if isinstance(event, Ping):
        return SSE_PING
    return f"id: {event.number}\nevent: {event.event.name}\ndata: {_compact_json(event.event.data())}\n\n".encode()


def _encode_ag_ui(event: AgUiEvent | Ping) -> bytes:
    return SSE_PING if isinstance(event, Ping) else f"data: {_compact_json(event)}\n\n".encode()


def _turn_document(
    first: NumberedEvent | Ping, events: Iterator[NumberedEvent | Ping], ids: Mapping[str, str]
) -> tuple[dict[str, Any], float | None]:
    """Wait until the turn ends or pauses, and return its document and the milliseconds spent waiting for models.

    They are None for a turn that waits, and for a repeated request, which calls no model. Raises the error of a failed turn.
    """
    all_events = [event.event for event in _until_last(chain((first,), events)) if isinstance(event, NumberedEvent)]
    last, end = all_events[-1], all_events[-1].data()
    head: dict[str, Any] = {name: ids.get(name) or all_events[0].data().get(name) for name in ("turn_id", "conversation_id")}
    if isinstance(last, TurnFailed):
        raise last.error
    if last.name == TurnFailed.name:
        raise LoggedTurnFailure(dict(end))
    if last.name == TurnWaiting.name:
        return head | _waiting_document(all_events), None
    message: StoredMessage = last.message  # type: ignore[union-attr, assignment]
    # The end of a turn that was recovered has no timings.
    total_ms = end.get("timings", {}).get("total_ms")
    shown = HistoryMessageOut.of_history(message, usage=UsageOut.model_validate(end["usage"]), total_ms=total_ms)
    document = head | {
        "status": message.status,
        "message": shown.model_dump(mode="json"),
        "usage": end["usage"],
        "sources": _cited_sources(message.parts),
        "tool_results": _tool_results(message.parts),
        "approvals": [],
        "questions": [],
    }
    return document, last.timings.model_ms if isinstance(last, TurnCompleted | IncompleteAnswer) else None


def _until_last(events: Iterator[NumberedEvent | Ping]) -> Iterator[NumberedEvent | Ping]:
    """Yield the events up to the last one. The generator behind them is not run to its end."""
    for event in events:
        yield event
        if isinstance(event, NumberedEvent) and event.event.name in LAST_EVENTS:
            return


def _waiting_document(events: list[TurnEvent | ReplayedEvent]) -> dict[str, Any]:
    """Return the document of a turn that waits for the user."""
    results = [event.data() for event in events if event.name == ToolAnswered.name]
    return {
        "status": "waiting",
        "message": None,
        "usage": None,
        "sources": [],
        "tool_results": [{name: result[name] for name in ("call_id", "name", "ok", "content")} for result in results],
        "approvals": [dict(event.data()) for event in events if event.name == ToolApproval.name],
        "questions": [dict(event.data()) for event in events if event.name == ToolQuestion.name],
    }


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
