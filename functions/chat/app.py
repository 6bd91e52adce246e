"""Chat: questions in, streamed answers out."""

from parley import cold_start  # isort: split

import os

from functions.chat.desk import Desk
from functions.chat.routes import router
from parley.db.engine import make_engine
from parley.http.app import create_app
from parley.http.streaming import streaming_handler
from parley.llm.live_catalogue import LiveCatalogue
from parley.llm.providers import Providers
from parley.observability import logger
from parley.settings import DatabaseSettings, HttpSettings
from parley.upkeep import UpkeepQueue

BODY_LIMIT = 4 * 1024 * 1024


class ChatSettings(HttpSettings, DatabaseSettings):
    """What this function reads from its environment."""

    models_file: str
    models_parameter: str
    upkeep_queue_url: str


settings = ChatSettings.read()
catalogue = LiveCatalogue.of(file=settings.models_file, parameter=settings.models_parameter)
for name, model in catalogue().models.items():
    if obstacle := model.obstacle(os.environ):
        logger.info("a model of the catalogue cannot be chosen", model=name, reason=obstacle)
desk = Desk(make_engine(settings), catalogue, Providers(os.environ), os.environ, UpkeepQueue(settings.upkeep_queue_url))
app = create_app(router, settings=settings, body_limit=BODY_LIMIT, desk=desk)
handler = streaming_handler(app)
cold_start.finish()
