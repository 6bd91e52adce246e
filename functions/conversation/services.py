"""The clients that the routes of conversations, memory and search use, created once per worker."""

from dataclasses import dataclass

from sqlalchemy import Engine

from parley.jobs import MemoryQueue
from parley.metering.embeddings import MeteredEmbedder


@dataclass(frozen=True, slots=True)
class ConversationServices:
    """The database, the way to vectors, and the queue of what is to be read."""

    engine: Engine
    embedding: MeteredEmbedder
    memory_queue: MemoryQueue
