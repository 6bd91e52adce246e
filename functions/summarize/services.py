"""The clients and settings that follow-up work uses, created once per worker."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from parley.jobs import MemoryQueue
from parley.llm.catalogue import Catalogue
from parley.llm.router import ModelRouter
from parley.metering.embeddings import MeteredEmbedder
from parley.metering.limits import DefaultLimits


@dataclass(frozen=True, slots=True)
class SummarizeServices:
    """The database by two roles, the models with the environment in which their keys are, and what a user may spend on them.

    `retention_days` holds where a user has not chosen; 0 keeps conversations for ever.
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
