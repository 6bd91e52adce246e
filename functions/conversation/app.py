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
from parley.settings import DatabaseSettings, HttpSettings, ModelSettings


class ConversationSettings(HttpSettings, DatabaseSettings, ModelSettings):
    """What this function reads from its environment."""

    memory_queue_url: str


settings = ConversationSettings.read()
engine = make_engine(settings)
desk = Desk(
    engine=engine,
    embedding=Embedding.of(settings, engine, os.environ),
    memory_queue=MemoryQueue(settings.memory_queue_url),
)
app = create_app(router, settings=settings, engine=engine, budget_usd=settings.budget_usd, desk=desk)
handler = buffered_handler(app)
cold_start.finish()
