"""The routes of Anthropic's Messages API: messages, and the number of their tokens."""

from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from functions.chat.anthropic_api.errors import PREFIX
from functions.chat.anthropic_api.requests import to_prompt, to_request
from functions.chat.anthropic_api.response_schemas import MESSAGE_EVENT_SCHEMA, AnthropicMessageOut, TokenCountOut
from functions.chat.anthropic_api.responses import message_response
from functions.chat.anthropic_api.schemas import CountTokensIn, MessagesIn
from functions.chat.completions.completion import stream_completion
from functions.chat.completions.idempotent_completion import StoredCompletion, complete_once
from functions.chat.completions.token_count import count_prompt_tokens
from functions.chat.errors import MODEL_CALL_ERRORS, AssistantNotFound
from functions.chat.responses import SERVER_TIMING
from functions.chat.services import ChatServicesDep
from parley.db.turn.stream_leases import TooManyStreams
from parley.errors import IdempotencyKeyReused, RequestInProgress
from parley.http.dependencies import CurrentPrincipal, InvocationDeadline, require_live_session, requires
from parley.http.idempotency import IdempotencyHeader, IdempotentRequest
from parley.http.lazy_routes import LazyRoute
from parley.http.problems import error_responses
from parley.llm.catalogue import ModelNotFound
from parley.llm.errors import ContextTooLong, ModelCannot
from parley.metering.limits import BudgetExhausted, RateLimited

router = APIRouter(prefix=PREFIX, route_class=LazyRoute, dependencies=[Depends(requires("chat"))])

_CHOOSING = (AssistantNotFound, ModelNotFound, ModelCannot, ContextTooLong, RateLimited, BudgetExhausted, TooManyStreams)
MESSAGE: dict[int | str, Any] = {
    200: {
        "model": AnthropicMessageOut,
        "description": "The message",
        "content": {"text/event-stream": {"schema": MESSAGE_EVENT_SCHEMA}},
        "headers": {
            "Request-Id": {"description": "The id of the request", "schema": {"type": "string"}},
            "Server-Timing": SERVER_TIMING,
        },
    }
}


@router.post("", responses=MESSAGE | error_responses(*_CHOOSING, *MODEL_CALL_ERRORS, IdempotencyKeyReused, RequestInProgress))
async def create_message(
    body: MessagesIn,
    request: Request,
    services: ChatServicesDep,
    principal: CurrentPrincipal,
    idempotency: IdempotencyHeader,
    deadline: InvocationDeadline,
) -> Response:
    """Answer a request of Anthropic's Messages API, with any model of the catalogue. The client runs the tools, and no text is stored.

    With `stream`, the response is Server-Sent Events, which end with `message_stop` or `error`. An API key may also be sent in the
    header `x-api-key`. `anthropic-version` and `anthropic-beta` are accepted, and change nothing. With an `Idempotency-Key`, the answer
    is stored for 24 hours, and a repeated request with the same key receives it.
    """
    prompt = to_request(body)
    start = partial(stream_completion, services, principal, body.model, prompt, stops=body.stops, deadline=deadline)
    idempotent: IdempotentRequest[StoredCompletion] = idempotency.request(f"POST {PREFIX}", body, render=lambda stored: stored)
    completion = complete_once(services, principal, idempotent, start, deadline)
    return message_response(completion, prompt, stream=bool(body.stream), request_id=request.scope["parley.request_id"])


@router.post("/count_tokens", dependencies=[Depends(require_live_session)], responses=error_responses(ModelNotFound))
async def count_message_tokens(body: CountTokensIn, services: ChatServicesDep, principal: CurrentPrincipal) -> TokenCountOut:
    """Estimate the tokens of a prompt, without calling a model. The model must be in the catalogue."""
    return TokenCountOut(input_tokens=count_prompt_tokens(services, principal, body.model, to_prompt(body)))
