"""Embedding vectors in the database: pgvector's `halfvec`, half-precision floats of any length.

The package `pgvector` is not used: it brings numpy, 30 MB that nothing here computes with.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.types import UserDefinedType


@dataclass(frozen=True, slots=True)
class Vector:
    """An embedding and the name of its model: vectors of different models cannot be compared.

    It is stored and searched by at length one: then the inner product, the quickest to compute, is the cosine.
    """

    model: str
    numbers: Sequence[float]


class Halfvec(UserDefinedType[Sequence[float]]):
    """Takes numbers. What is read is PostgreSQL's own text: nobody reads vectors but the database."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return the type's name."""
        return "halfvec"

    def bind_processor(self, dialect: object) -> Callable[[Sequence[float] | None], str | None]:  # noqa: ARG002 - one dialect
        """Write the numbers as PostgreSQL reads them."""
        return lambda numbers: _vector_literal(numbers) if numbers else None


def vector_parameters(vector: Vector | None) -> dict[str, str | None]:
    """Return the parameters of a statement that searches by a vector; without one both are null, and match nothing."""
    return {"vector": _vector_literal(vector.numbers), "model": vector.model} if vector else {"vector": None, "model": None}


def vector_columns(vector: Vector | None) -> dict[str, Any]:
    """Return what a table's two columns for a vector hold."""
    return {"embedding": vector.numbers, "embedding_model": vector.model} if vector else {"embedding": None, "embedding_model": None}


def _vector_literal(numbers: Sequence[float]) -> str:
    """Return a vector of length one as PostgreSQL reads it: `[1,2,3]`; one of zeros stays so."""
    length = math.hypot(*numbers) or 1.0
    return f"[{','.join(repr(number / length) for number in numbers)}]"


# So that the tables in the code can be held against those in the database.
ischema_names["halfvec"] = Halfvec
