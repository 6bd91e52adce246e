"""What a search has found, put in order by a model that reads query and text together, at a user's expense.

Where that is not to be had (no role, no money, a service that fails or is slow), the order stays as it was found.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from sqlalchemy import Engine

from parley import limits
from parley.db.chunk_search import FoundChunk
from parley.db.scope import user_scope
from parley.errors import ParleyError, Unavailable
from parley.limits import Allowance, BudgetExhausted, Payer
from parley.llm.calls import Call
from parley.llm.failures import ProviderFailed
from parley.llm.live_catalogue import LiveCatalogue
from parley.llm.models import Catalogue, NoModel
from parley.llm.providers import Providers, RerankerFor
from parley.llm.reranker import Reranker, rerank_tokens
from parley.llm.types import Message, Request, Usage
from parley.observability import logger
from parley.reordering import Reordering
from parley.settings import ModelSettings

# Whoever searches would rather see the order that there is.
ORDER_S = 2.0
# More are not read: what stands behind them was far from the query by words and by vectors.
POOL = 50
QUERY_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Reranking:
    """The catalogue's reranker, and what users may spend on it."""

    engine: Engine
    catalogue: Callable[[], Catalogue]
    environment: Mapping[str, str]
    reranker_for: RerankerFor
    allowance: Allowance

    @classmethod
    def of(cls, settings: ModelSettings, engine: Engine, environment: Mapping[str, str]) -> Self:
        """Make it for a function that calls no other models; `environment` has the vendors' keys."""
        return cls(engine, LiveCatalogue.of(settings), environment, Providers(environment).reranker, Allowance.of(settings))

    def pool(self, limit: int) -> int:
        """Return how many to search for where `limit` are wanted: more than that only if there is a reranker."""
        return max(limit, POOL) if self._call() else limit

    def reranked(self, query: str, found: Sequence[FoundChunk], *, payer: Payer) -> list[FoundChunk] | None:
        """Return the chunks with the first `POOL` of them in the model's order; None where there is none to be had.

        Scores stay where they stand, and go down with the order: they are for ordering only.
        """
        head = found[:POOL]
        order = self.ordered(query, [f"{chunk.heading}\n{chunk.body}" for chunk in head], payer=payer)
        if order is None:
            return None
        scores = sorted((chunk.score for chunk in head), reverse=True)
        return [replace(head[place], score=score) for place, score in zip(order, scores, strict=True)] + list(found[POOL:])

    def ordered(self, query: str, texts: Sequence[str], *, payer: Payer) -> list[int] | None:
        """Return the places of the texts, the best first; None if they are not to be had within `ORDER_S` seconds.

        Two short transactions, before and after the call. While an earlier call still hangs, and for a minute, there is no
        order at once, and nothing is paid; an answer that comes too late is paid by an estimate.
        """
        if len(texts) < 2 or not query.strip() or Reordering.is_paused() or (call := self._call()) is None:  # one text has one order
            return None
        try:
            # Not in the time that is waited: the first makes the client, and imports the SDK.
            reranker = self.reranker_for(call.model)
            return self._paid(call, reranker, query[:QUERY_CHARACTERS], texts, payer)
        except (BudgetExhausted, ProviderFailed, Unavailable) as exc:
            _note(exc)
            return None

    def _paid(self, call: Call, reranker: Reranker, query: str, texts: Sequence[str], payer: Payer) -> list[int] | None:
        request = Request([Message("user", query + text) for text in texts])
        with user_scope(self.engine, payer.user_id) as connection:
            reservation = limits.reserve(connection, payer, self.allowance, amount_usd=limits.worst_usd([call.model], request))
        order = Reordering(lambda: _run(call, reranker, query, texts)).order(timeout_s=ORDER_S)
        with user_scope(self.engine, payer.user_id) as connection:
            limits.settle(connection, payer, [call], reservations=[reservation], purpose="rerank")
        return order

    def _call(self) -> Call | None:
        catalogue = self.catalogue()
        try:
            return Call(catalogue.roles.get("rerank", ""), catalogue.reranking(self.environment), purpose="rerank")
        except NoModel:
            return None


def _run(call: Call, reranker: Reranker, query: str, texts: Sequence[str]) -> list[int]:
    """Ask, and note in `call` what it took: by an estimate as long as it is under way."""
    call.usage = Usage(rerank_tokens(query, texts), is_estimated=True)
    try:
        done = reranker.rerank(call.model.name, query, texts)
    except Exception as exc:
        call.usage, call.error_code = Usage(), exc.code if isinstance(exc, ParleyError) else None
        raise
    call.usage, call.status = Usage(done.input_tokens, is_estimated=done.is_estimated), "completed"
    return done.order


def _note(exc: ParleyError) -> None:
    logger.warning("what was found keeps its order", problem=exc.code, reason=str(exc))
