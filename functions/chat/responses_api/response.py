"""A response: the call of the model, and its answer as one JSON document or as Server-Sent Events."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from fastapi import Response

from functions.chat.openai_api.completions import CompletionEvent, CompletionStream, stream_completion
from functions.chat.openai_api.errors import error_body
from functions.chat.responses import SSE_PING, EventStream, WholeAnswer
from functions.chat.responses_api.events import Event, ResponseEvents
from functions.chat.responses_api.requests import to_request
from functions.chat.responses_api.response_schemas import ResponseErrorOut
from functions.chat.responses_api.schemas import ResponseIn
from functions.chat.responses_api.tools import ClientTools
from functions.chat.services import ChatServices
from functions.chat.turn.events import Ping
from parley.auth.principal import Principal
from parley.deadline import Deadline
from parley.errors import ParleyError
from parley.ids import new_id
from parley.llm.errors import ModelCannot
from parley.llm.messages import Finished
from parley.observability import logger

RESPONSE_PREFIX = "resp_"


def start_response(
    services: ChatServices, principal: Principal, body: ResponseIn, tools: ClientTools, deadline: Deadline
) -> CompletionStream:
    """Start the completion of a response. Raises InvalidInput, and the errors of `stream_completion`."""
    request = to_request(body, tools)
    try:
        completion = stream_completion(services, principal, body.model, request, stops=(), deadline=deadline)
    except ModelCannot as exc:
        if exc.errors[0]["loc"] == ["body", "response_format"]:  # its name in Chat Completions
            exc.errors[0]["loc"] = ["body", "text", "format"]
        raise
    return replace(completion, id=f"{RESPONSE_PREFIX}{new_id().hex}")


def http_response(completion: CompletionStream, events: ResponseEvents, *, stream: bool) -> Response:
    """Wait for the first event of the completion, so that an earlier failure becomes an error response, then return the response.

    If the vendor is silent for `PING_S`, the first event is a ping: a stream then has status 200 even if the call fails.
    """
    first = next(completion.events)
    arrived = _until_finished(chain([first], completion.events))
    if stream:
        return EventStream(_sse(arrived, events), completion.events)
    try:
        for event in arrived:
            events.add(event)
        return WholeAnswer(events.response.model_dump_json(), completion.events, model_ms=completion.model_ms())
    except BaseException:
        completion.events.close()
        raise


def _until_finished(arrived: Iterator[CompletionEvent]) -> Iterator[CompletionEvent]:
    for event in arrived:
        yield event
        if isinstance(event, Finished):
            return


def _sse(arrived: Iterator[CompletionEvent], events: ResponseEvents) -> Iterator[bytes]:
    """Encode each event as it arrives. A failure becomes `response.failed`."""
    try:
        yield from map(_encode, events.begin())
        for event in arrived:
            if isinstance(event, Ping):
                yield SSE_PING
            yield from map(_encode, events.add(event))
    except ParleyError as exc:
        logger.warning("completion_failed", problem=exc.code, reason=str(exc))
        yield from map(_encode, events.fail(_error(exc)))
    except Exception:  # the outermost handler of a stream: whatever happened, the client gets an error
        logger.exception("completion_crashed")
        yield from map(_encode, events.fail(_error(ParleyError())))


def _error(error: ParleyError) -> ResponseErrorOut:
    return ResponseErrorOut.model_validate(error_body(error)["error"])


def _encode(event: Event) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
