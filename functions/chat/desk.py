"""What a turn works with, made once for each worker."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from parley.llm.models import Catalogue
from parley.llm.providers import ProviderFor
from parley.upkeep import UpkeepQueue


@dataclass(frozen=True, slots=True)
class Desk:
    """The database, the models, the environment in which their keys are, and who looks after turns.

    `catalogue` may be another at each call: a turn calls it once.
    """

    engine: Engine
    catalogue: Callable[[], Catalogue]
    provider_for: ProviderFor
    environment: Mapping[str, str]
    queue: UpkeepQueue
