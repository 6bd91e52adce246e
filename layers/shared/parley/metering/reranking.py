"""Search results reordered by a reranking model, paid for by the user.

If no reranker is available (no role, no budget, a service that fails or is slow), the results keep their order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from parley.db.chunks import FoundChunk
from parley.db.engine import Engine
from parley.errors import Unavailable
from parley.llm.catalogue import Catalogue, NoModel
from parley.llm.errors import ProviderFailed
from parley.llm.live_catalogue import LiveCatalogue
from parley.llm.messages import Message, ModelRequest, Usage
from parley.llm.model import ModelCall
from parley.llm.provider_registry import ProviderRegistry, RerankerFor
from parley.llm.reranker import Reranker, estimate_rerank_tokens
from parley.metering import limits
from parley.metering.background import BackgroundCall, BackgroundCalls
from parley.metering.limits import BillingSubject, BudgetExhausted, DefaultLimits
from parley.metering.metered_call import MeteredCall
from parley.observability import logger
from parley.settings import ModelSettings

# After this time, a search returns its own order instead of waiting for a better one.
RERANK_TIMEOUT_S = 2.0
# Results beyond the pool match the query poorly, both by words and by vectors, so the reranker does not read them.
POOL_SIZE = 50
QUERY_CHARACTERS = 2000
RERANK_CALLS = BackgroundCalls("rerank", failure_event="rerank_skipped", pause_s=60.0)


@dataclass(frozen=True, slots=True)
class MeteredReranker:
    """The catalogue's reranker, with each call paid for by a user."""

    engine: Engine
    catalogue: Callable[[], Catalogue]
    environment: Mapping[str, str]
    reranker_for: RerankerFor
    default_limits: DefaultLimits

    @classmethod
    def of(cls, settings: ModelSettings, engine: Engine, environment: Mapping[str, str]) -> Self:
        """Return a reranker for a function that calls no other models; `environment` has the vendors' keys."""
        return cls(engine, LiveCatalogue.of(settings), environment, ProviderRegistry(environment).reranker, DefaultLimits.of(settings))

    def pool(self, limit: int) -> int:
        """Return how many results to search for if `limit` are needed: more than `limit` only if a reranker is available."""
        return max(limit, POOL_SIZE) if self._call() else limit

    def reranked(self, query: str, found: Sequence[FoundChunk], *, billing_subject: BillingSubject) -> list[FoundChunk] | None:
        """Return the chunks with the first `POOL_SIZE` of them in the reranker's order, or None if that order is not available.

        The pool's scores are redistributed in descending order, so a score only expresses a chunk's position.
        """
        head = found[:POOL_SIZE]
        order = self.ordered(query, [f"{chunk.heading}\n{chunk.body}" for chunk in head], billing_subject=billing_subject)
        if order is None:
            return None
        scores = sorted((chunk.score for chunk in head), reverse=True)
        return [replace(head[index], score=score) for index, score in zip(order, scores, strict=True)] + list(found[POOL_SIZE:])

    def ordered(self, query: str, texts: Sequence[str], *, billing_subject: BillingSubject) -> list[int] | None:
        """Return the indexes of the texts, the best first, or None if the order is not available within `RERANK_TIMEOUT_S`.

        Uses two short transactions, one before and one after the call. A call that times out is charged by an estimate.
        While such a call hangs, and for at least a minute after its timeout, return None at once and charge nothing.
        """
        if len(texts) < 2 or not query.strip() or RERANK_CALLS.is_blocked or (call := self._call()) is None:
            return None
        try:
            # Before the timeout starts: the first use creates the client and imports the SDK.
            reranker = self.reranker_for(call.model)
            return self._metered_order(call, reranker, query[:QUERY_CHARACTERS], texts, billing_subject)
        except (BudgetExhausted, ProviderFailed, Unavailable) as exc:
            logger.warning("rerank_skipped", problem=exc.code, reason=str(exc))
            return None

    def _metered_order(
        self, call: ModelCall, reranker: Reranker, query: str, texts: Sequence[str], billing_subject: BillingSubject
    ) -> list[int] | None:
        request = ModelRequest([Message("user", query + text) for text in texts])
        amount_usd = limits.max_cost_usd([call.model], request)
        with MeteredCall(self.engine, billing_subject, self.default_limits, amount_usd=amount_usd, purpose="rerank", calls=[call]):
            background = BackgroundCall(RERANK_CALLS, call, lambda: _run_rerank(call, reranker, query, texts))
            return background.result(timeout_s=RERANK_TIMEOUT_S)

    def _call(self) -> ModelCall | None:
        catalogue = self.catalogue()
        try:
            return ModelCall(catalogue.roles.get("rerank", ""), catalogue.reranking(self.environment), purpose="rerank")
        except NoModel:
            return None


def _run_rerank(call: ModelCall, reranker: Reranker, query: str, texts: Sequence[str]) -> list[int]:
    """Call the reranker and record the usage in `call`, which contains an estimate while the call is under way."""
    call.usage = Usage(estimate_rerank_tokens(query, texts), is_estimated=True)
    try:
        result = reranker.rerank(call.model.name, query, texts)
    except Exception:
        call.usage = Usage()
        raise
    call.usage, call.status = Usage(result.input_tokens, is_estimated=result.is_estimated), "completed"
    call.add_guard_hits(result.guard_hits)
    return result.order
