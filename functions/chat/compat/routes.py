"""The routes for OpenAI's clients."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response

from functions.chat.compat.answers import answer
from functions.chat.compat.asking import ask
from functions.chat.compat.conversing import converse, once_of
from functions.chat.compat.embedding import embedding_models, embeddings
from functions.chat.compat.outputs import CHUNK, CompletionOut, EmbeddingsOut, ModelOut, ModelsOut
from functions.chat.compat.reading import request_of
from functions.chat.compat.schemas import CompletionIn, EmbeddingsIn
from functions.chat.errors import ApprovalNeeded, ConversationBusy, InProgress, OutOfTime
from parley.deadline import Deadline
from parley.errors import NotFound
from parley.http.dependencies import CurrentPrincipal, requires
from parley.http.idempotency import IdempotencyHeader, IdempotencyKeyReused
from parley.http.problems import error_responses
from parley.llm.catalogue import ModelNotFound, NoModel
from parley.llm.errors import ContextTooLong, ModelCannot
from parley.llm.provider import ProviderBusy, ProviderFailed, ProviderMisconfigured, ProviderRefused, ProviderRejected, ProviderTimeout
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
        "content": {"text/event-stream": {"schema": CHUNK}},
        "headers": {"X-Conversation-Id": {"description": "The stored conversation, where there is one", "schema": {"type": "string"}}},
    }
}


@router.get("/models")
async def list_openai_models(request: Request) -> ModelsOut:
    """List the models that a request may name, as OpenAI does."""
    services = request.app.state.services
    models = services.catalogue().available(services.environment) | embedding_models(services)
    return ModelsOut(data=[ModelOut(id=id, owned_by=model.provider) for id, model in models.items()])


@router.post("/chat/completions", responses=COMPLETION | error_responses(*_CHOOSING, *_PROVIDERS, *_TURN, ModelCannot, NoModel))
async def chat_completions(
    body: CompletionIn,
    request: Request,
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
    services, deadline = request.app.state.services, Deadline.of(request.scope["aws.context"])
    if x_conversation_id:
        idempotency_key, request_id = once_of(x_conversation_id, idempotency.key, body), request.scope["parley.request_id"]
        answering = converse(
            services, principal, x_conversation_id, body, deadline=deadline, idempotency_key=idempotency_key, request_id=request_id
        )
    else:
        answering = ask(services, principal, body.model, request_of(body), stops=body.stops, deadline=deadline)
    return answer(answering, stream=bool(body.stream), wants_usage=body.wants_usage)


@router.post("/embeddings", responses=error_responses(*_CHOOSING, *_PROVIDERS))
async def create_embeddings(body: EmbeddingsIn, request: Request, principal: CurrentPrincipal) -> EmbeddingsOut:
    """Return a vector for each text, as OpenAI's embeddings are; `encoding_format` is `float` or `base64`."""
    return embeddings(request.app.state.services, principal, body, deadline=Deadline.of(request.scope["aws.context"]))
