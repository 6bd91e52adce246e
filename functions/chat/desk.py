"""What a turn works with, made once for each worker."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from functions.chat.images import Images
from functions.chat.toolbox import ToolboxFor, no_tools
from parley.jobs import MemoryQueue, UpkeepQueue
from parley.llm.catalogue import Catalogue
from parley.llm.provider_registry import EmbedderFor, RerankerFor
from parley.llm.router import ModelRouter
from parley.metering.embeddings import MeteredEmbedder
from parley.metering.limits import DefaultLimits
from parley.metering.reranking import MeteredReranker


@dataclass(frozen=True, slots=True)
class Desk:
    """The database, the models, the environment in which their keys are, what a user may take of them, who looks after turns,
    the way to their follow-up work, and the files of images.

    `catalogue` may be another at each call: a turn calls it once.
    """

    engine: Engine
    catalogue: Callable[[], Catalogue]
    router: ModelRouter
    environment: Mapping[str, str]
    default_limits: DefaultLimits
    queue: UpkeepQueue
    embedder_for: EmbedderFor
    memory_queue: MemoryQueue
    images: Images
    reranker_for: RerankerFor
    toolbox_for: ToolboxFor = no_tools

    @property
    def embedding(self) -> MeteredEmbedder:
        """Return what makes vectors of questions, at the expense of whoever asks."""
        return MeteredEmbedder(self.engine, self.catalogue, self.environment, self.embedder_for, self.default_limits)

    @property
    def reranking(self) -> MeteredReranker:
        """Return what puts pieces of documents in order, at the expense of whoever asks."""
        return MeteredReranker(self.engine, self.catalogue, self.environment, self.reranker_for, self.default_limits)
