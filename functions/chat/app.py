"""The chat function: takes questions, and streams the answers."""

from parley.http import cold_start  # isort: split

import os
from typing import Any

from snapshot_restore_py import register_before_snapshot

from functions.chat import routes
from functions.chat.anthropic_api import errors as anthropic_errors
from functions.chat.openai_api import errors as openai_errors
from functions.chat.services import ChatServices, StreamLimits, make_toolbox_for
from functions.chat.turn.images import Images
from parley.db.circuits import DatabaseCircuits
from parley.db.engine import make_engine
from parley.deadline import Deadline
from parley.http.app import create_app
from parley.http.streaming import streaming_handler
from parley.jobs import MemoryQueue, UpkeepQueue
from parley.llm import tokens
from parley.llm.circuit_breaker import CircuitBreaker
from parley.llm.live_catalogue import LiveCatalogue
from parley.llm.provider_registry import ProviderRegistry
from parley.llm.router import ModelRouter
from parley.metering.embeddings import MeteredEmbedder
from parley.metering.limits import DefaultLimits
from parley.observability import logger
from parley.observability.invocations import invocation_handler
from parley.settings import DatabaseSettings, HttpSettings, ModelSettings, StreamSettings, ToolSettings
from parley.tools.invoker import Invoker
from parley.tools.mcp_registry import McpRegistry
from parley.tools.web_search import WebSearch

BODY_LIMIT = 4 * 1024 * 1024


class ChatSettings(HttpSettings, DatabaseSettings, ModelSettings, ToolSettings, StreamSettings):
    """The environment variables of the chat function."""

    upkeep_queue_url: str
    files_bucket: str
    memory_queue_url: str
    ask_user: bool = True


settings = ChatSettings.read()
catalogue, default_limits = LiveCatalogue.of(settings), DefaultLimits.of(settings)
for name, model in catalogue().models.items():
    if obstacle := model.obstacle(os.environ):
        logger.info("model_unavailable", model=name, reason=obstacle)
engine = make_engine(settings)
providers = ProviderRegistry(os.environ)
router = ModelRouter(providers, CircuitBreaker(DatabaseCircuits(engine)))
invoker = Invoker(settings.toolrunner_function)
mcp_registry = McpRegistry.of(settings, invoker.ask)
embedding = MeteredEmbedder(engine, catalogue, os.environ, providers.embedder, default_limits)
services = ChatServices(
    engine=engine,
    catalogue=catalogue,
    router=router,
    environment=os.environ,
    default_limits=default_limits,
    queue=UpkeepQueue(settings.upkeep_queue_url),
    embedder_for=providers.embedder,
    memory_queue=MemoryQueue(settings.memory_queue_url),
    images=Images(settings.files_bucket),
    reranker_for=providers.reranker,
    toolbox_for=make_toolbox_for(engine, invoker, mcp_registry, embedding, WebSearch.of(settings, invoker.ask, os.environ).tools()),
    stream_limits=StreamLimits(settings.answers_per_user, settings.followers_per_user, settings.waits_per_user),
    asks_user=settings.ask_user,
)
app = create_app(
    routes.router,
    settings=settings,
    body_limit=BODY_LIMIT,
    error_responders={
        anthropic_errors.PREFIX: anthropic_errors.anthropic_error_response,  # before OpenAI's, which covers all of /v1
        openai_errors.PREFIX: openai_errors.openai_error_response,
    },
    engine=engine,
    services=services,
)


@invocation_handler
def run_schedule(event: dict[str, Any], context: Any) -> dict[str, str]:
    """Run a scheduled prompt, for the upkeep function. Raises ValidationError for any other event."""
    from functions.chat.scheduled_run import run_scheduled  # few deployments' workers ever run one

    return run_scheduled(services, event, Deadline.of(context))


handler = streaming_handler(app, on_invoke=run_schedule)


def prepare_copies() -> None:
    """Load what every worker's first answer needs, before this process is copied (SnapStart; the emulator's forks).

    It takes 0.5 to 2 s of CPU and 100 MB. A function that is not copied loads each part when it first needs it.
    """
    tokens.count_tokens("")
    providers.preload(model for model in catalogue().models.values() if not model.obstacle(os.environ))
    services.queue.prepare()


register_before_snapshot(prepare_copies)
cold_start.finish()
