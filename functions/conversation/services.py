"""The clients that the routes of conversations, memories and search use, created once per worker."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from parley.db.engine import Engine
from parley.http.dependencies import FROM_APP
from parley.jobs import MemoryQueue
from parley.metering.embeddings import MeteredEmbedder


@dataclass(frozen=True, slots=True)
class ConversationServices:
    """The database, the embedder, the queue of the summarize function, and the monthly budget of users without a budget of their own."""

    engine: Engine
    embedding: MeteredEmbedder
    memory_queue: MemoryQueue
    default_budget_usd: Decimal


ConversationServicesDep = Annotated[ConversationServices, FROM_APP]
