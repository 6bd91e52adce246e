"""What the memory and search routes work with, made once for each worker."""

from dataclasses import dataclass

from sqlalchemy import Engine

from parley.embedding import Embedding


@dataclass(frozen=True, slots=True)
class Desk:
    """The database, and the way to vectors."""

    engine: Engine
    embedding: Embedding
