"""The routes for OpenAI's clients."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response

from functions.chat.errors import ApprovalNeeded, ConversationBusy, InProgress, OutOfTime
from functions.chat.openai_api.completions import stream_completion
from functions.chat.openai_api.embeddings import embed_texts, embedding_models
from functions.chat.openai_api.requests import to_request
from functions.chat.openai_api.response_schemas import CHUNK_SCHEMA, CompletionOut, EmbeddingsOut, OpenAIModelOut, OpenAIModelsOut
from functions.chat.openai_api.responses import completion_response
from functions.chat.openai_api.schemas import CompletionIn, EmbeddingsIn
from functions.chat.openai_api.stored_conversation import answer_in_conversation, idempotency_of
from functions.chat.services import ChatServicesDep
from parley.deadline import Deadline
from parley.errors import IdempotencyKeyReused, NotFound
from parley.http.dependencies import CurrentPrincipal, requires
from parley.http.idempotency import IdempotencyHeader
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

_CHOOSING = (ModelNotFound, ContextTooLong, RateLimited, BudgetExhausted)
_TURN = (NotFound, ConversationBusy, ApprovalNeeded, InProgress, IdempotencyKeyReused)
_PROVIDERS = (
    *(ProviderFailed, ProviderBusy, ProviderTimeout, OutOfTime),
    *(ProviderRefused, ProviderRejected, ProviderMisconfigured),
)
COMPLETION: dict[int | str, Any] = {
    200: {
        "model": CompletionOut,
        "description": "The answer",
        "content": {"text/event-stream": {"schema": CHUNK_SCHEMA}},
        "headers": {"X-Conversation-Id": {"description": "The stored conversation, where there is one", "schema": {"type": "string"}}},
    }
}


@router.get("/models")
async def list_openai_models(services: ChatServicesDep) -> OpenAIModelsOut:
    """List the models that a request may name, as OpenAI does."""
    models = services.catalogue().available(services.environment) | embedding_models(services)
    return OpenAIModelsOut(data=[OpenAIModelOut(id=id, owned_by=model.provider) for id, model in models.items()])


@router.post("/chat/completions", responses=COMPLETION | error_responses(*_CHOOSING, *_PROVIDERS, *_TURN, ModelCannot, NoModel))
async def chat_completions(
    body: CompletionIn,
    request: Request,
    services: ChatServicesDep,
    principal: CurrentPrincipal,
    idempotency: IdempotencyHeader,
    x_conversation_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Answer as OpenAI's Chat Completions do; the client runs the tools, and nothing is stored.

    With the header `X-Conversation-Id`, the id of a conversation or `new`, the last message is a turn of that conversation
    instead, with its own memory; the answer bears the id in the same header. While another turn runs there, it is 409
    `conversation_busy` with `Retry-After`, which OpenAI's SDKs try again by themselves. Then, too, an `Idempotency-Key` makes
    a repeated request be given the first one's answer; without a conversation there is nothing to repeat, and it is passed over.
    """
    deadline = Deadline.of(request.scope["aws.context"])
    if x_conversation_id:
        idempotency_key, request_id = idempotency_of(x_conversation_id, idempotency.key, body), request.scope["parley.request_id"]
        completion = answer_in_conversation(
            services, principal, x_conversation_id, body, deadline=deadline, idempotency_key=idempotency_key, request_id=request_id
        )
    else:
        completion = stream_completion(services, principal, body.model, to_request(body), stops=body.stops, deadline=deadline)
    return completion_response(completion, stream=bool(body.stream), wants_usage=body.wants_usage)


@router.post("/embeddings", responses=error_responses(*_CHOOSING, *_PROVIDERS))
async def create_embeddings(body: EmbeddingsIn, request: Request, services: ChatServicesDep, principal: CurrentPrincipal) -> EmbeddingsOut:
    """Return a vector for each text, as OpenAI's embeddings are; `encoding_format` is `float` or `base64`."""
    return embed_texts(services, principal, body, deadline=Deadline.of(request.scope["aws.context"]))
