"""Background work for accounts: emails, exports and erasures from a queue, and the scheduled sweep."""

from parley import cold_start  # isort: split

import os
from functools import partial
from typing import Any

from functions.upkeep.email_templates import EmailTemplates
from functions.upkeep.jobs import is_early, run_job
from functions.upkeep.mailer import Mailer
from functions.upkeep.services import UpkeepServices, UserFileStore
from functions.upkeep.sweep import recover, sweep
from functions.upkeep.webhook_client import WebhookClient
from parley.auth.encryption import key_store_cipher
from parley.aws.functions import FunctionStarter
from parley.db.engine import make_engine
from parley.ingest_queue import IngestQueue
from parley.jobs import MemoryQueue, UnknownJob, UpkeepQueue, process_jobs
from parley.llm.catalogue import NoModel
from parley.llm.live_catalogue import LiveCatalogue
from parley.observability import logger
from parley.observability.invocations import invocation_handler
from parley.settings import CatalogueSettings, DatabaseSettings, KeySettings, ScheduleSettings
from parley.tools.invoker import Invoker


class UpkeepSettings(DatabaseSettings, CatalogueSettings, KeySettings, ScheduleSettings):
    """Settings of the upkeep function. `model_keys` lists the environment variables of the model keys that are set, separated by commas."""

    upkeep_queue_url: str
    memory_queue_url: str
    ingest_queue_url: str
    files_bucket: str
    mail_from: str
    public_url: str
    model_keys: str
    toolrunner_function: str
    chat_function: str


settings = UpkeepSettings.read()
catalogue = LiveCatalogue.of(settings)


def _embedding_model() -> str | None:
    """Return the name of the embedding model, or None. Only whether a key exists matters here; this function has no key."""
    given_keys = dict.fromkeys(settings.model_keys.split(","), "given")
    try:
        _, model = catalogue().embedding({**os.environ, **given_keys})
    except NoModel:
        return None
    return model.name


services = UpkeepServices(
    engine=make_engine(settings, waits_for_wake=True),
    background=make_engine(settings, role="background", waits_for_wake=True),
    files=UserFileStore(settings.files_bucket),
    email_templates=EmailTemplates(settings.public_url),
    mailer=Mailer(settings.mail_from),
    queue=UpkeepQueue(settings.upkeep_queue_url),
    memory_queue=MemoryQueue(settings.memory_queue_url),
    ingest_queue=IngestQueue(settings.ingest_queue_url),
    embedding_model=_embedding_model,
    webhook_client=WebhookClient(Invoker(settings.toolrunner_function).ask, key_store_cipher(settings.keys_path)),
    start_run=FunctionStarter(settings.chat_function),
    schedule_min_minutes=settings.schedule_min_minutes,
)


@invocation_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run a batch of SQS messages and return the ids that failed, or run the recovery or the sweep and return its counts.

    Raises UnknownJob for an event that comes neither from SQS nor from the scheduler.
    """
    if "Records" in event:
        is_idle = all(is_early(record["body"]) for record in event["Records"])
        failures = process_jobs(event["Records"], handle=partial(run_job, services))
        services.queue.retry_soon(event["Records"], failures)
        # The next sweep may be a day away, and while the database is awake, recovery costs only two queries. So a turn that died
        # before it queued its check is ended half a minute after the next turn of any user.
        if not is_idle:
            recover(services)
        return failures
    if event.get("source") != "aws.scheduler":
        raise UnknownJob("neither a batch nor a schedule")
    if event.get("run") == "recovery":
        return dict(recover(services))
    counts = sweep(services)
    logger.info("sweep_completed", counts=counts)
    return dict(counts)


cold_start.finish()
