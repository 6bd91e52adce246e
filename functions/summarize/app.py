"""Follow-up work after turns, from a queue and on a schedule: titles, summaries, memory, and the deletion of old conversations."""

from parley import cold_start  # isort: split

import os
from functools import partial
from typing import Annotated, Any

from pydantic import Field
from snapshot_restore_py import register_before_snapshot

from functions.summarize.jobs import run_job
from functions.summarize.schedule import run_scheduled
from functions.summarize.services import SummarizeServices
from parley.db.circuits import DatabaseCircuits
from parley.db.engine import make_engine
from parley.deadline import Deadline
from parley.jobs import MemoryQueue, UnknownJob, process_jobs
from parley.llm.circuit_breaker import CircuitBreaker
from parley.llm.live_catalogue import LiveCatalogue
from parley.llm.provider_registry import ProviderRegistry
from parley.llm.router import ModelRouter
from parley.metering.embeddings import MeteredEmbedder
from parley.metering.limits import DefaultLimits
from parley.observability import logger
from parley.observability.invocations import invocation_handler
from parley.settings import DatabaseSettings, ModelSettings


class SummarizeSettings(DatabaseSettings, ModelSettings):
    """The settings of the summarize function."""

    memory_queue_url: str
    retention_days: Annotated[int, Field(ge=0)]


settings = SummarizeSettings.read()
engine, providers = make_engine(settings, waits_for_wake=True), ProviderRegistry(os.environ)
catalogue, default_limits = LiveCatalogue.of(settings), DefaultLimits.of(settings)
services = SummarizeServices(
    engine=engine,
    background=make_engine(settings, role="background", waits_for_wake=True),
    catalogue=catalogue,
    router=ModelRouter(providers, CircuitBreaker(DatabaseCircuits(engine)), is_background=True),
    embedding=MeteredEmbedder(engine, catalogue, os.environ, providers.embedder, default_limits),
    environment=os.environ,
    default_limits=default_limits,
    queue=MemoryQueue(settings.memory_queue_url),
    retention_days=settings.retention_days,
)

# Nearly every worker calls SQS or the embedder: boto3 is loaded before this process is copied (SnapStart; the emulator's forks).
register_before_snapshot(services.queue.prepare)


@invocation_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run a batch of SQS messages and return the ids that failed, or run the schedule and return its counts.

    Raises UnknownJob for an event that comes neither from SQS nor from the scheduler.
    """
    deadline = Deadline.of(context)
    if "Records" in event:
        return process_jobs(event["Records"], handle=partial(run_job, services, deadline=deadline))
    if event.get("source") != "aws.scheduler":
        raise UnknownJob("neither a batch nor a schedule")
    counts = run_scheduled(services, deadline)
    logger.info("follow_up_completed", counts=counts)
    return dict(counts)


cold_start.finish()
