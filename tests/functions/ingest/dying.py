"""Ingestion in a process that may be killed at any moment."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import UUID

from functions.ingest.desk import Desk
from functions.ingest.ingesting import ingest
from functions.ingest.notices import Notice
from parley.db.breakers import Breakers
from parley.db.engine import make_engine
from parley.deadline import Deadline
from parley.embedding import Embedding
from parley.limits import Allowance
from parley.llm.breaker import Breaker
from parley.llm.live_catalogue import LiveCatalogue
from parley.llm.providers import Providers
from parley.llm.router import Router
from parley.settings import CatalogueSettings, DatabaseSettings

_FORK = get_context("forkserver")
_FORK.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class OneFile:
    """A store with one file in it, on the disk."""

    path: str
    sha256: bytes

    @contextmanager
    def fetched(self, _key: str, *, size: int) -> Iterator[tuple[str, bytes]]:
        assert size == Path(self.path).stat().st_size
        yield self.path, self.sha256


class Silent:
    """A queue that nobody reads."""

    def send(self, *_: Any, **__: Any) -> None:
        pass


def work(path: str, sha256: bytes, user_id: UUID, document_id: UUID, environment: dict[str, str]) -> None:
    """Read a document until it is ready."""
    os.environ.update(environment)
    engine = make_engine(DatabaseSettings.read())
    catalogue = LiveCatalogue.of(CatalogueSettings.read())
    providers, allowance = Providers(os.environ), Allowance(100, 5)  # type: ignore[arg-type]
    desk = Desk(
        engine=engine,
        files=OneFile(path, sha256),  # type: ignore[arg-type]
        embedding=Embedding(engine, catalogue, os.environ, providers.embedder, allowance),
        queue=Silent(),  # type: ignore[arg-type]
        catalogue=catalogue,
        router=Router(providers, Breaker(Breakers(engine))),
        environment=os.environ,
        allowance=allowance,
        describes=False,
    )
    ingest(desk, Notice(user_id, document_id), deadline=Deadline.after(300))


def begun(*arguments: Any) -> Any:
    """Start a worker as a process and return it."""
    process = _FORK.Process(target=work, args=arguments, daemon=True)
    process.start()
    return process
