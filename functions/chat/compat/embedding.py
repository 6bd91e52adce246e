"""Vectors for OpenAI's clients."""

import base64
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

from functions.chat.compat.guarding import guarded
from functions.chat.compat.outputs import EmbeddingOut, EmbeddingsOut, EmbeddingUsageOut
from functions.chat.compat.paying import pay
from functions.chat.compat.schemas import EmbeddingsIn
from functions.chat.desk import Desk
from parley.auth.principal import Principal
from parley.db.transactions import principal_scope
from parley.deadline import Deadline
from parley.errors import InvalidInput
from parley.llm.catalogue import ModelNotFound
from parley.llm.embedder import EmbeddingResult, embedding_batches
from parley.llm.errors import ContextTooLong, ProviderFailed
from parley.llm.messages import Message, ModelRequest, Usage
from parley.llm.model import Model, ModelCall
from parley.llm.tokens import estimate_tokens
from parley.metering import limits
from parley.metering.limits import BillingSubject


def embeddings(services: Desk, principal: Principal, body: EmbeddingsIn, *, deadline: Deadline) -> EmbeddingsOut:
    """Embed the texts, within the user's limits and the function's time.

    Raises ModelNotFound, InvalidInput, ContextTooLong, RateLimited, BudgetExhausted, Unauthorized, Unavailable and
    ProviderFailed.
    """
    billing_subject, available = BillingSubject(principal.user_id, principal.api_key_id), embedding_models(services)
    with principal_scope(services.engine, principal) as connection:
        call = ModelCall(body.model, _chosen(available, body.model))
        _check(call, body)
        amount_usd = limits.max_cost_usd([call.model], ModelRequest([Message("user", text) for text in body.texts]))
        reservation = limits.admit(connection, billing_subject, services.default_limits, amount_usd=amount_usd)
    try:
        embedded = _embed(services, call, body.texts, deadline)
    finally:
        pay(services.engine, billing_subject, [call], reservations=[reservation], purpose="embedding", deadline=deadline)
    data = [EmbeddingOut(index=index, embedding=_encoded(vector, body)) for index, vector in enumerate(embedded.vectors)]
    usage = EmbeddingUsageOut(prompt_tokens=embedded.input_tokens, total_tokens=embedded.input_tokens)
    return EmbeddingsOut(data=data, model=body.model, usage=usage)


def embedding_models(services: Desk) -> dict[str, Model]:
    """Return the embedding models that can be called here, by id."""
    models = services.catalogue().models.items()
    return {id: model for id, model in models if model.kind == "embedding" and not model.obstacle(services.environment)}


def _chosen(available: Mapping[str, Model], name: str) -> Model:
    if name not in available:
        raise ModelNotFound(name, allowed=available)
    return available[name]


def _check(call: ModelCall, body: EmbeddingsIn) -> None:
    if body.dimensions not in (None, call.model.dimensions):
        raise InvalidInput(f"the vectors of {call.model_id!r} have {call.model.dimensions} dimensions", loc=("body", "dimensions"))
    longest = max(map(estimate_tokens, body.texts))
    if longest > call.model.context_tokens:
        raise ContextTooLong(call.model_id, tokens=longest, limit=call.model.context_tokens)


def _embed(services: Desk, call: ModelCall, texts: Sequence[str], deadline: Deadline) -> EmbeddingResult:
    """Embed batch by batch: what a vendor has counted is paid for, also where a later batch fails."""
    vectors = list[list[float]]()
    try:
        with closing(guarded(services.router.breaker, call.model, _parts(services, call, texts), left_s=lambda: deadline.left_s)) as parts:
            for part in parts:
                vectors += part.vectors
                call.usage = Usage(call.usage.input_tokens + part.input_tokens, is_estimated=call.usage.is_estimated or part.is_estimated)
    except ProviderFailed as exc:
        call.error_code = exc.code
        raise
    call.status = "completed"
    return EmbeddingResult(vectors, call.usage.input_tokens, call.usage.is_estimated)


def _parts(services: Desk, call: ModelCall, texts: Sequence[str]) -> Iterator[EmbeddingResult]:
    embedder = services.embedder_for(call.model)
    for batch in embedding_batches(embedder, texts):
        yield embedder.embed_batch(call.model.name, batch, purpose="document")


def _encoded(vector: list[float], body: EmbeddingsIn) -> list[float] | str:
    if body.encoding_format == "base64":
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    return vector
