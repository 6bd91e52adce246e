"""What ingestion works with, made once for each worker."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from functions.ingest.files import Files
from parley.jobs import IngestQueue
from parley.llm.catalogue import Catalogue
from parley.llm.router import ModelRouter
from parley.metering.embeddings import MeteredEmbedder
from parley.metering.limits import DefaultLimits


@dataclass(frozen=True, slots=True)
class Desk:
    """The database, the files, who makes vectors, and the queue on which a document that takes longer goes on.

    Where it `describes` chunks: the models with the environment in which their keys are, and what a user may spend on them.
    """

    engine: Engine
    files: Files
    embedding: MeteredEmbedder
    queue: IngestQueue
    catalogue: Callable[[], Catalogue]
    router: ModelRouter
    environment: Mapping[str, str]
    default_limits: DefaultLimits
    describes: bool
