"""What a turn works with, made once for each worker."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from functions.chat.toolbox import Empty, ToolboxFor
from parley.limits import Allowance
from parley.llm.models import Catalogue
from parley.llm.providers import EmbedderFor
from parley.llm.router import Router
from parley.upkeep import UpkeepQueue


@dataclass(frozen=True, slots=True)
class Desk:
    """The database, the models, the environment in which their keys are, what a user may take of them, and who looks after turns.

    `catalogue` may be another at each call: a turn calls it once.
    """

    engine: Engine
    catalogue: Callable[[], Catalogue]
    router: Router
    environment: Mapping[str, str]
    allowance: Allowance
    queue: UpkeepQueue
    embedder_for: EmbedderFor
    toolbox_for: ToolboxFor = lambda connection, principal: Empty()  # noqa: ARG005 - nobody's tools
