"""Guards around the clients of vendors: code that holds such a client cannot reach the vendor without them."""

from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Self

from parley.llm.embedder import Embedder, EmbeddingPurpose, EmbeddingResult
from parley.llm.guards.call import GuardedCall, guarded_texts
from parley.llm.messages import ModelEvent, ModelRequest
from parley.llm.model import GuardHit, GuardSettings
from parley.llm.provider import Provider, ProviderEvents, validated_events
from parley.llm.reranker import Reranker, RerankResult


class GuardedProvider:
    """A provider whose requests and answers pass the guards."""

    def __init__(self, provider: Provider, name: str, settings: GuardSettings) -> None:
        self._provider, self._name, self._settings = provider, name, settings

    def stream(self, model_name: str, request: ModelRequest) -> "GuardedEvents":
        """Yield the answer's events. Reading them raises GuardBlocked, before the vendor is called or in the middle of the answer."""
        return GuardedEvents(self._provider, self._name, model_name, request, GuardedCall(self._settings, request.task))

    def close(self) -> None:
        """Close the vendor's connections."""
        _close(self._provider)


class GuardedEvents:
    """The events of a guarded call: one thread reads, any thread may close."""

    def __init__(self, provider: Provider, name: str, model_name: str, request: ModelRequest, call: GuardedCall) -> None:
        self._provider, self._name, self._model_name, self._request, self._call = provider, name, model_name, request, call
        self._vendor_events: ProviderEvents | None = None
        self._is_closed = False
        self._events = self._run()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ModelEvent:
        return next(self._events)

    @property
    def is_begun(self) -> bool:
        """Whether the vendor accepted the request."""
        return bool(getattr(self._vendor_events, "is_begun", False))

    @property
    def guard_hits(self) -> tuple[GuardHit, ...]:
        """The findings of the guards so far."""
        return self._call.hits

    def close(self) -> None:
        """Break the vendor's connection. The stream ends without further events or errors."""
        self._is_closed = True
        if self._vendor_events is not None:
            self._vendor_events.close()
        with suppress(ValueError):  # another thread is reading: the broken connection wakes it
            self._events.close()

    def _run(self) -> Generator[ModelEvent]:
        request = self._call.guard_request(self._request)
        self._vendor_events = self._provider.stream(self._model_name, request)
        try:
            if self._is_closed:  # while the request was read
                return
            for event in validated_events(self._vendor_events, provider=self._name):
                yield from self._call.guard_event(event)
        finally:
            self._vendor_events.close()


class GuardedEmbedder:
    """An embedder that receives texts without blocked words and personal data. No text is refused: only vectors come back."""

    def __init__(self, embedder: Embedder, settings: GuardSettings) -> None:
        self._embedder, self._settings = embedder, settings
        self.dimensions, self.batch_texts, self.batch_tokens = embedder.dimensions, embedder.batch_texts, embedder.batch_tokens

    def embed_batch(self, model_name: str, texts: Sequence[str], *, purpose: EmbeddingPurpose) -> EmbeddingResult:
        """Embed texts that fit into one call. Raises ProviderFailed or a subclass."""
        guarded, hits = guarded_texts(texts, self._settings)
        return replace(self._embedder.embed_batch(model_name, guarded, purpose=purpose), guard_hits=hits)

    def close(self) -> None:
        """Close the vendor's connections."""
        _close(self._embedder)


class GuardedReranker:
    """A reranker that receives texts without blocked words and personal data."""

    def __init__(self, reranker: Reranker, settings: GuardSettings) -> None:
        self._reranker, self._settings = reranker, settings

    def rerank(self, model_name: str, query: str, texts: Sequence[str]) -> RerankResult:
        """Order texts by relevance to the query. Raises ProviderFailed or a subclass."""
        (query, *guarded), hits = guarded_texts([query, *texts], self._settings)
        return replace(self._reranker.rerank(model_name, query, guarded), guard_hits=hits)

    def close(self) -> None:
        """Close the vendor's connections."""
        _close(self._reranker)


def _close(client: object) -> None:
    if close := getattr(client, "close", None):
        close()
