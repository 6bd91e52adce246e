"""Synthetic texts and vectors: the same in every run, and fast to generate in large numbers."""

import math
import random
import struct
from collections.abc import Sequence
from itertools import accumulate

VOCABULARY = 30_000
TOPICS = 500
_POOL = 1_000_000


class Corpus:
    """Words with Zipf's distribution, and unit vectors: a mix of two topics and noise, or noise only."""

    def __init__(self, dimensions: int, *, has_topics: bool = True, seed: int = 7) -> None:
        self._random = random.Random(seed)
        self._dimensions = dimensions
        self._has_topics = has_topics
        self._words = [f"w{number}x" for number in range(VOCABULARY)]
        self._weights = list(accumulate(1 / (rank + 10) for rank in range(VOCABULARY)))
        # Vectors are slices of this pool, because drawing each number would dominate the run time.
        self._pool = [self._random.gauss(0, 1) for _ in range(_POOL)]
        self._topics = [self._slice() for _ in range(TOPICS)]

    def words(self, count: int) -> list[str]:
        """Return `count` random words."""
        return self._random.choices(self._words, cum_weights=self._weights, k=count)

    def vector(self) -> list[float]:
        """Return a random unit vector."""
        numbers = self._slice()
        if self._has_topics:
            first, second = self._random.choices(self._topics, k=2)
            share = self._random.random()
            numbers = [share * a + (1 - share) * b + 0.5 * c for a, b, c in zip(first, second, numbers, strict=True)]
        length = math.hypot(*numbers)
        return [number / length for number in numbers]

    def _slice(self) -> list[float]:
        start = self._random.randrange(_POOL - self._dimensions)
        return self._pool[start : start + self._dimensions]


def pack_halfvec(vector: Sequence[float]) -> bytes:
    """Return a vector in the binary format of pgvector's `halfvec`."""
    # Big-endian, as PostgreSQL sends; the header is the number of dimensions and an unused field.
    return struct.pack(f">HH{len(vector)}e", len(vector), 0, *vector)


def pack_tsvector(words: Sequence[str]) -> bytes:
    """Return words in the binary format of `tsvector`, equal to the result of `parley_words` because they need no stemming."""
    positions: dict[str, list[int]] = {}
    for position, word in enumerate(words, 1):
        positions.setdefault(word, []).append(position)
    entries = (word.encode() + struct.pack(f">BH{len(at)}H", 0, len(at), *at) for word, at in sorted(positions.items()))
    return struct.pack(">i", len(positions)) + b"".join(entries)
