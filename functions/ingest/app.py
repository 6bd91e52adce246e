"""Ingestion: turns uploaded documents into searchable chunks, and uploaded exports into conversations.

S3 announces each file on the queue that invokes the function.
"""

from parley import cold_start  # isort: split

import os
from typing import Annotated, Any

from pydantic import Field

from functions.ingest import messages
from functions.ingest.lease import within_lease
from functions.ingest.messages import ImportMessage
from functions.ingest.pipeline import ingest
from functions.ingest.services import DocumentFileStore, ImportFileStore, IngestServices
from parley.aws.sqs import process_messages
from parley.db.circuits import DatabaseCircuits
from parley.db.engine import make_engine
from parley.deadline import Deadline
from parley.ingest_queue import MAX_IMPORT_BYTES, IngestQueue
from parley.llm.circuit_breaker import CircuitBreaker
from parley.llm.live_catalogue import LiveCatalogue
from parley.llm.provider_registry import ProviderRegistry
from parley.llm.router import ModelRouter
from parley.metering.embeddings import MeteredEmbedder
from parley.metering.limits import DefaultLimits
from parley.observability import add_log_context
from parley.observability.invocations import invocation_handler
from parley.settings import DatabaseSettings, ModelSettings


class IngestSettings(DatabaseSettings, ModelSettings):
    """The settings of the ingest function."""

    files_bucket: str
    ingest_queue_url: str
    document_bytes: Annotated[int, Field(gt=0)]
    describe_chunks: bool
    ingest_per_user: Annotated[int, Field(gt=0)]
    retention_days: Annotated[int, Field(ge=0)]


settings = IngestSettings.read()
engine, providers = make_engine(settings, waits_for_wake=True), ProviderRegistry(os.environ)
catalogue, default_limits = LiveCatalogue.of(settings), DefaultLimits.of(settings)
services = IngestServices(
    engine=engine,
    files=DocumentFileStore(settings.files_bucket, max_bytes=settings.document_bytes),
    import_files=ImportFileStore(settings.files_bucket, max_bytes=MAX_IMPORT_BYTES),
    embedding=MeteredEmbedder(engine, catalogue, os.environ, within_lease(providers.embedder), default_limits),
    queue=IngestQueue(settings.ingest_queue_url),
    catalogue=catalogue,
    router=ModelRouter(providers, CircuitBreaker(DatabaseCircuits(engine)), is_background=True),
    environment=os.environ,
    default_limits=default_limits,
    describes_chunks=settings.describe_chunks,
    max_per_user=settings.ingest_per_user,
    retention_days=settings.retention_days,
)


@invocation_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Ingest the documents and run the imports that a batch of SQS messages names, and return the ids of the messages that failed."""
    deadline = Deadline.of(context)

    def handle(body: str) -> None:
        for message in messages.parse_messages(body):
            add_log_context(user_id=message.user_id)
            if isinstance(message, ImportMessage):
                # Imported here, because few users import and every cold start would pay for it.
                from functions.ingest.imports.run import run_import

                run_import(services, message, deadline=deadline)
            else:
                ingest(services, message, deadline=deadline)

    return process_messages(event["Records"], handle=handle)


cold_start.finish()
