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
from parley import limits
from parley.auth.principal import Principal
from parley.db.scope import principal_scope
from parley.deadline import Deadline
from parley.errors import InvalidInput
from parley.limits import Payer
from parley.llm.calls import Call
from parley.llm.embedder import Embedded, batches
from parley.llm.failures import ContextTooLong, ProviderFailed
from parley.llm.model import Model
from parley.llm.models import ModelNotFound
from parley.llm.tokens import estimate_tokens
from parley.llm.types import Message, Request, Usage


def embeddings(desk: Desk, principal: Principal, body: EmbeddingsIn, *, deadline: Deadline) -> EmbeddingsOut:
    """Embed the texts, within the user's limits and the function's time.

    Raises ModelNotFound, InvalidInput, ContextTooLong, RateLimited, BudgetExhausted, Unauthorized, Unavailable and
    ProviderFailed.
    """
    payer, available = Payer(principal.user_id, principal.api_key_id), embedding_models(desk)
    with principal_scope(desk.engine, principal) as connection:
        call = Call(body.model, _chosen(available, body.model))
        _check(call, body)
        amount_usd = limits.worst_usd([call.model], Request([Message("user", text) for text in body.texts]))
        reservation = limits.admit(connection, payer, desk.allowance, amount_usd=amount_usd)
    try:
        embedded = _embed(desk, call, body.texts, deadline)
    finally:
        pay(desk.engine, payer, [call], reservations=[reservation], purpose="embedding", deadline=deadline)
    data = [EmbeddingOut(index=index, embedding=_encoded(vector, body)) for index, vector in enumerate(embedded.vectors)]
    usage = EmbeddingUsageOut(prompt_tokens=embedded.input_tokens, total_tokens=embedded.input_tokens)
    return EmbeddingsOut(data=data, model=body.model, usage=usage)


def embedding_models(desk: Desk) -> dict[str, Model]:
    """Return the embedding models that can be called here, by id."""
    models = desk.catalogue().models.items()
    return {id: model for id, model in models if model.kind == "embedding" and not model.obstacle(desk.environment)}


def _chosen(available: Mapping[str, Model], name: str) -> Model:
    if name not in available:
        raise ModelNotFound(name, allowed=available)
    return available[name]


def _check(call: Call, body: EmbeddingsIn) -> None:
    if body.dimensions not in (None, call.model.dimensions):
        raise InvalidInput(f"the vectors of {call.model_id!r} have {call.model.dimensions} dimensions", loc=("body", "dimensions"))
    longest = max(map(estimate_tokens, body.texts))
    if longest > call.model.context_tokens:
        raise ContextTooLong(call.model_id, tokens=longest, limit=call.model.context_tokens)


def _embed(desk: Desk, call: Call, texts: Sequence[str], deadline: Deadline) -> Embedded:
    """Embed batch by batch: what a vendor has counted is paid for, also where a later batch fails."""
    vectors = list[list[float]]()
    try:
        with closing(guarded(desk.router.breaker, call.model, _parts(desk, call, texts), left_s=lambda: deadline.left_s)) as parts:
            for part in parts:
                vectors += part.vectors
                call.usage = Usage(call.usage.input_tokens + part.input_tokens, is_estimated=call.usage.is_estimated or part.is_estimated)
    except ProviderFailed as exc:
        call.error_code = exc.code
        raise
    call.status = "completed"
    return Embedded(vectors, call.usage.input_tokens, call.usage.is_estimated)


def _parts(desk: Desk, call: Call, texts: Sequence[str]) -> Iterator[Embedded]:
    embedder = desk.embedder_for(call.model)
    for batch in batches(embedder, texts):
        yield embedder.embed_batch(call.model.name, batch, purpose="document")


def _encoded(vector: list[float], body: EmbeddingsIn) -> list[float] | str:
    if body.encoding_format == "base64":
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    return vector
