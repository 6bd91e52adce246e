"""What ingestion works with, made once for each worker."""

from dataclasses import dataclass

from sqlalchemy import Engine

from functions.ingest.files import Files
from parley.embedding import Embedding
from parley.ingest_queue import IngestQueue


@dataclass(frozen=True, slots=True)
class Desk:
    """The database, the files, who makes vectors, and the queue on which a document that takes longer goes on."""

    engine: Engine
    files: Files
    embedding: Embedding
    queue: IngestQueue
