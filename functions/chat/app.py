"""Chat: questions in, streamed answers out."""

from parley import cold_start  # isort: split

import os

from functions.chat import routes
from functions.chat.compat.errors import PREFIX, as_openai
from functions.chat.desk import Desk
from functions.chat.images import Images
from parley.db.breakers import Breakers
from parley.db.engine import make_engine
from parley.follow_up import MemoryQueue
from parley.http.app import create_app
from parley.http.streaming import streaming_handler
from parley.limits import Allowance
from parley.llm.breaker import Breaker
from parley.llm.live_catalogue import LiveCatalogue
from parley.llm.providers import Providers
from parley.llm.router import Router
from parley.observability import logger
from parley.settings import DatabaseSettings, HttpSettings, LimitSettings
from parley.upkeep import UpkeepQueue

BODY_LIMIT = 4 * 1024 * 1024


class ChatSettings(HttpSettings, DatabaseSettings, LimitSettings):
    """What this function reads from its environment."""

    models_file: str
    models_parameter: str
    upkeep_queue_url: str
    files_bucket: str
    memory_queue_url: str
    toolrunner_function: str


settings = ChatSettings.read()
catalogue = LiveCatalogue.of(file=settings.models_file, parameter=settings.models_parameter)
for name, model in catalogue().models.items():
    if obstacle := model.obstacle(os.environ):
        logger.info("a model of the catalogue cannot be chosen", model=name, reason=obstacle)
engine = make_engine(settings)
providers = Providers(os.environ)
router = Router(providers, Breaker(Breakers(engine)))
allowance = Allowance(settings.rate_per_minute, settings.budget_usd)
queues = UpkeepQueue(settings.upkeep_queue_url), MemoryQueue(settings.memory_queue_url)
images = Images(settings.files_bucket)
desk = Desk(engine, catalogue, router, os.environ, allowance, queues[0], providers.embedder, queues[1], images)
app = create_app(routes.router, settings=settings, body_limit=BODY_LIMIT, error_answers={PREFIX: as_openai}, desk=desk)
handler = streaming_handler(app)
cold_start.finish()
