"""A response: the call of the model, and its answer as one JSON document or as Server-Sent Events."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain

from fastapi import Response

from functions.chat.completions.answer_end import until_finished
from functions.chat.completions.call_sequence import in_sequence
from functions.chat.completions.completion import CompletionEvent, CompletionStream, stream_completion
from functions.chat.completions.token_count import count_prompt_tokens
from functions.chat.responses import SSE_PING, EventStream, WholeAnswer, WorkingAnswer
from functions.chat.responses_api import background
from functions.chat.responses_api.events import Event, ResponseEvents, response_error
from functions.chat.responses_api.requests import to_request
from functions.chat.responses_api.response_schemas import InputTokensOut, ResponseOut
from functions.chat.responses_api.schemas import ResponseIn
from functions.chat.responses_api.stored_responses import conversation_of, new_response_id
from functions.chat.responses_api.tools import ClientTools
from functions.chat.services import ChatServices
from functions.chat.turn.events import Ping
from functions.chat.turn.heartbeat import TICK_S
from parley.auth.principal import Principal
from parley.deadline import Deadline
from parley.errors import ParleyError
from parley.llm.errors import ModelCannot
from parley.llm.messages import Finished
from parley.observability import logger

type Store = Callable[[ResponseOut], None]


def start_response(
    services: ChatServices, principal: Principal, body: ResponseIn, tools: ClientTools, deadline: Deadline
) -> CompletionStream:
    """Start the completion of a response. Raises InvalidInput, NotFound, and the errors of `stream_completion`."""
    request = to_request(body, tools, conversation_of(services, principal, body))
    try:
        ping_s = TICK_S if body.background else None
        completion = stream_completion(services, principal, body.model, request, stops=(), deadline=deadline, ping_s=ping_s)
    except ModelCannot as exc:
        if exc.errors[0]["loc"] == ["body", "response_format"]:  # its name in Chat Completions
            exc.errors[0]["loc"] = ["body", "text", "format"]
        raise
    return replace(completion, id=new_response_id())


def count_input(services: ChatServices, principal: Principal, body: ResponseIn) -> InputTokensOut:
    """Estimate the tokens of a request's input. Raises ModelNotFound, InvalidInput and NotFound."""
    prompt = to_request(body, ClientTools.of(body), conversation_of(services, principal, body))
    return InputTokensOut(input_tokens=count_prompt_tokens(services, principal, body.model, prompt))


def http_response(completion: CompletionStream, events: ResponseEvents, store: Store, *, stream: bool) -> Response:
    """Wait for the first event of the completion, so that an earlier failure becomes an error response, then return the response.

    A finished response is stored before the client gets its last event, so that it can be continued at once.
    If the vendor is silent for `PING_S`, the first event is a ping: a stream then has status 200 even if the call fails.
    """
    first = next(completion.events)
    arrived = in_sequence(until_finished(chain([first], completion.events)))
    if stream:
        return EventStream(_sse(arrived, events, store), completion.events)
    try:
        for event in arrived:
            events.add(event)
        store(events.response)
        return WholeAnswer(events.response.model_dump_json(), completion.events, model_ms=completion.model_ms())
    except BaseException:
        completion.events.close()
        raise


def background_response(
    services: ChatServices, principal: Principal, body: ResponseIn, completion: CompletionStream, events: ResponseEvents, deadline: Deadline
) -> Response:
    """Return a response before its answer, or the stream of its events. It runs to its end in either case.

    A repeated request gets the stored response. Raises Unauthorized and Unavailable.
    """
    run = background.begin_run(services, principal, body, completion, events, deadline)
    if run is None:
        return show(services, principal, events.response.id, stream=bool(body.stream), deadline=deadline)
    if body.stream:
        first = next(run)  # a generator that has not begun would not run to its end if the client left before the first event
        return EventStream(map(encode, chain([first], run)), run)
    return WorkingAnswer(events.response.model_dump_json(), run)


def show(
    services: ChatServices, principal: Principal, id: str, *, stream: bool, deadline: Deadline, starting_after: int | None = None
) -> Response:
    """Return a stored response, or the stream of its events after a sequence number. Raises NotFound and TooManyStreams."""
    if not stream:
        return Response(background.read(services, principal, id).model_dump_json(), media_type="application/json")
    events = background.follow(services, principal, id, after=-1 if starting_after is None else starting_after, deadline=deadline)
    first = next(events)
    return EventStream(map(encode, chain([first], events)), events)


def _sse(arrived: Iterator[CompletionEvent], events: ResponseEvents, store: Store) -> Iterator[bytes]:
    """Encode each event as it arrives. A failure becomes `response.failed`."""
    try:
        yield from map(encode, events.begin())
        for event in arrived:
            if isinstance(event, Ping):
                yield SSE_PING
            new = events.add(event)
            if isinstance(event, Finished):
                store(events.response)
            yield from map(encode, new)
    except ParleyError as exc:
        logger.warning("completion_failed", problem=exc.code, reason=str(exc))
        yield from map(encode, events.fail(response_error(exc)))
    except Exception:  # the outermost handler of a stream: whatever happened, the client gets an error
        logger.exception("completion_crashed")
        yield from map(encode, events.fail(response_error(ParleyError())))


def encode(event: Event | Ping) -> bytes:
    """Return an event as a Server-Sent Event, and a ping as a comment."""
    if isinstance(event, Ping):
        return SSE_PING
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
