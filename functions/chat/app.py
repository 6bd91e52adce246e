"""Chat: questions in, streamed answers out."""

from parley import cold_start  # isort: split

import os

from functions.chat import routes
from functions.chat.compat.errors import PREFIX, as_openai
from functions.chat.desk import Desk
from functions.chat.images import Images
from functions.chat.tooling import make_toolbox_for
from parley.db.breakers import Breakers
from parley.db.engine import make_engine
from parley.embedding import Embedding
from parley.follow_up import MemoryQueue
from parley.http.app import create_app
from parley.http.streaming import streaming_handler
from parley.limits import Allowance
from parley.llm.breaker import Breaker
from parley.llm.live_catalogue import LiveCatalogue
from parley.llm.providers import Providers
from parley.llm.router import Router
from parley.observability import logger
from parley.settings import DatabaseSettings, HttpSettings, ModelSettings, ToolSettings
from parley.tools.invoker import Invoker
from parley.tools.remotes import Remotes
from parley.upkeep import UpkeepQueue

BODY_LIMIT = 4 * 1024 * 1024


class ChatSettings(HttpSettings, DatabaseSettings, ModelSettings, ToolSettings):
    """What this function reads from its environment."""

    upkeep_queue_url: str
    files_bucket: str
    memory_queue_url: str


settings = ChatSettings.read()
catalogue, allowance = LiveCatalogue.of(settings), Allowance.of(settings)
for name, model in catalogue().models.items():
    if obstacle := model.obstacle(os.environ):
        logger.info("a model of the catalogue cannot be chosen", model=name, reason=obstacle)
engine = make_engine(settings)
providers = Providers(os.environ)
router = Router(providers, Breaker(Breakers(engine)))
invoker = Invoker(settings.toolrunner_function)
remotes = Remotes.of(settings, invoker.ask)
embedding = Embedding(engine, catalogue, os.environ, providers.embedder, allowance)
desk = Desk(
    engine=engine,
    catalogue=catalogue,
    router=router,
    environment=os.environ,
    allowance=allowance,
    queue=UpkeepQueue(settings.upkeep_queue_url),
    embedder_for=providers.embedder,
    memory_queue=MemoryQueue(settings.memory_queue_url),
    images=Images(settings.files_bucket),
    reranker_for=providers.reranker,
    toolbox_for=make_toolbox_for(engine, invoker, remotes, embedding),
)
app = create_app(routes.router, settings=settings, body_limit=BODY_LIMIT, error_answers={PREFIX: as_openai}, desk=desk)
handler = streaming_handler(app)
cold_start.finish()
