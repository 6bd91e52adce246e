"""Embeddings and reranking without a network, by words alone.

Texts are similar if they share words or parts of words: synonyms and other languages are not recognised. The results are
the same on every machine, because the hash `zlib.crc32` is.
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
    """Hashes words and their trigrams into vectors of length 1."""

    batch_texts, batch_tokens = 10_000, 100_000_000

    def __init__(self, *, dimensions: int) -> None:
        self.dimensions = dimensions

    def embed_batch(self, model_name: str, texts: Sequence[str], *, purpose: EmbeddingPurpose) -> EmbeddingResult:  # noqa: ARG002 - same for both purposes
        """Embed one batch; its token count is the number of words."""
        return EmbeddingResult([self._embed(text) for text in texts], sum(len(text.split()) for text in texts))

    def _embed(self, text: str) -> list[float]:
        vector = [0.0] * self.dimensions
        for word in words_of(text):
            for index, weight in _features(word, self.dimensions):
                vector[index] += weight
        length = math.hypot(*vector)
        if not length:
            vector[0] = length = 1.0  # a text without words: a zero vector has no direction to compare
        return [number / length for number in vector]


def words_of(text: str) -> Iterator[str]:
    """Yield the words of a text, without case and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return iter("".join(letter if letter.isalnum() else "" if unicodedata.combining(letter) else " " for letter in plain).split())


@lru_cache(maxsize=50_000)
def _features(word: str, dimensions: int) -> tuple[tuple[int, float], ...]:
    edged = f"<{word}>"
    grams = [edged[start : start + GRAM] for start in range(len(edged) - GRAM + 1)]
    return (_feature(f"w:{word}", WORD_WEIGHT, dimensions), *(_feature(f"g:{gram}", GRAM_WEIGHT, dimensions) for gram in grams))


def _feature(name: str, weight: float, dimensions: int) -> tuple[int, float]:
    """Return index and signed weight. Because of the signs, features that collide tend to cancel out."""
    number = zlib.crc32(name.encode("utf-8", "surrogatepass"))
    return number % dimensions, weight if number >> 31 else -weight


class OfflineReranker:
    """Orders texts by how many of the query's words they contain."""

    def rerank(self, model_name: str, query: str, texts: Sequence[str]) -> RerankResult:  # noqa: ARG002 - there is only one model
        """Order texts; the token count is the number of words."""
        query_words = set(words_of(query))
        scores = {index: float(len(query_words & set(words_of(text)))) for index, text in enumerate(texts)}
        return RerankResult(ranked_positions(scores, count=len(texts)), sum(len(text.split()) for text in (query, *texts)))
