"""Texts as vectors: the protocol that every vendor's embedder keeps, and what is checked of its answers."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from parley.llm.errors import ProviderFailed
from parley.llm.tokens import estimate_tokens

type EmbeddingPurpose = Literal["document", "query"]


@dataclass(frozen=True, slots=True)
class EmbeddingResult:
    """One vector for each text, in order, and what it took."""

    vectors: list[list[float]]
    input_tokens: int
    is_estimated: bool = False


class Embedder(Protocol):
    """A way to one vendor's embeddings. `dimensions` is the length of its vectors."""

    dimensions: int
    batch_texts: int
    batch_tokens: int

    def embed_batch(self, model_name: str, texts: Sequence[str], *, purpose: EmbeddingPurpose) -> EmbeddingResult:
        """Embed texts that fit one call. Raises ProviderFailed or a kind of it; nothing is retried."""
        ...


def embedding_batches(embedder: Embedder, texts: Sequence[str]) -> Iterator[list[str]]:
    """Split texts by the vendor's limits; one that is too long by itself goes alone."""
    batch: list[str] = []
    room = embedder.batch_tokens
    for text in texts:
        tokens = estimate_tokens(text)
        if batch and (len(batch) == embedder.batch_texts or tokens > room):
            yield batch
            batch, room = [], embedder.batch_tokens
        batch.append(text)
        room -= tokens
    if batch:
        yield batch


def checked_embeddings(
    provider: str, vectors: list[list[float]], texts: Sequence[str], *, dimensions: int, input_tokens: int | None
) -> EmbeddingResult:
    """Return the vendor's vectors if they are what was asked for. Raises ProviderFailed if not."""
    if len(vectors) != len(texts):
        raise ProviderFailed(provider, f"{len(vectors)} vectors for {len(texts)} texts")
    for vector in vectors:
        if len(vector) != dimensions:
            raise ProviderFailed(provider, f"a vector of {len(vector)} numbers; the catalogue says {dimensions}")
        if not all(isinstance(number, int | float) and math.isfinite(number) for number in vector):
            raise ProviderFailed(provider, "a vector of what is not numbers")
    if input_tokens is not None:
        return EmbeddingResult(vectors, input_tokens)
    return EmbeddingResult(vectors, sum(map(estimate_tokens, texts)), is_estimated=True)
