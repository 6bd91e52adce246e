"""The OpenAI-compatible routes: models, which Anthropic's clients may list, too, chat completions and embeddings."""

import hashlib
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel

from functions.chat.anthropic_api import models as anthropic_models
from functions.chat.anthropic_api.response_schemas import AnthropicModelOut, AnthropicModelsOut
from functions.chat.completions.completion import stream_completion
from functions.chat.completions.idempotent_completion import StoredCompletion, complete_once
from functions.chat.errors import MODEL_CALL_ERRORS, ApprovalNeeded, AssistantNotFound, ConversationBusy, InProgress
from functions.chat.openai_api.embeddings import embed_texts, embedding_models
from functions.chat.openai_api.requests import to_request
from functions.chat.openai_api.response_schemas import CHUNK_SCHEMA, CompletionOut, EmbeddingsOut, OpenAIModelOut, OpenAIModelsOut
from functions.chat.openai_api.responses import completion_response
from functions.chat.openai_api.schemas import CompletionIn, EmbeddingsIn
from functions.chat.openai_api.stored_conversation import answer_in_conversation
from functions.chat.responses import SERVER_TIMING
from functions.chat.services import ChatServices, ChatServicesDep
from functions.chat.turn.question import ASSISTANT_PREFIX, parse_assistant
from parley.auth.principal import Principal
from parley.db.assistants import assistants
from parley.db.transactions import principal_scope
from parley.db.turn.stream_leases import TooManyStreams
from parley.db.turn.turn_begin import IdempotencyKey
from parley.deadline import Deadline
from parley.errors import IdempotencyKeyReused, NotFound, RequestInProgress
from parley.http.dependencies import CurrentPrincipal, InvocationDeadline, requires
from parley.http.idempotency import Idempotency, IdempotencyHeader, IdempotentRequest, request_fingerprint
from parley.http.lazy_routes import LazyRoute
from parley.http.problems import error_responses
from parley.llm.catalogue import ModelNotFound, NoModel
from parley.llm.errors import ContextTooLong, ModelCannot
from parley.metering.limits import BudgetExhausted, RateLimited

router = APIRouter(prefix="/v1", route_class=LazyRoute, dependencies=[Depends(requires("chat"))])

MAX_ASSISTANTS = 100
_COMPLETIONS_ROUTE = "POST /v1/chat/completions"
_CHOOSING = (ModelNotFound, ContextTooLong, RateLimited, BudgetExhausted)
_TURN = (TooManyStreams, NotFound, AssistantNotFound, ConversationBusy, ApprovalNeeded, InProgress, IdempotencyKeyReused)
AnthropicVersion = Annotated[str | None, Header(description="Sent by clients of Anthropic's API, which get its format")]
ModelId = Annotated[str | None, Query(max_length=100)]
COMPLETION: dict[int | str, Any] = {
    200: {
        "model": CompletionOut,
        "description": "The answer",
        "content": {"text/event-stream": {"schema": CHUNK_SCHEMA}},
        "headers": {
            "X-Conversation-Id": {"description": "The id of the stored conversation, if there is one", "schema": {"type": "string"}},
            "Server-Timing": SERVER_TIMING,
        },
    }
}


@router.get("/models")
async def list_openai_models(
    services: ChatServicesDep,
    principal: CurrentPrincipal,
    anthropic_version: AnthropicVersion = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
    after_id: ModelId = None,
    before_id: ModelId = None,
) -> OpenAIModelsOut | AnthropicModelsOut:
    """List the models, strategies and assistants that a request may name, in OpenAI's format.

    An assistant that the caller may use has the id `assistant:<id>`; the list has the newest 100. With the header `anthropic-version`,
    the list has Anthropic's format and its pages (`limit`, `after_id`, `before_id`), and no embedding models and assistants.
    An API key may also be sent in the header `x-api-key`.
    """
    if anthropic_version:
        return anthropic_models.list_models(services, limit=limit, after_id=after_id, before_id=before_id)
    return OpenAIModelsOut(data=[*_named_models(services), *_assistants(services, principal)])


@router.get("/models/{id}", responses=error_responses(ModelNotFound))
async def get_openai_model(
    id: str, services: ChatServicesDep, principal: CurrentPrincipal, anthropic_version: AnthropicVersion = None
) -> OpenAIModelOut | AnthropicModelOut:
    """Return a model, strategy or assistant that a request may name, in OpenAI's format, or, with `anthropic-version`, in Anthropic's."""
    if anthropic_version:
        return anthropic_models.get_model(services, id)
    models = {model.id: model for model in _named_models(services)}
    if parse_assistant(id):
        models |= {model.id: model for model in _assistants(services, principal)}
    if id not in models:
        raise ModelNotFound(id, allowed=models)
    return models[id]


