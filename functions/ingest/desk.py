"""What ingestion works with, made once for each worker."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from functions.ingest.files import Files
from parley.embedding import Embedding
from parley.ingest_queue import IngestQueue
from parley.limits import Allowance
from parley.llm.models import Catalogue
from parley.llm.router import Router


@dataclass(frozen=True, slots=True)
class Desk:
    """The database, the files, who makes vectors, and the queue on which a document that takes longer goes on.

    Where it `describes` chunks: the models with the environment in which their keys are, and what a user may spend on them.
    """

    engine: Engine
    files: Files
    embedding: Embedding
    queue: IngestQueue
    catalogue: Callable[[], Catalogue]
    router: Router
    environment: Mapping[str, str]
    allowance: Allowance
    describes: bool
