"""What a turn needs, made once per worker: database, models, tools and queues."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from sqlalchemy import Connection, Engine

from functions.chat.turn.images import Images
from functions.chat.turn.tools import ToolboxFactory, TurnToolbox, no_tools
from parley.auth.principal import Principal
from parley.db.transactions import user_scope
from parley.http.dependencies import FROM_APP
from parley.jobs import MemoryQueue, UpkeepQueue
from parley.llm.catalogue import Catalogue
from parley.llm.provider_registry import EmbedderFor, RerankerFor
from parley.llm.router import ModelRouter
from parley.metering.embeddings import MeteredEmbedder
from parley.metering.limits import DefaultLimits
from parley.metering.reranking import MeteredReranker
from parley.tools.invoker import ToolRunner
from parley.tools.mcp_discovery import McpDiscovery
from parley.tools.mcp_registry import McpRegistry
from parley.tools.search_tools import make_search_tools
from parley.tools.toolbox import make_toolbox


@dataclass(frozen=True, slots=True)
class ChatServices:
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
    toolbox_for: ToolboxFactory = no_tools

    @property
    def embedding(self) -> MeteredEmbedder:
        """Return what makes vectors of questions, at the expense of whoever asks."""
        return MeteredEmbedder(self.engine, self.catalogue, self.environment, self.embedder_for, self.default_limits)

    @property
    def reranking(self) -> MeteredReranker:
        """Return what puts pieces of documents in order, at the expense of whoever asks."""
        return MeteredReranker(self.engine, self.catalogue, self.environment, self.reranker_for, self.default_limits)


ChatServicesDep = Annotated[ChatServices, FROM_APP]


def make_toolbox_for(engine: Engine, runner: ToolRunner, mcp_registry: McpRegistry, embedding: MeteredEmbedder) -> ToolboxFactory:
    """Return what gives each user their tools, all of it looked up before a turn's transaction is open."""
    discovery = McpDiscovery(mcp_registry)

    def ask(principal: Principal) -> Callable[[Connection], TurnToolbox]:
        runner.specs()
        discovery.refresh(partial(user_scope, engine, principal.user_id))
        in_process_tools = make_search_tools(engine, embedding, principal)
        with user_scope(engine, principal.user_id) as connection:
            found = make_toolbox(
                connection,
                runner,
                user_id=principal.user_id,
                scopes=principal.scopes,
                mcp_registry=mcp_registry,
                in_process_tools=in_process_tools,
            )
        return lambda _connection: found

    return ask
