"""Texts in the order in which they answer a query: the protocol that every reranker keeps, and what is checked of its answers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from parley.llm.errors import ProviderFailed
from parley.llm.tokens import estimate_tokens


@dataclass(frozen=True, slots=True)
class RerankResult:
    """The places of the texts, the best first and each once, and what it took."""

    order: list[int]
    input_tokens: int
    is_estimated: bool = False


class Reranker(Protocol):
    """A way to one vendor's reranking."""

    def rerank(self, model_name: str, query: str, texts: Sequence[str]) -> RerankResult:
        """Order texts by how well they fit the query. Raises ProviderFailed or a kind of it; nothing is retried."""
        ...


def estimate_rerank_tokens(query: str, texts: Sequence[str]) -> int:
    """Return a generous guess of what is read: the query beside each of the texts."""
    return sum(estimate_tokens(query) + estimate_tokens(text) for text in texts)


def ranked_positions(scores: Mapping[int, float], *, count: int) -> list[int]:
    """Return the places from 0 to `count`, the highest score first; equals keep their order, and what has no score comes last."""
    return sorted(range(count), key=lambda place: -scores.get(place, -math.inf))


def checked_ranking(
    provider: str, rows: Sequence[tuple[object, object]], query: str, texts: Sequence[str], *, tokens: object
) -> RerankResult:
    """Return the order that the vendor's rows of (place, score) make. Raises ProviderFailed where they make none."""
    scores: dict[int, float] = {}
    for place, score in rows:
        if type(place) is not int or not 0 <= place < len(texts):
            raise ProviderFailed(provider, f"a place that none of {len(texts)} texts has")
        if not isinstance(score, int | float) or not math.isfinite(score):
            raise ProviderFailed(provider, "a score that is not a number")
        scores[place] = score
    if not scores:
        raise ProviderFailed(provider, f"no scores for {len(texts)} texts")
    order = ranked_positions(scores, count=len(texts))
    if isinstance(tokens, int) and tokens >= 0:
        return RerankResult(order, tokens)
    return RerankResult(order, estimate_rerank_tokens(query, texts), is_estimated=True)
