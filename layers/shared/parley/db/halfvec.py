"""pgvector's `halfvec`: a vector of half-precision floats, of whatever length.

Not the package `pgvector`: it brings numpy, 30 MB that nothing here computes with.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.types import UserDefinedType


class Halfvec(UserDefinedType[Sequence[float]]):
    """Takes numbers. What is read is PostgreSQL's own text: nobody reads vectors but the database."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return the type's name."""
        return "halfvec"

    def bind_processor(self, dialect: object) -> Callable[[Sequence[float] | None], str | None]:  # noqa: ARG002 - one dialect
        """Write the numbers as PostgreSQL reads them."""
        return written


def written(vector: Sequence[float] | None) -> str | None:
    """Return a vector as PostgreSQL reads it: `[1,2,3]`."""
    return None if vector is None else f"[{','.join(map(repr, vector))}]"


# So that the tables in the code can be held against those in the database.
ischema_names["halfvec"] = Halfvec
