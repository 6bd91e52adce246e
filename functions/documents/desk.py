"""What the documents' routes work with, made once for each worker."""

from dataclasses import dataclass

from sqlalchemy import Engine

from functions.documents.files import Files
from parley.embedding import Embedding
from parley.reranking import Reranking
from parley.upkeep import UpkeepQueue


@dataclass(frozen=True, slots=True)
class Desk:
    """The database, the files, who makes vectors, who puts in order, and who deletes files."""

    engine: Engine
    files: Files
    embedding: Embedding
    reranking: Reranking
    queue: UpkeepQueue