def _named_models(services: ChatServices) -> list[OpenAIModelOut]:
    catalogue, environment = services.catalogue(), services.environment
    chat = [OpenAIModelOut(id=id, owned_by=model.provider, kind="chat") for id, model in catalogue.available(environment).items()]
    strategies = [OpenAIModelOut(id=name, owned_by="parley", kind="strategy") for name in catalogue.available_strategies(environment)]
    embedding = embedding_models(services).items()
    return [*chat, *strategies, *(OpenAIModelOut(id=id, owned_by=model.provider, kind="embedding") for id, model in embedding)]


def _assistants(services: ChatServices, principal: Principal) -> list[OpenAIModelOut]:
    """Return the newest assistants that the caller may use."""
    with principal_scope(services.engine, principal) as connection:
        found = assistants.page(connection, limit=MAX_ASSISTANTS, after=None)
    return [OpenAIModelOut(id=f"{ASSISTANT_PREFIX}{one.id}", owned_by="parley", kind="assistant", name=one.name) for one in found]


@router.post("/chat/completions", responses=COMPLETION | error_responses(*_CHOOSING, *MODEL_CALL_ERRORS, *_TURN, ModelCannot, NoModel))
async def chat_completions(
    body: CompletionIn,
    request: Request,
    services: ChatServicesDep,
    principal: CurrentPrincipal,
    idempotency: IdempotencyHeader,
    x_conversation_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Answer a request of OpenAI's Chat Completions API. The client runs the tools, and by default no text is stored.

    The model `assistant:<id>` answers with an assistant's instructions, model and documents, as far as the caller can read them; its
    tools and memory apply with `X-Conversation-Id` only.

    With the header `X-Conversation-Id`, an id or `new`, the last message becomes a turn of that stored conversation, which has its own
    history and memory; the response has the id in the same header. While another turn of the conversation runs, the response is 409
    `conversation_busy` with `Retry-After`, which OpenAI's SDKs retry by themselves. With an `Idempotency-Key`, the answer
    is stored for 24 hours, and a repeated request with the same key receives it.
    """
    deadline = Deadline.of(request.scope["aws.context"])
    if x_conversation_id:
        completion = answer_in_conversation(
            services,
            principal,
            x_conversation_id,
            body,
            deadline=deadline,
            idempotency_key=_idempotency_key(x_conversation_id, idempotency, body),
            request_id=request.scope["parley.request_id"],
        )
    else:
        start = partial(stream_completion, services, principal, body.model, to_request(body), stops=body.stops, deadline=deadline)
        idempotent: IdempotentRequest[StoredCompletion] = idempotency.request(_COMPLETIONS_ROUTE, body, render=lambda stored: stored)
        completion = complete_once(services, principal, idempotent, start, deadline)
    return completion_response(completion, stream=bool(body.stream), wants_usage=body.wants_usage)


def _idempotency_key(conversation: str, idempotency: Idempotency, body: CompletionIn) -> IdempotencyKey | None:
    """Return the key of the request. Its fingerprint includes the conversation, which is not in the body."""
    if idempotency.key is None:
        return None
    fingerprint = hashlib.sha256(request_fingerprint(body) + conversation.encode()).digest()
    return IdempotencyKey(_COMPLETIONS_ROUTE, idempotency.key, fingerprint)


@router.post(
    "/embeddings",
    response_model=EmbeddingsOut,
    responses=error_responses(*_CHOOSING, *MODEL_CALL_ERRORS, IdempotencyKeyReused, RequestInProgress),
)
async def create_embeddings(
    body: EmbeddingsIn, services: ChatServicesDep, principal: CurrentPrincipal, idempotency: IdempotencyHeader, deadline: InvocationDeadline
) -> BaseModel | dict[str, Any]:
    """Return a vector for each text, as OpenAI's Embeddings API does. `encoding_format` is `float` or `base64`.

    With an `Idempotency-Key`, the vectors are stored for 24 hours, and a repeated request with the same key receives them. Such a
    request may produce at most 65,536 numbers: the number of texts times the dimensions of the model.
    """
    request: IdempotentRequest[EmbeddingsOut] = idempotency.request("POST /v1/embeddings", body, render=lambda embedded: embedded)
    embed = partial(embed_texts, services, principal, body, deadline=deadline, is_stored=idempotency.key is not None)
    return request.run_exclusively(services.engine, principal, embed, deadline).response
