"""What the routes of memory, search and summaries work with, made once for each worker."""

from dataclasses import dataclass

from sqlalchemy import Engine

from parley.embedding import Embedding
from parley.follow_up import MemoryQueue


@dataclass(frozen=True, slots=True)
class Desk:
    """The database, the way to vectors, and the queue of what is to be read."""

    engine: Engine
    embedding: Embedding
    memory_queue: MemoryQueue
