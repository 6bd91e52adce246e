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
from parley.db.engine import make_engine
from parley.deadline import Deadline
from parley.embedding import Embedding
from parley.ingest_queue import IngestQueue
from parley.observability import logger
from parley.settings import DatabaseSettings, ModelSettings


class IngestSettings(DatabaseSettings, ModelSettings):
    """What this function reads from its environment."""

    files_bucket: str
    ingest_queue_url: str
    document_bytes: Annotated[int, Field(gt=0)]


settings = IngestSettings.read()
engine = make_engine(settings)
desk = Desk(
    engine=engine,
    files=Files(settings.files_bucket, most_bytes=settings.document_bytes),
    embedding=Embedding.of(settings, engine, os.environ),
    queue=IngestQueue(settings.ingest_queue_url),
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
