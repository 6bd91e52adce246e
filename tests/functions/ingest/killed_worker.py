"""An ingestion worker in a process of its own, which a test may kill at any moment."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import UUID

from functions.ingest.messages import DocumentMessage
from functions.ingest.pipeline import ingest
from functions.ingest.services import IngestServices
from parley.db.circuits import DatabaseCircuits
from parley.db.engine import make_engine
from parley.deadline import Deadline
from parley.llm.circuit_breaker import CircuitBreaker
from parley.llm.live_catalogue import LiveCatalogue
from parley.llm.provider_registry import ProviderRegistry
from parley.llm.router import ModelRouter
from parley.metering.embeddings import MeteredEmbedder
from parley.metering.limits import DefaultLimits
from parley.settings import CatalogueSettings, DatabaseSettings

_FORK = get_context("forkserver")
_FORK.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class SingleFileStore:
    """A file store with one file on disk."""

    path: str
    sha256: bytes

    @contextmanager
    def local_copy(self, _key: str, *, size: int) -> Iterator[tuple[str, bytes]]:
        assert size == Path(self.path).stat().st_size
        yield self.path, self.sha256


class DiscardingQueue:
    """A queue that drops every message."""

    def send(self, *_: Any, **__: Any) -> None:
        pass


def ingest_document(path: str, sha256: bytes, user_id: UUID, document_id: UUID, environment: dict[str, str]) -> None:
    """Ingest one document."""
    os.environ.update(environment)
    engine = make_engine(DatabaseSettings.read())
    catalogue = LiveCatalogue.of(CatalogueSettings.read())
    providers, default_limits = ProviderRegistry(os.environ), DefaultLimits(100, 5)  # type: ignore[arg-type]
    services = IngestServices(
        engine=engine,
        files=SingleFileStore(path, sha256),  # type: ignore[arg-type]
        import_files=SingleFileStore(path, sha256),  # type: ignore[arg-type]
        embedding=MeteredEmbedder(engine, catalogue, os.environ, providers.embedder, default_limits),
        queue=DiscardingQueue(),  # type: ignore[arg-type]
        catalogue=catalogue,
        router=ModelRouter(providers, CircuitBreaker(DatabaseCircuits(engine))),
        environment=os.environ,
        default_limits=default_limits,
        describes_chunks=False,
        max_per_user=2,
        retention_days=0,
    )
    ingest(services, DocumentMessage(user_id, document_id), deadline=Deadline.after(300))


def start_worker(*arguments: Any) -> Any:
    """Start a worker process and return it."""
    process = _FORK.Process(target=ingest_document, args=arguments, daemon=True)
    process.start()
    return process
