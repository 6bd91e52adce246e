"""What a turn works with, made once for each worker."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from functions.chat.images import Images
from functions.chat.toolbox import ToolboxFor, no_tools
from parley.embedding import Embedding
from parley.follow_up import MemoryQueue
from parley.limits import Allowance
from parley.llm.models import Catalogue
from parley.llm.providers import EmbedderFor, RerankerFor
from parley.llm.router import Router
from parley.reranking import Reranking
from parley.upkeep import UpkeepQueue


@dataclass(frozen=True, slots=True)
class Desk:
    """The database, the models, the environment in which their keys are, what a user may take of them, who looks after turns,
    the way to their follow-up work, and the files of images.

    `catalogue` may be another at each call: a turn calls it once.
    """

    engine: Engine
    catalogue: Callable[[], Catalogue]
    router: Router
    environment: Mapping[str, str]
    allowance: Allowance
    queue: UpkeepQueue
    embedder_for: EmbedderFor
    memory_queue: MemoryQueue
    images: Images
    reranker_for: RerankerFor
    toolbox_for: ToolboxFor = no_tools

    @property
    def embedding(self) -> Embedding:
        """Return what makes vectors of questions, at the expense of whoever asks."""
        return Embedding(self.engine, self.catalogue, self.environment, self.embedder_for, self.allowance)

    @property
    def reranking(self) -> Reranking:
        """Return what puts pieces of documents in order, at the expense of whoever asks."""
        return Reranking(self.engine, self.catalogue, self.environment, self.reranker_for, self.allowance)
