"""Reranking: the protocol of a vendor's reranker, and checks of its responses."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from parley.llm.errors import UnusableAnswer
from parley.llm.model import GuardHit
from parley.llm.tokens import estimate_tokens


@dataclass(frozen=True, slots=True)
class RerankResult:
    """The index of each text, the best text first, and the number of tokens used."""

    order: list[int]
    input_tokens: int
    is_estimated: bool = False
    guard_hits: Sequence[GuardHit] = ()


class Reranker(Protocol):
    """One vendor's reranking models."""

    def rerank(self, model_name: str, query: str, texts: Sequence[str]) -> RerankResult:
        """Order texts by relevance to the query. Raises ProviderFailed or a subclass; nothing is retried."""
        ...


def estimate_rerank_tokens(query: str, texts: Sequence[str]) -> int:
    """Return a high estimate of the tokens that the model reads: the query once with each text."""
    return sum(estimate_tokens(query) + estimate_tokens(text) for text in texts)


def ranked_positions(scores: Mapping[int, float], *, count: int) -> list[int]:
    """Return the indexes below `count`, the highest score first. Ties keep their order; indexes without a score come last."""
    return sorted(range(count), key=lambda index: -scores.get(index, -math.inf))


def checked_ranking(
    provider: str, rows: Sequence[tuple[object, object]], query: str, texts: Sequence[str], *, tokens: object
) -> RerankResult:
    """Return the order given by the vendor's rows of (index, score). Raises UnusableAnswer for invalid rows."""
    scores: dict[int, float] = {}
    for index, score in rows:
        if type(index) is not int or not 0 <= index < len(texts):
            raise UnusableAnswer(provider, f"an index outside the {len(texts)} texts")
        if not isinstance(score, int | float) or not math.isfinite(score):
            raise UnusableAnswer(provider, "a score that is not a finite number")
        scores[index] = score
    if not scores:
        raise UnusableAnswer(provider, f"no scores for {len(texts)} texts")
    order = ranked_positions(scores, count=len(texts))
    if isinstance(tokens, int) and tokens >= 0:
        return RerankResult(order, tokens)
    return RerankResult(order, estimate_rerank_tokens(query, texts), is_estimated=True)
