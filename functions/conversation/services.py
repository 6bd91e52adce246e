"""The clients that the routes of conversations, memories and search use, created once per worker."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from parley.db.engine import Engine
from parley.http.dependencies import FROM_APP
from parley.jobs import MemoryQueue, UpkeepQueue
from parley.metering.embeddings import MeteredEmbedder


@dataclass(frozen=True, slots=True)
class ScheduleLimits:
    """The most scheduled prompts that a user may have, and the fewest minutes between two runs of a prompt."""

    per_user: int
    min_minutes: int


@dataclass(frozen=True, slots=True)
class ConversationServices:
    """The database, the embedder, the queues of the summarize and upkeep functions, and the limits of users."""

    engine: Engine
    embedding: MeteredEmbedder
    memory_queue: MemoryQueue
    default_budget_usd: Decimal
    upkeep_queue: UpkeepQueue
    schedule_limits: ScheduleLimits


ConversationServicesDep = Annotated[ConversationServices, FROM_APP]
