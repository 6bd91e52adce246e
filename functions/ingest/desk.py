"""What ingestion works with, made once for each worker."""

from dataclasses import dataclass

from sqlalchemy import Engine

from functions.ingest.files import Files
from functions.ingest.queue import IngestQueue
from parley.embedding import Embedding


@dataclass(frozen=True, slots=True)
class Desk:
    """The database, the files, who makes vectors, and the queue on which a document that takes longer goes on."""

    engine: Engine
    files: Files
    embedding: Embedding
    queue: IngestQueue
