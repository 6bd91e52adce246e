"""Conversations, their messages, summaries and usage, and the user's memories."""

from parley.http import cold_start  # isort: split

import os

from functions.conversation.routes import router
from functions.conversation.services import ConversationServices
from parley.db.engine import make_engine
from parley.http.app import create_app
from parley.http.lambda_entry import buffered_handler
from parley.jobs import MemoryQueue
from parley.metering.embeddings import MeteredEmbedder
from parley.settings import DatabaseSettings, HttpSettings, ModelSettings


class ConversationSettings(HttpSettings, DatabaseSettings, ModelSettings):
    """The settings of the conversation function, read from the environment."""

    memory_queue_url: str


settings = ConversationSettings.read()
engine = make_engine(settings)
services = ConversationServices(
    engine=engine,
    embedding=MeteredEmbedder.of(settings, engine, os.environ),
    memory_queue=MemoryQueue(settings.memory_queue_url),
    default_budget_usd=settings.budget_usd,
)
app = create_app(router, settings=settings, engine=engine, services=services)
handler = buffered_handler(app)
cold_start.finish()
