"""The routes of OpenAI's Responses API."""

from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, Response

from functions.chat.errors import OutOfTime
from functions.chat.openai_api.idempotent_completion import StoredCompletion, complete_once
from functions.chat.responses import SERVER_TIMING
from functions.chat.responses_api.events import ResponseEvents
from functions.chat.responses_api.response import http_response, start_response
from functions.chat.responses_api.response_schemas import ResponseOut, request_echo
from functions.chat.responses_api.schemas import ResponseIn
from functions.chat.responses_api.tools import ClientTools
from functions.chat.services import ChatServicesDep
from parley.db.turn.stream_leases import TooManyStreams
from parley.errors import IdempotencyKeyReused, RequestInProgress
from parley.http.dependencies import CurrentPrincipal, InvocationDeadline, requires
from parley.http.idempotency import IdempotencyHeader, IdempotentRequest
from parley.http.problems import error_responses
from parley.llm.catalogue import ModelNotFound, NoModel
from parley.llm.errors import (
    ContextTooLong,
    ModelCannot,
    ProviderBusy,
    ProviderFailed,
    ProviderMisconfigured,
    ProviderRefused,
    ProviderRejected,
    ProviderTimeout,
)
from parley.metering.limits import BudgetExhausted, RateLimited

router = APIRouter(prefix="/v1", dependencies=[Depends(requires("chat"))])

_CHOOSING = (ModelNotFound, NoModel, ModelCannot, ContextTooLong, RateLimited, BudgetExhausted, TooManyStreams)
_PROVIDERS = (ProviderFailed, ProviderBusy, ProviderTimeout, OutOfTime, ProviderRefused, ProviderRejected, ProviderMisconfigured)
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
    "/responses", responses=RESPONSE | error_responses(*_CHOOSING, *_PROVIDERS, IdempotencyKeyReused, RequestInProgress)
)
async def create_response(
    body: ResponseIn, services: ChatServicesDep, principal: CurrentPrincipal, idempotency: IdempotencyHeader, deadline: InvocationDeadline
) -> Response:
    """Answer a request of OpenAI's Responses API. The client runs the tools, and no text is stored.

    With `stream`, the response is Server-Sent Events in OpenAI's order, from `response.created` to `response.completed`,
    `response.incomplete` or `response.failed`. With an `Idempotency-Key`, the answer is stored for 24 hours, and a repeated request with
    the same key receives it.
    """
    tools = ClientTools.of(body)
    request: IdempotentRequest[StoredCompletion] = idempotency.request("POST /v1/responses", body, render=lambda stored: stored)
    completion = complete_once(services, principal, request, partial(start_response, services, principal, body, tools, deadline), deadline)
    events = ResponseEvents(completion, request_echo(body), free_form=tools.free_form)
    return http_response(completion, events, stream=bool(body.stream))
