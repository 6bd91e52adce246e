"""Embedding vectors in the database: columns of pgvector's `halfvec`, half-precision floats of any length.

Stored and query vectors have length one, so their inner product, the cheapest measure to compute, is the cosine.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pgvector import HalfVector


@dataclass(frozen=True, slots=True)
class Vector:
    """An embedding and the name of its model: vectors of different models cannot be compared."""

    model: str
    numbers: Sequence[float]


def vector_parameters(vector: Vector | None) -> dict[str, str | None]:
    """Return the parameters `:vector` and `:model` of a search statement. For None, both are null and match no vector."""
    if vector is None:
        return {"vector": None, "model": None}
    return {"vector": HalfVector(_unit_vector(vector.numbers)).to_text(), "model": vector.model}


def vector_columns(vector: Vector | None) -> dict[str, Any]:
    """Return the values of a table's columns `embedding` and `embedding_model`."""
    if vector is None:
        return {"embedding": None, "embedding_model": None}
    return {"embedding": _unit_vector(vector.numbers), "embedding_model": vector.model}


def _unit_vector(numbers: Sequence[float]) -> list[float]:
    """Scale a vector to length one; the zero vector stays zero."""
    length = math.hypot(*numbers) or 1.0
    return [number / length for number in numbers]
