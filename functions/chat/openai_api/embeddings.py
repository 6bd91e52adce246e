"""Embeddings for OpenAI's clients, behind the provider's circuit breaker and within the function's deadline."""

import base64
import struct
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from uuid import UUID

from functions.chat.openai_api.response_schemas import EmbeddingOut, EmbeddingsOut, EmbeddingUsageOut
from functions.chat.openai_api.schemas import EmbeddingsIn
from functions.chat.services import ChatServices
from functions.chat.turn.provider_stream import StreamEnded, StreamReader
from parley.auth.principal import Principal
from parley.db.transactions import principal_scope
from parley.deadline import Deadline
from parley.errors import InvalidInput
from parley.llm.catalogue import ModelNotFound
from parley.llm.circuit_breaker import CircuitBreaker, circuit_key
from parley.llm.embedder import EmbeddingResult, embedding_batches
from parley.llm.errors import ContextTooLong, ProviderBusy, ProviderFailed, ProviderTimeout
from parley.llm.messages import Message, ModelRequest, Usage
from parley.llm.model import Model, ModelCall
from parley.llm.tokens import estimate_tokens
from parley.metering import limits
from parley.metering.limits import BillingSubject
from parley.metering.metered_call import MeteredCall

# The most numbers in a response that is stored for repeated requests: about 1 MB.
MAX_STORED_NUMBERS = 65_536


def with_circuit_breaker[T](
    breaker: CircuitBreaker, model: Model, results: Iterator[T], *, user_id: UUID, left_s: Callable[[], float]
) -> Generator[T]:
    """Yield the results of a vendor's calls, and report to the circuit breaker whether they succeeded.

    Raises ProviderBusy if the circuit is open, and the error of a failed call. When `left_s()` reaches zero, abandons the current
    call and raises ProviderTimeout.
    """
    circuit = circuit_key(model)
    if waits_s := breaker.admit(circuit):
        raise ProviderBusy(model.provider, retry_after_s=waits_s)
    try:
        yield from _until_deadline(model, results, left_s)
        breaker.succeeded(circuit)
    except ProviderFailed as exc:
        breaker.failed(circuit, exc, user_id=user_id)
        raise
    finally:
        breaker.released(circuit)


def _until_deadline[T](model: Model, results: Iterator[T], left_s: Callable[[], float]) -> Iterator[T]:
    with StreamReader(_ClosableIterator(results)) as reader:
        while True:
            try:
                result = reader.next(timeout_s=max(left_s(), 0))
            except StreamEnded:
                return
            if result is None:
                raise ProviderTimeout(model.provider, "no time is left")
            yield result


class _ClosableIterator[T]:
    """Adapts an iterator to `ClosableStream`. `close` only prevents further calls, because an iterator has no connection to close."""

    def __init__(self, results: Iterator[T]) -> None:
        self._results = results
        self._is_closed = False

    def __iter__(self) -> "_ClosableIterator[T]":
        return self

    def __next__(self) -> T:
        if self._is_closed:
            raise StopIteration
        return next(self._results)

    def close(self) -> None:
        """Prevent further calls."""
        self._is_closed = True


def embed_texts(
    services: ChatServices, principal: Principal, body: EmbeddingsIn, *, deadline: Deadline, is_stored: bool = False
) -> EmbeddingsOut:
    """Embed the texts, within the user's limits and the function's deadline. With `is_stored`, reject more than `MAX_STORED_NUMBERS`.

    Raises ModelNotFound, InvalidInput, ContextTooLong, RateLimited, BudgetExhausted, Unauthorized, Unavailable and
    ProviderFailed.
    """
    billing_subject, available = BillingSubject(principal.user_id, principal.api_key_id), embedding_models(services)
    with principal_scope(services.engine, principal) as connection:
        call = ModelCall(body.model, _find_model(available, body.model))
        _check_request(call, body, is_stored=is_stored)
        amount_usd = limits.max_cost_usd([call.model], ModelRequest([Message("user", text) for text in body.texts]))
        admitted = limits.admit(connection, billing_subject, services.default_limits, amount_usd=amount_usd)
    metered = MeteredCall(
        services.engine,
        billing_subject,
        services.default_limits,
        amount_usd=amount_usd,
        purpose="embedding",
        calls=[call],
        admitted=admitted,
        deadline=deadline,
    )
    with metered:
        embedded = _embed(services, call, body.texts, deadline, user_id=principal.user_id)
    data = [EmbeddingOut(index=index, embedding=_encode_vector(vector, body)) for index, vector in enumerate(embedded.vectors)]
    usage = EmbeddingUsageOut(prompt_tokens=embedded.input_tokens, total_tokens=embedded.input_tokens)
    return EmbeddingsOut(data=data, model=body.model, usage=usage)


def embedding_models(services: ChatServices) -> dict[str, Model]:
    """Return the available embedding models by id."""
    models = services.catalogue().models.items()
    return {id: model for id, model in models if model.kind == "embedding" and not model.obstacle(services.environment)}


def _find_model(available: Mapping[str, Model], name: str) -> Model:
    if name not in available:
        raise ModelNotFound(name, allowed=available)
    return available[name]


def _check_request(call: ModelCall, body: EmbeddingsIn, *, is_stored: bool) -> None:
    max_texts = MAX_STORED_NUMBERS // (call.model.dimensions or 1)
    if is_stored and len(body.texts) > max_texts:
        raise InvalidInput(
            f"with an Idempotency-Key, at most {max_texts} texts for this model; send smaller batches", loc=("body", "input")
        )
    if body.dimensions not in (None, call.model.dimensions):
        raise InvalidInput(f"must be {call.model.dimensions}, the dimensions of {call.model_id!r}", loc=("body", "dimensions"))
    longest = max(map(estimate_tokens, body.texts))
    if longest > call.model.context_tokens:
        raise ContextTooLong(call.model_id, tokens=longest, limit=call.model.context_tokens)


def _embed(services: ChatServices, call: ModelCall, texts: Sequence[str], deadline: Deadline, *, user_id: UUID) -> EmbeddingResult:
    """Embed the texts batch by batch. If a batch fails, the usage of the earlier batches is still recorded and charged."""
    vectors = list[list[float]]()
    results, breaker = _embed_batches(services, call, texts), services.router.breaker
    with closing(with_circuit_breaker(breaker, call.model, results, user_id=user_id, left_s=lambda: deadline.left_s)) as batches:
        for batch in batches:
            vectors += batch.vectors
            call.add_guard_hits(batch.guard_hits)
            call.usage = Usage(call.usage.input_tokens + batch.input_tokens, is_estimated=call.usage.is_estimated or batch.is_estimated)
    call.status = "completed"
    return EmbeddingResult(vectors, call.usage.input_tokens, call.usage.is_estimated)


def _embed_batches(services: ChatServices, call: ModelCall, texts: Sequence[str]) -> Iterator[EmbeddingResult]:
    embedder = services.embedder_for(call.model)
    for batch in embedding_batches(embedder, texts):
        yield embedder.embed_batch(call.model.name, batch, purpose="document")


def _encode_vector(vector: list[float], body: EmbeddingsIn) -> list[float] | str:
    if body.encoding_format == "base64":
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    return vector
