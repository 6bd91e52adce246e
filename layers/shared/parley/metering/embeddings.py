"""Embeddings of a user's texts, paid for by the user. If no vector is available, search uses words alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from parley.db.engine import Engine
from parley.db.vectors import Vector
from parley.deadline import Deadline
from parley.errors import ParleyError, Unavailable
from parley.llm.catalogue import Catalogue, NoModel
from parley.llm.embedder import Embedder, EmbeddingPurpose, EmbeddingResult, embedding_batches
from parley.llm.errors import ProviderFailed
from parley.llm.genai_spans import start_embedding_span
from parley.llm.live_catalogue import LiveCatalogue
from parley.llm.messages import Message, ModelRequest, Usage
from parley.llm.model import ModelCall
from parley.llm.provider_registry import EmbedderFor, ProviderRegistry
from parley.llm.tokens import estimate_tokens
from parley.metering import limits
from parley.metering.background import BackgroundCall, BackgroundCalls
from parley.metering.limits import BillingSubject, BudgetExhausted, DefaultLimits
from parley.metering.metered_call import MeteredCall
from parley.observability import logger
from parley.settings import ModelSettings

# The beginning of a question states its subject, and small embedding models read no further anyway.
QUERY_CHARACTERS = 2000
# After this time, a search returns matches by words alone instead of waiting for a vector.
QUERY_TIMEOUT_S = 3.0
QUERY_CALLS = BackgroundCalls("embedding", failure_event="embedding_failed")


@dataclass(frozen=True, slots=True)
class MeteredEmbedder:
    """The catalogue's embedding model, with each call paid for by a user."""

    engine: Engine
    catalogue: Callable[[], Catalogue]
    environment: Mapping[str, str]
    embedder_for: EmbedderFor
    default_limits: DefaultLimits

    @classmethod
    def of(cls, settings: ModelSettings, engine: Engine, environment: Mapping[str, str]) -> Self:
        """Return an embedder for a function that calls no other models; `environment` has the vendors' keys."""
        return cls(engine, LiveCatalogue.of(settings), environment, ProviderRegistry(environment).embedder, DefaultLimits.of(settings))

    def call(self) -> ModelCall:
        """Prepare a call of the embedding model without making it. Raises NoModel."""
        return ModelCall(*self.catalogue().embedding(self.environment), purpose="embedding")

    def model_name(self) -> str | None:
        """Return the model name under which new vectors are stored, or None if there is no embedding model."""
        try:
            return self.call().model.name
        except NoModel:
            return None

    def vectors(
        self,
        texts: Sequence[str],
        *,
        billing_subject: BillingSubject,
        purpose: EmbeddingPurpose = "document",
        before_call: Callable[[], None] | None = None,
        deadline: Deadline | None = None,
    ) -> list[Vector]:
        """Return one vector per text, in order. Raises NoModel, BudgetExhausted, Unavailable, ProviderFailed and errors of `before_call`.

        `before_call` is called before each call of the vendor: many texts need several. With a `deadline`, vectors that have arrived
        wait for a database that is briefly away.
        """
        call = self.call()
        with self._metered(call, texts, billing_subject, deadline):
            return self.run(call, texts, purpose=purpose, before_call=before_call)

    def try_vectors(
        self,
        texts: Sequence[str],
        *,
        billing_subject: BillingSubject,
        purpose: EmbeddingPurpose = "document",
        deadline: Deadline | None = None,
    ) -> list[Vector] | None:
        """Return one vector per text, in order, or None if no model or no budget is available, or the service fails.

        Uses two short transactions, one before and one after the call. `deadline` is that of `vectors`.
        """
        try:
            return self.vectors(texts, billing_subject=billing_subject, purpose=purpose, deadline=deadline)
        except (NoModel, BudgetExhausted, ProviderFailed, Unavailable) as exc:
            _log_no_vectors(exc)
            return None

    def query(self, text: str, *, billing_subject: BillingSubject) -> Vector | None:
        """Return the vector of a question, or None if it is not ready within `QUERY_TIMEOUT_S`.

        While an earlier question's call hangs, return None at once and charge nothing.
        """
        if not text.strip() or QUERY_CALLS.is_blocked:
            return None
        if (metered := self._try_reserve(text[:QUERY_CHARACTERS], billing_subject)) is None:
            return None
        call = metered.calls[0]
        with metered:
            if (background := self.query_embedding(call, text)) is None:
                metered.calls = []
                return None
            return background.result(timeout_s=QUERY_TIMEOUT_S)

    def query_embedding(self, call: ModelCall, text: str) -> BackgroundCall[Vector] | None:
        """Start embedding a question in the background; the caller must reserve and settle `call`.

        Return None if an earlier question's call still hangs.
        """
        if QUERY_CALLS.is_blocked:
            return None
        return BackgroundCall(QUERY_CALLS, call, lambda: self.run(call, [text[:QUERY_CHARACTERS]], purpose="query")[0])

    def run(
        self, call: ModelCall, texts: Sequence[str], *, purpose: EmbeddingPurpose, before_call: Callable[[], None] | None = None
    ) -> list[Vector]:
        """Embed the texts and record the usage in `call`, which the caller must reserve and settle.

        While a batch is under way, `call` contains an estimate of its tokens, which is charged if the caller stops waiting.
        Raises ProviderFailed and Unavailable.
        """
        embedder, vectors = self.embedder_for(call.model), list[Vector]()
        for batch in embedding_batches(embedder, texts):
            if before_call:
                before_call()
            span = start_embedding_span(call)
            try:
                embedded = _embedded_batch(embedder, call, batch, purpose)
                span.set({"gen_ai.usage.input_tokens": embedded.input_tokens})
            except ProviderFailed as exc:
                span.fail(exc.code)
                raise
            finally:
                span.end()
            vectors += [Vector(call.model.name, numbers) for numbers in embedded.vectors]
        call.status = "completed"
        return vectors

    def _try_reserve(self, text: str, billing_subject: BillingSubject) -> MeteredCall | None:
        try:
            metered = self._metered(self.call(), [text], billing_subject)
            metered.reserve()
        except (NoModel, BudgetExhausted, Unavailable) as exc:
            _log_no_vectors(exc)
            return None
        return metered

    def _metered(
        self, call: ModelCall, texts: Sequence[str], billing_subject: BillingSubject, deadline: Deadline | None = None
    ) -> MeteredCall:
        amount_usd = limits.max_cost_usd([call.model], ModelRequest([Message("user", text) for text in texts]))
        return MeteredCall(
            self.engine, billing_subject, self.default_limits, amount_usd=amount_usd, purpose="embedding", calls=[call], deadline=deadline
        )


def _embedded_batch(embedder: Embedder, call: ModelCall, batch: Sequence[str], purpose: EmbeddingPurpose) -> EmbeddingResult:
    before = call.usage
    call.usage = Usage(before.input_tokens + sum(map(estimate_tokens, batch)), is_estimated=True)
    try:
        embedded = embedder.embed_batch(call.model.name, batch, purpose=purpose)
    except Exception:
        call.usage = before
        raise
    call.usage = Usage(before.input_tokens + embedded.input_tokens, is_estimated=before.is_estimated or embedded.is_estimated)
    call.add_guard_hits(embedded.guard_hits)
    return embedded


def _log_no_vectors(exc: ParleyError) -> None:
    logger.warning("embedding_failed", problem=exc.code, reason=str(exc))
