"""Embeddings and reranking without a network: lexical only.

Texts are near each other by the words and letters that they share, and by nothing else: no synonyms, no other language.
Deterministic on every machine, because `zlib.crc32` is.
"""

import math
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache

from parley.llm.embedder import EmbeddingPurpose, EmbeddingResult
from parley.llm.reranker import RerankResult, ranked_positions

WORD_WEIGHT, GRAM_WEIGHT = 1.0, 0.35
GRAM = 3


class OfflineEmbedder:
    """Hashes words and the three-letter pieces of words into vectors of length one."""

    batch_texts, batch_tokens = 10_000, 100_000_000

    def __init__(self, *, dimensions: int) -> None:
        self.dimensions = dimensions

    def embed_batch(self, model_name: str, texts: Sequence[str], *, purpose: EmbeddingPurpose) -> EmbeddingResult:  # noqa: ARG002 - one for both
        """Embed one batch; its tokens are words."""
        return EmbeddingResult([self._embed(text) for text in texts], sum(len(text.split()) for text in texts))

    def _embed(self, text: str) -> list[float]:
        vector = [0.0] * self.dimensions
        for word in words_of(text):
            for place, weight in _features(word, self.dimensions):
                vector[place] += weight
        length = math.hypot(*vector)
        if not length:
            vector[0] = length = 1.0  # of a text without words; a vector of zeros has no direction to compare
        return [number / length for number in vector]


def words_of(text: str) -> Iterator[str]:
    """Yield the words of a text without case and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return iter("".join(letter if letter.isalnum() else "" if unicodedata.combining(letter) else " " for letter in plain).split())


@lru_cache(maxsize=50_000)
def _features(word: str, dimensions: int) -> tuple[tuple[int, float], ...]:
    edged = f"<{word}>"
    grams = [edged[start : start + GRAM] for start in range(len(edged) - GRAM + 1)]
    return (_feature(f"w:{word}", WORD_WEIGHT, dimensions), *(_feature(f"g:{gram}", GRAM_WEIGHT, dimensions) for gram in grams))


def _feature(name: str, weight: float, dimensions: int) -> tuple[int, float]:
    """Return place and signed weight: with signs, features that share a place tend to cancel out."""
    number = zlib.crc32(name.encode("utf-8", "surrogatepass"))
    return number % dimensions, weight if number >> 31 else -weight


class OfflineReranker:
    """Orders texts by the share of the query's words that they have."""

    def rerank(self, model_name: str, query: str, texts: Sequence[str]) -> RerankResult:  # noqa: ARG002 - there is one
        """Order texts; its tokens are words."""
        wanted = set(words_of(query))
        scores = {place: float(len(wanted & set(words_of(text)))) for place, text in enumerate(texts)}
        return RerankResult(ranked_positions(scores, count=len(texts)), sum(len(text.split()) for text in (query, *texts)))
