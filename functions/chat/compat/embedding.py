"""Vectors for OpenAI's clients."""

import base64
import struct
from collections.abc import Sequence

from functions.chat.compat.outputs import EmbeddingOut, EmbeddingsOut, EmbeddingUsageOut
from functions.chat.compat.paying import pay
from functions.chat.compat.schemas import EmbeddingsIn
from functions.chat.desk import Desk
from parley import limits
from parley.auth.principal import Principal
from parley.db.scope import principal_scope
from parley.errors import InvalidInput
from parley.limits import Payer
from parley.llm.calls import Call
from parley.llm.embedder import Embedded, embed
from parley.llm.failures import ContextTooLong, ProviderFailed
from parley.llm.model import Model
from parley.llm.models import ModelNotFound
from parley.llm.tokens import estimate_tokens
from parley.llm.types import Message, Request, Usage


def embeddings(desk: Desk, principal: Principal, body: EmbeddingsIn) -> EmbeddingsOut:
    """Embed the texts, within the user's limits.

    Raises ModelNotFound, InvalidInput, ContextTooLong, RateLimited, BudgetExhausted, Unauthorized, Unavailable and
    ProviderFailed.
    """
    payer = Payer(principal.user_id, principal.api_key_id)
    with principal_scope(desk.engine, principal) as connection:
        call = Call(body.model, _chosen(desk, body.model))
        _check(call, body)
        amount_usd = limits.worst_usd([call.model], Request([Message("user", text) for text in body.texts]))
        reservation = limits.admit(connection, payer, desk.allowance, amount_usd=amount_usd)
    try:
        embedded = _embed(desk, call, body.texts)
    finally:
        pay(desk.engine, payer, [call], reservations=[reservation], purpose="embedding")
    data = [EmbeddingOut(index=index, embedding=_encoded(vector, body)) for index, vector in enumerate(embedded.vectors)]
    usage = EmbeddingUsageOut(prompt_tokens=embedded.input_tokens, total_tokens=embedded.input_tokens)
    return EmbeddingsOut(data=data, model=body.model, usage=usage)


def embedding_models(desk: Desk) -> dict[str, Model]:
    """Return the embedding models that can be called here, by id."""
    models = desk.catalogue().models.items()
    return {id: model for id, model in models if model.kind == "embedding" and not model.obstacle(desk.environment)}


def _chosen(desk: Desk, name: str) -> Model:
    available = embedding_models(desk)
    if name not in available:
        raise ModelNotFound(name, allowed=available)
    return available[name]


def _check(call: Call, body: EmbeddingsIn) -> None:
    if body.dimensions not in (None, call.model.dimensions):
        raise InvalidInput(f"the vectors of {call.model_id!r} have {call.model.dimensions} dimensions", loc=("body", "dimensions"))
    longest = max(map(estimate_tokens, body.texts))
    if longest > call.model.context_tokens:
        raise ContextTooLong(call.model_id, tokens=longest, limit=call.model.context_tokens)


def _embed(desk: Desk, call: Call, texts: Sequence[str]) -> Embedded:
    try:
        embedded = embed(desk.embedder_for(call.model), call.model.name, texts, purpose="document")
    except ProviderFailed as exc:
        call.error_code = exc.code
        raise
    call.status, call.usage = "completed", Usage(embedded.input_tokens, is_estimated=embedded.is_estimated)
    return embedded


def _encoded(vector: list[float], body: EmbeddingsIn) -> list[float] | str:
    if body.encoding_format == "base64":
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    return vector
