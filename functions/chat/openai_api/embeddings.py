"""Embeddings for OpenAI's clients, behind the provider's circuit breaker and within the function's time."""

import base64
import struct
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing

from functions.chat.openai_api.response_schemas import EmbeddingOut, EmbeddingsOut, EmbeddingUsageOut
from functions.chat.openai_api.schemas import EmbeddingsIn
from functions.chat.services import ChatServices
from functions.chat.turn.provider_stream import StreamEnded, StreamReader
from parley.auth.principal import Principal
from parley.db.transactions import principal_scope
from parley.deadline import Deadline
from parley.errors import InvalidInput
from parley.llm.catalogue import ModelNotFound
from parley.llm.circuit_breaker import CircuitBreaker, provider_key
from parley.llm.embedder import EmbeddingResult, embedding_batches
from parley.llm.errors import ContextTooLong, ProviderBusy, ProviderFailed, ProviderMisconfigured, ProviderRejected, ProviderTimeout
from parley.llm.messages import Message, ModelRequest, Usage
from parley.llm.model import Model, ModelCall
from parley.llm.tokens import estimate_tokens
from parley.metering import limits
from parley.metering.limits import BillingSubject
from parley.metering.metered_call import MeteredCall


def with_circuit_breaker[T](breaker: CircuitBreaker, model: Model, answers: Iterator[T], *, left_s: Callable[[], float]) -> Generator[T]:
    """Pass the answers on, and tell the circuit how it went.

    Raises ProviderBusy where nobody may call now, ProviderTimeout when `left_s()` is used up: a call that is under way is left
    alone then, and its answer is not waited for. And whatever the answers raise.
    """
    provider = provider_key(model)
    if waits_s := breaker.admit(provider):
        raise ProviderBusy(model.provider, retry_after_s=waits_s)
    try:
        yield from _until_deadline(model, answers, left_s)
        breaker.succeeded(provider)
    except ProviderRejected:
        breaker.succeeded(provider)  # it answered: the request is at fault
        raise
    except ProviderMisconfigured:
        raise
    except ProviderFailed:
        breaker.failed(provider)
        raise
    finally:
        breaker.released(provider)


def _until_deadline[T](model: Model, answers: Iterator[T], left_s: Callable[[], float]) -> Iterator[T]:
    with StreamReader(_ClosableIterator(answers)) as reader:
        while True:
            try:
                found = reader.next(timeout_s=max(left_s(), 0))
            except StreamEnded:
                return
            if found is None:
                raise ProviderTimeout(model.provider, "no time is left")
            yield found


class _ClosableIterator[T]:
    """What is read to its end or left: there is no connection to cut."""

    def __init__(self, answers: Iterator[T]) -> None:
        self._answers, self._is_closed = answers, False

    def __iter__(self) -> "_ClosableIterator[T]":
        return self

    def __next__(self) -> T:
        if self._is_closed:
            raise StopIteration
        return next(self._answers)

    def close(self) -> None:
        """Ask for no further answer."""
        self._is_closed = True


def embed_texts(services: ChatServices, principal: Principal, body: EmbeddingsIn, *, deadline: Deadline) -> EmbeddingsOut:
    """Embed the texts, within the user's limits and the function's time.

    Raises ModelNotFound, InvalidInput, ContextTooLong, RateLimited, BudgetExhausted, Unauthorized, Unavailable and
    ProviderFailed.
    """
    billing_subject, available = BillingSubject(principal.user_id, principal.api_key_id), embedding_models(services)
    with principal_scope(services.engine, principal) as connection:
        call = ModelCall(body.model, _find_model(available, body.model))
        _check_request(call, body)
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
        embedded = _embed(services, call, body.texts, deadline)
    data = [EmbeddingOut(index=index, embedding=_encode_vector(vector, body)) for index, vector in enumerate(embedded.vectors)]
    usage = EmbeddingUsageOut(prompt_tokens=embedded.input_tokens, total_tokens=embedded.input_tokens)
    return EmbeddingsOut(data=data, model=body.model, usage=usage)


def embedding_models(services: ChatServices) -> dict[str, Model]:
    """Return the embedding models that can be called here, by id."""
    models = services.catalogue().models.items()
    return {id: model for id, model in models if model.kind == "embedding" and not model.obstacle(services.environment)}


def _find_model(available: Mapping[str, Model], name: str) -> Model:
    if name not in available:
        raise ModelNotFound(name, allowed=available)
    return available[name]


def _check_request(call: ModelCall, body: EmbeddingsIn) -> None:
    if body.dimensions not in (None, call.model.dimensions):
        raise InvalidInput(f"the vectors of {call.model_id!r} have {call.model.dimensions} dimensions", loc=("body", "dimensions"))
    longest = max(map(estimate_tokens, body.texts))
    if longest > call.model.context_tokens:
        raise ContextTooLong(call.model_id, tokens=longest, limit=call.model.context_tokens)


def _embed(services: ChatServices, call: ModelCall, texts: Sequence[str], deadline: Deadline) -> EmbeddingResult:
    """Embed batch by batch: what a vendor has counted is paid for, also where a later batch fails."""
    vectors = list[list[float]]()
    try:
        with closing(
            with_circuit_breaker(services.router.breaker, call.model, _embed_batches(services, call, texts), left_s=lambda: deadline.left_s)
        ) as parts:
            for part in parts:
                vectors += part.vectors
                call.usage = Usage(call.usage.input_tokens + part.input_tokens, is_estimated=call.usage.is_estimated or part.is_estimated)
    except ProviderFailed as exc:
        call.error_code = exc.code
        raise
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
