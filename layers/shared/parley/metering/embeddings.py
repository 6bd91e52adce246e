"""Embeddings of a user's texts, paid for by the user. Where no vector is available, search falls back to words alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from sqlalchemy import Engine

from parley.db.transactions import user_scope
from parley.db.vectors import Vector
from parley.errors import ParleyError, Unavailable
from parley.llm.catalogue import Catalogue, NoModel
from parley.llm.embedder import Embedder, EmbeddingPurpose, EmbeddingResult, embedding_batches
from parley.llm.errors import ProviderFailed
from parley.llm.live_catalogue import LiveCatalogue
from parley.llm.messages import Message, ModelRequest, Usage
from parley.llm.model import Model, ModelCall
from parley.llm.provider_registry import EmbedderFor, ProviderRegistry
from parley.llm.tokens import estimate_tokens
from parley.metering import limits
from parley.metering.background import BackgroundEmbedding
from parley.metering.limits import BillingSubject, BudgetExhausted, DefaultLimits
from parley.observability import logger
from parley.settings import ModelSettings

# What a question is about stands at its beginning; small models read no further than this anyway.
QUERY_CHARACTERS = 2000
# Whoever searches would rather see what has the same words.
QUERY_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class MeteredEmbedder:
    """The catalogue's embedding model, and what users may spend on it."""

    engine: Engine
    catalogue: Callable[[], Catalogue]
    environment: Mapping[str, str]
    embedder_for: EmbedderFor
    default_limits: DefaultLimits

    @classmethod
    def of(cls, settings: ModelSettings, engine: Engine, environment: Mapping[str, str]) -> Self:
        """Make it for a function that calls no other models; `environment` has the vendors' keys."""
        return cls(engine, LiveCatalogue.of(settings), environment, ProviderRegistry(environment).embedder, DefaultLimits.of(settings))

    def call(self) -> ModelCall:
        """Return a call of the role's model, yet to be made. Raises NoModel."""
        catalogue = self.catalogue()
        return ModelCall(catalogue.roles.get("embedding", ""), catalogue.embedding(self.environment), purpose="embedding")

    def model_name(self) -> str | None:
        """Return by which model's name vectors are kept that are made now; None where there is no model."""
        try:
            return self.call().model.name
        except NoModel:
            return None

    def vectors(self, texts: Sequence[str], *, billing_subject: BillingSubject, purpose: EmbeddingPurpose = "document") -> list[Vector]:
        """Return a vector for each text, as `paid` does. Raises NoModel, BudgetExhausted, Unavailable and ProviderFailed."""
        call = self.call()
        reservation = self._reserve(call.model, texts, billing_subject)
        try:
            return self.run(call, texts, purpose=purpose)
        finally:
            self._settle([call], reservation, billing_subject)

    def try_vectors(
        self, texts: Sequence[str], *, billing_subject: BillingSubject, purpose: EmbeddingPurpose = "document"
    ) -> list[Vector] | None:
        """Return a vector for each text; None if there are none to be had now: no model, no money, or a service that fails.

        Two short transactions, before and after the call.
        """
        try:
            return self.vectors(texts, billing_subject=billing_subject, purpose=purpose)
        except (NoModel, BudgetExhausted, ProviderFailed, Unavailable) as exc:
            _log_no_vectors(exc)
            return None

    def query(self, text: str, *, billing_subject: BillingSubject) -> Vector | None:
        """Return the vector of a question, None if there is none to be had within `QUERY_S` seconds.

        While an earlier question still hangs there is none at once, and nothing is paid.
        """
        if (
            not text.strip()
            or BackgroundEmbedding.is_hanging()
            or (prepared := self._prepared([text[:QUERY_CHARACTERS]], billing_subject)) is None
        ):
            return None
        call, reservation = prepared
        query_embedding = self.query_embedding(call, text)
        vector = query_embedding.vector(timeout_s=QUERY_TIMEOUT_S) if query_embedding else None
        self._settle([call] if query_embedding else [], reservation, billing_subject)
        return vector

    def query_embedding(self, call: ModelCall, text: str) -> BackgroundEmbedding | None:
        """Begin to embed a question in a thread, unless an earlier one hangs; whoever called pays."""
        return BackgroundEmbedding.begin(call, lambda: self.run(call, [text[:QUERY_CHARACTERS]], purpose="query"))

    def run(self, call: ModelCall, texts: Sequence[str], *, purpose: EmbeddingPurpose) -> list[Vector]:
        """Embed the texts and note in `call` what it took; whoever called pays. Raises ProviderFailed and Unavailable.

        What is under way stands in `call` by an estimate: who does not wait for its end pays for that.
        """
        embedder, vectors = self.embedder_for(call.model), list[Vector]()
        try:
            for batch in embedding_batches(embedder, texts):
                part = _embedded_batch(embedder, call, batch, purpose)
                vectors += [Vector(call.model.name, numbers) for numbers in part.vectors]
        except ProviderFailed as exc:
            call.error_code = exc.code
            raise
        call.status = "completed"
        return vectors

    def _prepared(self, texts: Sequence[str], billing_subject: BillingSubject) -> tuple[ModelCall, limits.Reservation] | None:
        try:
            call = self.call()
            return call, self._reserve(call.model, texts, billing_subject)
        except (NoModel, BudgetExhausted, Unavailable) as exc:
            _log_no_vectors(exc)
            return None

    def _settle(self, calls: Sequence[ModelCall], reservation: limits.Reservation, billing_subject: BillingSubject) -> None:
        with user_scope(self.engine, billing_subject.user_id) as connection:
            limits.settle(connection, billing_subject, calls, reservations=[reservation], purpose="embedding")

    def _reserve(self, model: Model, texts: Sequence[str], billing_subject: BillingSubject) -> limits.Reservation:
        amount_usd = limits.max_cost_usd([model], ModelRequest([Message("user", text) for text in texts]))
        with user_scope(self.engine, billing_subject.user_id) as connection:
            return limits.reserve(connection, billing_subject, self.default_limits, amount_usd=amount_usd)


def _embedded_batch(embedder: Embedder, call: ModelCall, batch: Sequence[str], purpose: EmbeddingPurpose) -> EmbeddingResult:
    before = call.usage
    call.usage = Usage(before.input_tokens + sum(map(estimate_tokens, batch)), is_estimated=True)
    try:
        part = embedder.embed_batch(call.model.name, batch, purpose=purpose)
    except Exception:
        call.usage = before
        raise
    call.usage = Usage(before.input_tokens + part.input_tokens, is_estimated=before.is_estimated or part.is_estimated)
    return part


def _log_no_vectors(exc: ParleyError) -> None:
    logger.warning("texts have no vectors for now", problem=exc.code, reason=str(exc))
