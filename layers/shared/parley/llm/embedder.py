"""Embeddings: the protocol of a vendor's embedder, batching, and checks of its responses."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from parley.llm.errors import UnusableAnswer
from parley.llm.model import GuardHit
from parley.llm.tokens import estimate_tokens

type EmbeddingPurpose = Literal["document", "query"]


@dataclass(frozen=True, slots=True)
class EmbeddingResult:
    """One vector per text, in order, and the number of tokens used."""

    vectors: list[list[float]]
    input_tokens: int
    is_estimated: bool = False
    guard_hits: Sequence[GuardHit] = ()


class Embedder(Protocol):
    """One vendor's embedding model. `dimensions` is the length of its vectors; the batch limits apply to one call."""

    dimensions: int
    batch_texts: int
    batch_tokens: int

    def embed_batch(self, model_name: str, texts: Sequence[str], *, purpose: EmbeddingPurpose) -> EmbeddingResult:
        """Embed texts that fit into one call. Raises ProviderFailed or a subclass; nothing is retried."""
        ...


def embedding_batches(embedder: Embedder, texts: Sequence[str]) -> Iterator[list[str]]:
    """Split texts into batches within the vendor's limits. A text that exceeds them by itself gets its own batch."""
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
    """Return the vendor's vectors if their number, length and values are valid. Raises UnusableAnswer otherwise."""
    if len(vectors) != len(texts):
        raise UnusableAnswer(provider, f"{len(vectors)} vectors for {len(texts)} texts")
    for vector in vectors:
        if len(vector) != dimensions:
            raise UnusableAnswer(provider, f"a vector has {len(vector)} numbers instead of {dimensions} as in the catalogue")
        if not all(isinstance(number, int | float) and math.isfinite(number) for number in vector):
            raise UnusableAnswer(provider, "a vector contains values that are not finite numbers")
    if input_tokens is not None:
        return EmbeddingResult(vectors, input_tokens)
    return EmbeddingResult(vectors, sum(map(estimate_tokens, texts)), is_estimated=True)
