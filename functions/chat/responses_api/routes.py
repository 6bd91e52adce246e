"""The routes of OpenAI's Responses API."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from functions.chat.completions.idempotent_completion import StoredCompletion, complete_once
from functions.chat.errors import MODEL_CALL_ERRORS, AssistantNotFound
from functions.chat.responses import SERVER_TIMING
from functions.chat.responses_api import background, stored_responses
from functions.chat.responses_api.compaction import compact
from functions.chat.responses_api.events import ResponseEvents
from functions.chat.responses_api.response import background_response, count_input, http_response, show, start_response
from functions.chat.responses_api.response_schemas import (
    CompactionOut,
    DeletedResponseOut,
    InputTokensOut,
    ItemListOut,
    ResponseOut,
    request_echo,
)
from functions.chat.responses_api.schemas import CompactIn, ItemPageIn, ResponseIn
from functions.chat.responses_api.tools import ClientTools
from functions.chat.services import ChatServicesDep
from parley.db.turn.stream_leases import TooManyStreams
from parley.errors import IdempotencyKeyReused, NotFound, RequestInProgress
from parley.http.dependencies import CurrentPrincipal, InvocationDeadline, require_live_session, requires
from parley.http.idempotency import IdempotencyHeader, IdempotentRequest
from parley.http.lazy_routes import LazyRoute
from parley.http.problems import error_responses
from parley.llm.catalogue import ModelNotFound, NoModel
from parley.llm.errors import ContextTooLong, ModelCannot
from parley.metering.limits import BudgetExhausted, RateLimited

router = APIRouter(prefix="/v1", route_class=LazyRoute, dependencies=[Depends(requires("chat"))])

_CHOOSING = (AssistantNotFound, ModelNotFound, NoModel, ModelCannot, ContextTooLong, RateLimited, BudgetExhausted, TooManyStreams)
_EVENT_SCHEMA: dict[str, Any] = {
    "title": "ResponseEvent",
    "description": "Each Server-Sent Event. `data` is one JSON object with the `type` of the event and its `sequence_number`.",
    "type": "object",
    "required": ["event", "data"],
    "properties": {"event": {"type": "string"}, "data": {"type": "string", "contentMediaType": "application/json"}},
}
RESPONSE: dict[int | str, Any] = {
    200: {
        "model": ResponseOut,
        "description": "The response",
        "content": {"text/event-stream": {"schema": _EVENT_SCHEMA}},
        "headers": {"Server-Timing": SERVER_TIMING},
    }
}


@router.post(
    "/responses", responses=RESPONSE | error_responses(*_CHOOSING, *MODEL_CALL_ERRORS, NotFound, IdempotencyKeyReused, RequestInProgress)
)
async def create_response(
    body: ResponseIn, services: ChatServicesDep, principal: CurrentPrincipal, idempotency: IdempotencyHeader, deadline: InvocationDeadline
) -> Response:
    """Answer a request of OpenAI's Responses API. The client runs the tools.

    Unless `store` is false, the response and its input are stored for 30 days, and a later request can continue them with
    `previous_response_id`.
    With `stream`, the response is Server-Sent Events in OpenAI's order, from `response.created` to `response.completed`,
    `response.incomplete` or `response.failed`. With an `Idempotency-Key`, the answer is stored for 24 hours, and a repeated request with
    the same key receives it.

    With `background`, the response is returned at once, with the status `in_progress`: read it at `GET /v1/responses/{id}` until it
    has ended, follow its events there, or cancel it. With `stream`, too, its events are sent, and it goes on if the client leaves.
    """
    tools = ClientTools.of(body)
    request: IdempotentRequest[StoredCompletion] = idempotency.request("POST /v1/responses", body, render=lambda stored: stored)
    completion = complete_once(services, principal, request, partial(start_response, services, principal, body, tools, deadline), deadline)
    events = ResponseEvents(completion, request_echo(body), free_form=tools.free_form)
    if body.background:
        return background_response(services, principal, body, completion, events, deadline)
    store = partial(stored_responses.store, services, principal, body, deadline=deadline)
    return http_response(completion, events, store, stream=bool(body.stream))


@router.post(
    "/responses/input_tokens",
    dependencies=[Depends(require_live_session)],
    responses=error_responses(ModelNotFound, NotFound, NoModel),
)
async def count_input_tokens(body: ResponseIn, services: ChatServicesDep, principal: CurrentPrincipal) -> InputTokensOut:
    """Estimate how many tokens the input of a request has. No model is called."""
    return count_input(services, principal, body)


@router.post(
    "/responses/compact",
    dependencies=[Depends(require_live_session)],
    responses=error_responses(*_CHOOSING, *MODEL_CALL_ERRORS, NotFound),
)
async def compact_conversation(
    body: CompactIn, services: ChatServicesDep, principal: CurrentPrincipal, deadline: InvocationDeadline
) -> CompactionOut:
    """Make a conversation shorter, for a context that is nearly full.

    The model summarizes the conversation. The output has the user's messages and an item with the summary; send it as the input of the
    next request, in place of the conversation.
    """
    return compact(services, principal, body, deadline)


@router.get("/responses/{id}", responses=RESPONSE | error_responses(NotFound, TooManyStreams))
async def get_response(
    id: str,
    services: ChatServicesDep,
    principal: CurrentPrincipal,
    deadline: InvocationDeadline,
    stream: Annotated[bool, Query(description="Send the events of the response")] = False,
    starting_after: Annotated[int | None, Query(ge=0, lt=2**31, description="The sequence number of the last event received")] = None,
) -> Response:
    """Return a stored response, or with `stream` its events.

    The events of a response that runs in the background are sent as they arrive; each has the number that it had for other readers for
    24 hours after it ended. Later, and for a response that did not run in the background, each item arrives in one piece. The last event
    is sent even if its number is not greater than `starting_after`.
    """
    return show(services, principal, id, stream=stream, deadline=deadline, starting_after=starting_after)


@router.post("/responses/{id}/cancel", responses=error_responses(NotFound))
async def cancel_response(id: str, services: ChatServicesDep, principal: CurrentPrincipal) -> ResponseOut:
    """Cancel a response that runs in the background, and return it with the output so far.

    The model stops within a second. A response that has ended is returned as it is; one that was not created with `background` is
    refused.
    """
    return background.cancel(services, principal, id)


@router.delete("/responses/{id}", responses=error_responses(NotFound))
async def delete_response(id: str, services: ChatServicesDep, principal: CurrentPrincipal) -> DeletedResponseOut:
    """Delete a stored response. A response that continues it cannot be continued any longer."""
    return stored_responses.remove(services, principal, id)


@router.get("/responses/{id}/input_items", responses=error_responses(NotFound))
async def list_input_items(
    id: str, services: ChatServicesDep, principal: CurrentPrincipal, page: Annotated[ItemPageIn, Query()]
) -> ItemListOut:
    """List the items of a stored response's request, by default the newest first."""
    return stored_responses.list_input(services, principal, id, page)
