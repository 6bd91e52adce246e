"""Search results reordered by a reranking model, paid for by the user.

Where no reranker is available (no role, no budget, a service that fails or is slow), the results keep their order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from sqlalchemy import Engine

from parley.db.search import FoundChunk
from parley.db.transactions import user_scope
from parley.errors import ParleyError, Unavailable
from parley.llm.catalogue import Catalogue, NoModel
from parley.llm.errors import ProviderFailed
from parley.llm.live_catalogue import LiveCatalogue
from parley.llm.messages import Message, ModelRequest, Usage
from parley.llm.model import ModelCall
from parley.llm.provider_registry import ProviderRegistry, RerankerFor
from parley.llm.reranker import Reranker, estimate_rerank_tokens
from parley.metering import limits
from parley.metering.background import BackgroundRerank
from parley.metering.limits import BillingSubject, BudgetExhausted, DefaultLimits
from parley.observability import logger
from parley.settings import ModelSettings

# Whoever searches would rather see the order that there is.
RERANK_TIMEOUT_S = 2.0
# More are not read: what stands behind them was far from the query by words and by vectors.
POOL_SIZE = 50
QUERY_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class MeteredReranker:
    """The catalogue's reranker, and what users may spend on it."""

    engine: Engine
    catalogue: Callable[[], Catalogue]
    environment: Mapping[str, str]
    reranker_for: RerankerFor
    default_limits: DefaultLimits

    @classmethod
    def of(cls, settings: ModelSettings, engine: Engine, environment: Mapping[str, str]) -> Self:
        """Make it for a function that calls no other models; `environment` has the vendors' keys."""
        return cls(engine, LiveCatalogue.of(settings), environment, ProviderRegistry(environment).reranker, DefaultLimits.of(settings))

    def pool(self, limit: int) -> int:
        """Return how many to search for where `limit` are wanted: more than that only if there is a reranker."""
        return max(limit, POOL_SIZE) if self._call() else limit

    def reranked(self, query: str, found: Sequence[FoundChunk], *, billing_subject: BillingSubject) -> list[FoundChunk] | None:
        """Return the chunks with the first `POOL` of them in the model's order; None where there is none to be had.

        Scores stay where they stand, and go down with the order: they are for ordering only.
        """
        head = found[:POOL_SIZE]
        order = self.ordered(query, [f"{chunk.heading}\n{chunk.body}" for chunk in head], billing_subject=billing_subject)
        if order is None:
            return None
        scores = sorted((chunk.score for chunk in head), reverse=True)
        return [replace(head[place], score=score) for place, score in zip(order, scores, strict=True)] + list(found[POOL_SIZE:])

    def ordered(self, query: str, texts: Sequence[str], *, billing_subject: BillingSubject) -> list[int] | None:
        """Return the places of the texts, the best first; None if they are not to be had within `ORDER_S` seconds.

        Two short transactions, before and after the call. While an earlier call still hangs, and for a minute, there is no
        order at once, and nothing is paid; an answer that comes too late is paid by an estimate.
        """
        if len(texts) < 2 or not query.strip() or BackgroundRerank.is_paused() or (call := self._call()) is None:  # one text has one order
            return None
        try:
            # Not in the time that is waited: the first makes the client, and imports the SDK.
            reranker = self.reranker_for(call.model)
            return self._paid(call, reranker, query[:QUERY_CHARACTERS], texts, billing_subject)
        except (BudgetExhausted, ProviderFailed, Unavailable) as exc:
            _log_order_kept(exc)
            return None

    def _paid(
        self, call: ModelCall, reranker: Reranker, query: str, texts: Sequence[str], billing_subject: BillingSubject
    ) -> list[int] | None:
        request = ModelRequest([Message("user", query + text) for text in texts])
        with user_scope(self.engine, billing_subject.user_id) as connection:
            reservation = limits.reserve(
                connection, billing_subject, self.default_limits, amount_usd=limits.max_cost_usd([call.model], request)
            )
        order = BackgroundRerank(lambda: _run_rerank(call, reranker, query, texts)).order(timeout_s=RERANK_TIMEOUT_S)
        with user_scope(self.engine, billing_subject.user_id) as connection:
            limits.settle(connection, billing_subject, [call], reservations=[reservation], purpose="rerank")
        return order

    def _call(self) -> ModelCall | None:
        catalogue = self.catalogue()
        try:
            return ModelCall(catalogue.roles.get("rerank", ""), catalogue.reranking(self.environment), purpose="rerank")
        except NoModel:
            return None


def _run_rerank(call: ModelCall, reranker: Reranker, query: str, texts: Sequence[str]) -> list[int]:
    """Ask, and note in `call` what it took: by an estimate as long as it is under way."""
    call.usage = Usage(estimate_rerank_tokens(query, texts), is_estimated=True)
    try:
        done = reranker.rerank(call.model.name, query, texts)
    except Exception as exc:
        call.usage, call.error_code = Usage(), exc.code if isinstance(exc, ParleyError) else None
        raise
    call.usage, call.status = Usage(done.input_tokens, is_estimated=done.is_estimated), "completed"
    return done.order


def _log_order_kept(exc: ParleyError) -> None:
    logger.warning("what was found keeps its order", problem=exc.code, reason=str(exc))
