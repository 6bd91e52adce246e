"""What the documents' routes work with, made once for each worker."""

from dataclasses import dataclass

from sqlalchemy import Engine

from functions.documents.files import Files
from parley.jobs import UpkeepQueue
from parley.metering.embeddings import MeteredEmbedder
from parley.metering.reranking import MeteredReranker


@dataclass(frozen=True, slots=True)
class Desk:
    """The database, the files, who makes vectors, who puts in order, and who deletes files."""

    engine: Engine
    files: Files
    embedding: MeteredEmbedder
    reranking: MeteredReranker
    queue: UpkeepQueue
