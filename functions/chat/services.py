"""The dependencies of a turn, created once per worker: database, models, tools and queues."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from functions.chat.turn.images import Images
from functions.chat.turn.tools import ToolboxFactory, TurnToolbox, no_tools
from parley.auth.principal import Principal
from parley.db.engine import Connection, Engine
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
from parley.tools.toolbox import InProcessTool, make_toolbox


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """The maximum number of running answers, event followers, and waiting requests per user."""

    answers: int = 1000
    followers: int = 1000
    waits: int = 1000


@dataclass(frozen=True, slots=True)
class ChatServices:
    """The dependencies of the chat routes.

    `catalogue` returns the current catalogue, which may change between calls: a turn chooses its models from a single result.
    `environment` holds the models' API keys. `asks_user` is whether models may ask users in forms. `queue`
    receives the watchdog's messages; `memory_queue` receives a turn's follow-up jobs.
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
    stream_limits: StreamLimits = StreamLimits()
    asks_user: bool = True

    def allowed_toolbox(self, principal: Principal, *, is_wanted: bool) -> Callable[[Connection], TurnToolbox]:
        """Return the factory of the principal's toolbox, which is empty unless tools are wanted and the scope `tools` allows them."""
        return self.toolbox_for(principal) if is_wanted and "tools" in principal.scopes else no_tools(principal)

    @property
    def embedding(self) -> MeteredEmbedder:
        """The embedder, whose calls are charged to the user."""
        return MeteredEmbedder(self.engine, self.catalogue, self.environment, self.embedder_for, self.default_limits)

    @property
    def reranking(self) -> MeteredReranker:
        """The reranker of document chunks, whose calls are charged to the user."""
        return MeteredReranker(self.engine, self.catalogue, self.environment, self.reranker_for, self.default_limits)


ChatServicesDep = Annotated[ChatServices, FROM_APP]


def make_toolbox_for(
    engine: Engine,
    runner: ToolRunner,
    mcp_registry: McpRegistry,
    embedding: MeteredEmbedder,
    web_tools: Sequence[InProcessTool] = (),
) -> ToolboxFactory:
    """Return the factory of users' toolboxes. It makes all its queries and remote calls before the turn's transaction begins."""
    discovery = McpDiscovery(mcp_registry)

    def toolbox_for(principal: Principal) -> Callable[[Connection], TurnToolbox]:
        runner.specs()
        discovery.refresh(partial(user_scope, engine, principal.user_id))
        in_process_tools = [*make_search_tools(engine, embedding, principal), *web_tools]
        with user_scope(engine, principal.user_id) as connection:
            toolbox = make_toolbox(
                connection,
                runner,
                user_id=principal.user_id,
                scopes=principal.scopes,
                mcp_registry=mcp_registry,
                in_process_tools=in_process_tools,
            )
        return lambda _connection: toolbox

    return toolbox_for
