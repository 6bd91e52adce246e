"""What the routes of memory, search and summaries work with, made once for each worker."""

from dataclasses import dataclass

from sqlalchemy import Engine

from parley.jobs import MemoryQueue
from parley.metering.embeddings import MeteredEmbedder


@dataclass(frozen=True, slots=True)
class Desk:
    """The database, the way to vectors, and the queue of what is to be read."""

    engine: Engine
    embedding: MeteredEmbedder
    memory_queue: MemoryQueue
