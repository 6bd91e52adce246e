"""The clients and settings of follow-up work, created once per worker."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from parley.db.engine import Engine
from parley.jobs import MemoryQueue
from parley.llm.catalogue import Catalogue
from parley.llm.router import ModelRouter
from parley.metering.embeddings import MeteredEmbedder
from parley.metering.limits import DefaultLimits


@dataclass(frozen=True, slots=True)
class SummarizeServices:
    """The dependencies of follow-up work.

    `engine` acts for one user at a time, `background` across users. `environment` holds the models' keys.
    `retention_days` applies to users who have not chosen a retention; 0 keeps conversations for ever.
    """

    engine: Engine
    background: Engine
    catalogue: Callable[[], Catalogue]
    router: ModelRouter
    embedding: MeteredEmbedder
    environment: Mapping[str, str]
    default_limits: DefaultLimits
    queue: MemoryQueue
    retention_days: int
