"""Conversations, their messages, summaries and usage, and the user's memories."""

from parley.http import cold_start  # isort: split

import os
from typing import Annotated

from pydantic import Field

from functions.conversation.routes import router
from functions.conversation.services import ConversationServices, ScheduleLimits
from parley.db.engine import make_engine
from parley.http.app import create_app
from parley.http.lambda_entry import buffered_handler
from parley.jobs import MemoryQueue, UpkeepQueue
from parley.metering.embeddings import MeteredEmbedder
from parley.settings import DatabaseSettings, HttpSettings, ModelSettings, ScheduleSettings


class ConversationSettings(HttpSettings, DatabaseSettings, ModelSettings, ScheduleSettings):
    """The settings of the conversation function, read from the environment."""

    memory_queue_url: str
    upkeep_queue_url: str
    schedules_per_user: Annotated[int, Field(ge=0, le=1000)]


settings = ConversationSettings.read()
engine = make_engine(settings)
services = ConversationServices(
    engine=engine,
    embedding=MeteredEmbedder.of(settings, engine, os.environ),
    memory_queue=MemoryQueue(settings.memory_queue_url),
    default_budget_usd=settings.budget_usd,
    upkeep_queue=UpkeepQueue(settings.upkeep_queue_url),
    schedule_limits=ScheduleLimits(settings.schedules_per_user, settings.schedule_min_minutes),
)
app = create_app(router, settings=settings, engine=engine, services=services)
handler = buffered_handler(app)
cold_start.finish()
