"""What remembering works with, made once for each worker."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from parley.embedding import Embedding
from parley.follow_up import MemoryQueue
from parley.limits import Allowance
from parley.llm.models import Catalogue
from parley.llm.router import Router


@dataclass(frozen=True, slots=True)
class Desk:
    """The database by two roles, the models with the environment in which their keys are, and what a user may spend on them.

    `retention_days` holds where a user has not chosen; 0 keeps conversations for ever.
    """

    engine: Engine
    background: Engine
    catalogue: Callable[[], Catalogue]
    router: Router
    embedding: Embedding
    environment: Mapping[str, str]
    allowance: Allowance
    queue: MemoryQueue
    retention_days: int
