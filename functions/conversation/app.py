"""Conversations, their messages, and what is remembered of them."""

from parley import cold_start  # isort: split

import os

from functions.conversation.desk import Desk
from functions.conversation.routes import router
from parley.db.engine import make_engine
from parley.embedding import Embedding
from parley.follow_up import MemoryQueue
from parley.http.app import create_app
from parley.http.buffered import buffered_handler
from parley.limits import Allowance
from parley.llm.live_catalogue import LiveCatalogue
from parley.llm.providers import Providers
from parley.settings import DatabaseSettings, HttpSettings, LimitSettings


class ConversationSettings(HttpSettings, DatabaseSettings, LimitSettings):
    """What this function reads from its environment."""

    models_file: str
    models_parameter: str
    memory_queue_url: str


settings = ConversationSettings.read()
engine = make_engine(settings)
catalogue = LiveCatalogue.of(file=settings.models_file, parameter=settings.models_parameter)
allowance = Allowance(settings.rate_per_minute, settings.budget_usd)
desk = Desk(
    engine=engine,
    embedding=Embedding(engine, catalogue, os.environ, Providers(os.environ).embedder, allowance),
    memory_queue=MemoryQueue(settings.memory_queue_url),
)
app = create_app(router, settings=settings, engine=engine, budget_usd=settings.budget_usd, desk=desk)
handler = buffered_handler(app)
cold_start.finish()
