"""Documents: upload, list, search and delete files."""

from parley.http import cold_start  # isort: split

import os
from typing import Annotated

from pydantic import Field

from functions.documents.routes import router
from functions.documents.services import DocumentServices, UploadStore
from parley.db.engine import make_engine
from parley.http.app import create_app
from parley.http.lambda_entry import buffered_handler
from parley.ingest_queue import IngestQueue
from parley.jobs import UpkeepQueue
from parley.metering.embeddings import MeteredEmbedder
from parley.metering.reranking import MeteredReranker
from parley.settings import DatabaseSettings, HttpSettings, ModelSettings

# A 4 MB file in a multipart form; encoded in base64, it stays below Lambda's limit of 6 MB.
BODY_LIMIT = 4 * 1024 * 1024 + 16 * 1024


class DocumentSettings(HttpSettings, DatabaseSettings, ModelSettings):
    """The settings of the documents function, read from the environment."""

    upkeep_queue_url: str
    ingest_queue_url: str
    files_bucket: str
    document_bytes: Annotated[int, Field(gt=0)]


settings = DocumentSettings.read()
engine = make_engine(settings)
services = DocumentServices(
    engine=engine,
    files=UploadStore(settings.files_bucket, max_bytes=settings.document_bytes),
    embedding=MeteredEmbedder.of(settings, engine, os.environ),
    reranking=MeteredReranker.of(settings, engine, os.environ),
    queue=UpkeepQueue(settings.upkeep_queue_url),
    ingest_queue=IngestQueue(settings.ingest_queue_url),
)
app = create_app(router, settings=settings, body_limit=BODY_LIMIT, engine=engine, services=services)
handler = buffered_handler(app)
cold_start.finish()
