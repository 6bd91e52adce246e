"""Made-up texts and vectors, always the same, and quick to make by the hundred thousand."""

import math
import random
import struct
from collections.abc import Sequence
from itertools import accumulate

VOCABULARY = 30_000
TOPICS = 500
_POOL = 1_000_000


class Corpus:
    """Words by Zipf's law, and vectors of length one: two topics and as much of chance, or chance alone."""

    def __init__(self, dimensions: int, *, has_topics: bool = True, seed: int = 7) -> None:
        self._random, self._dimensions, self._has_topics = random.Random(seed), dimensions, has_topics
        self._words = [f"w{number}x" for number in range(VOCABULARY)]
        self._weights = list(accumulate(1 / (rank + 10) for rank in range(VOCABULARY)))
        # Drawing each number would take longer than all the rest.
        self._pool = [self._random.gauss(0, 1) for _ in range(_POOL)]
        self._topics = [self._slice() for _ in range(TOPICS)]

    def words(self, count: int) -> list[str]:
        """Return so many words."""
        return self._random.choices(self._words, cum_weights=self._weights, k=count)

    def vector(self) -> list[float]:
        """Return a vector."""
        numbers = self._slice()
        if self._has_topics:
            one, other = self._random.choices(self._topics, k=2)
            share = self._random.random()
            numbers = [share * a + (1 - share) * b + 0.5 * c for a, b, c in zip(one, other, numbers, strict=True)]
        length = math.hypot(*numbers)
        return [number / length for number in numbers]

    def _slice(self) -> list[float]:
        start = self._random.randrange(_POOL - self._dimensions)
        return self._pool[start : start + self._dimensions]


def pack_halfvec(vector: Sequence[float]) -> bytes:
    """Return a vector as pgvector's `halfvec` is sent in binary."""
    # PostgreSQL's byte order; the four bytes before are the length and a field that is not used.
    return struct.pack(f">HH{len(vector)}e", len(vector), 0, *vector)


def pack_tsvector(words: Sequence[str]) -> bytes:
    """Return words as a `tsvector` is sent in binary, as `parley_words` would have made it of these, which have no endings."""
    places: dict[str, list[int]] = {}
    for place, word in enumerate(words, 1):
        places.setdefault(word, []).append(place)
    entries = (word.encode() + struct.pack(f">BH{len(at)}H", 0, len(at), *at) for word, at in sorted(places.items()))
    return struct.pack(">i", len(places)) + b"".join(entries)
