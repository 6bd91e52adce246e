"""Reranking without a network: by shared words only, for a first look and for tests."""

from collections.abc import Sequence

from parley.llm.offline_embedder import words_of
from parley.llm.reranker import Reranked, ordered


class OfflineReranker:
    """Orders texts by the share of the query's words that they have."""

    def rerank(self, model_name: str, query: str, texts: Sequence[str]) -> Reranked:  # noqa: ARG002 - there is one
        """Order texts; its tokens are words."""
        wanted = set(words_of(query))
        scores = {place: float(len(wanted & set(words_of(text)))) for place, text in enumerate(texts)}
        return Reranked(ordered(scores, count=len(texts)), sum(len(text.split()) for text in (query, *texts)))
