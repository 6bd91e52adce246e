"""Ingestion: files become chunks that can be found, from a queue on which S3 tells of them."""

from parley import cold_start  # isort: split

import os
from typing import Annotated, Any

from pydantic import Field

from functions.ingest import notices
from functions.ingest.desk import Desk
from functions.ingest.files import Files
from functions.ingest.ingesting import ingest
from parley.batch import work_off_bodies
from parley.db.breakers import Breakers
from parley.db.engine import make_engine
from parley.deadline import Deadline
from parley.embedding import Embedding
from parley.ingest_queue import IngestQueue
from parley.limits import Allowance
from parley.llm.breaker import Breaker
from parley.llm.live_catalogue import LiveCatalogue
from parley.llm.providers import Providers
from parley.llm.router import Router
from parley.observability import logger
from parley.settings import DatabaseSettings, ModelSettings


class IngestSettings(DatabaseSettings, ModelSettings):
    """What this function reads from its environment."""

    files_bucket: str
    ingest_queue_url: str
    document_bytes: Annotated[int, Field(gt=0)]
    describe_chunks: bool


settings = IngestSettings.read()
engine, providers = make_engine(settings), Providers(os.environ)
catalogue, allowance = LiveCatalogue.of(settings), Allowance.of(settings)
desk = Desk(
    engine=engine,
    files=Files(settings.files_bucket, most_bytes=settings.document_bytes),
    embedding=Embedding(engine, catalogue, os.environ, providers.embedder, allowance),
    queue=IngestQueue(settings.ingest_queue_url),
    catalogue=catalogue,
    router=Router(providers, Breaker(Breakers(engine)), is_background=True),
    environment=os.environ,
    allowance=allowance,
    describes=settings.describe_chunks,
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Read the documents that a batch of messages names, and return which messages failed."""
    deadline = Deadline.of(context)

    def do(body: str) -> None:
        for notice in notices.read(body):
            ingest(desk, notice, deadline=deadline)

    return work_off_bodies(event["Records"], do=do)


cold_start.finish()
