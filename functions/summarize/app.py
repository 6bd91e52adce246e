"""What happens after turns: titles, summaries, facts and passages, from a queue and by a schedule; and old conversations go."""

from parley import cold_start  # isort: split

import os
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from functions.summarize.desk import Desk
from functions.summarize.errands import run
from functions.summarize.schedule import take_all
from parley.batch import work_off
from parley.db.breakers import Breakers
from parley.db.engine import make_engine
from parley.deadline import Deadline
from parley.embedding import Embedding
from parley.follow_up import MemoryQueue
from parley.limits import Allowance
from parley.llm.breaker import Breaker
from parley.llm.live_catalogue import LiveCatalogue
from parley.llm.providers import Providers
from parley.llm.router import Router
from parley.observability import logger
from parley.settings import DatabaseSettings, ModelSettings
from parley.upkeep import UnknownMessage


class SummarizeSettings(DatabaseSettings, ModelSettings):
    """What this function reads from its environment."""

    memory_queue_url: str
    retention_days: Annotated[int, Field(ge=0)]


settings = SummarizeSettings.read()
engine, providers = make_engine(settings), Providers(os.environ)
catalogue, allowance = LiveCatalogue.of(settings), Allowance.of(settings)
desk = Desk(
    engine=engine,
    background=make_engine(settings, role="background"),
    catalogue=catalogue,
    router=Router(providers, Breaker(Breakers(engine)), is_background=True),
    embedding=Embedding(engine, catalogue, os.environ, providers.embedder, allowance),
    environment=os.environ,
    allowance=allowance,
    queue=MemoryQueue(settings.memory_queue_url),
    retention_days=settings.retention_days,
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Work off a batch of messages and return which failed, or all that is due and return how much there was.

    Raises UnknownMessage for an event that is neither from SQS nor from the scheduler.
    """
    deadline = Deadline.of(context)
    if "Records" in event:
        return work_off(event["Records"], do=partial(run, desk, deadline=deadline))
    if event.get("source") != "aws.scheduler":
        raise UnknownMessage("neither a batch nor a schedule")
    done = take_all(desk, deadline)
    logger.info("remembered", counts=done)
    return dict(done)


cold_start.finish()
