"""Leases: only one worker at a time processes a document, and another worker takes over soon after it dies.

Each user has a share of the workers. If the share is in use, a message is dropped, and its document waits in the database
until a worker that finishes another document of the same user queues it. So one user's many documents cannot keep the
documents of other users waiting.

A lease lasts 60 seconds. Every stored batch extends it, and so does the worker before each call of a model and while it
parses (`Lease`). A worker whose document another has taken changes nothing more of it. The worker that holds the lease also
queues a delayed message, which arrives after the worker's deadline and the end of the lease. If the worker has died by then,
the message makes another worker continue. All other messages for a leased document can therefore be dropped.

A worker also leaves the database to others for a part of the time (`DatabaseShare`).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Literal
from uuid import UUID

from functions.ingest.messages import DocumentMessage
from functions.ingest.services import IngestServices
from parley.db import documents
from parley.db.documents import Document, LeaseLost
from parley.db.engine import Connection, Engine
from parley.db.transactions import user_scope
from parley.deadline import Deadline
from parley.errors import NotFound
from parley.ingest_queue import IngestQueue
from parley.llm.provider_registry import EmbedderFor
from parley.observability import logger

LEASE_S = 60.0
# The longest delay that SQS accepts.
SQS_MAX_DELAY_S = 900.0
# The worker renews the lease before a call of a model. The call ends so early that its result can be stored under the lease.
CALL_TIMEOUT_S = 45.0
# While the worker parses, it renews the lease at most this often. The parser yields many chunks in a second.
_RENEWAL_AGE_S = 15.0
_TAKEOVER_MARGIN_S = 30.0
# A transaction that takes much longer waits for something else than the processor.
LONGEST_PAUSE_S = 1.0
# A transaction that takes so many times as long as the quickest of its kind shares the database with others.
_SHARED_TIMES = 1.25


class ContinueLater(Exception):
    """The document must go back to the queue for `delay_s`: the deadline is close, or a model is busy."""

    def __init__(self, delay_s: float = 0.0) -> None:
        super().__init__(f"delay_s={delay_s}")
        self.delay_s = delay_s


class Lease:
    """This worker's lease on a document. `until` is the end of the lease as the database has stored it."""

    def __init__(self, engine: Engine, document: Document, leased_until: datetime) -> None:
        self.document = document
        self._engine = engine
        self._extended_to(leased_until)

    def renew(self) -> None:
        """Extend the lease. Call this before each call of a model.

        The attempt still counts, so that a document whose steps never end is given up. Raises LeaseLost, NotFound and Unavailable.
        """
        document = self.document
        with user_scope(self._engine, document.user_id) as connection:
            until = documents.renew_lease(connection, document.id, user_id=document.user_id, held_until=self.until, lease_s=LEASE_S)
        self._extended_to(until)

    def keep(self) -> None:
        """Extend the lease as `renew` does if it is older than 15 seconds. Call this between steps of which many are short."""
        if time.monotonic() - self._extended_s >= _RENEWAL_AGE_S:
            self.renew()

    @contextmanager
    def progress(self, progress: float) -> Iterator[Connection]:
        """Open a transaction that reports progress and extends the lease. Raises LeaseLost, NotFound and Unavailable.

        This happens first, because it locks the document's row: a deletion or a change of `is_shared` happens entirely before or after.
        """
        document = self.document
        with user_scope(self._engine, document.user_id) as connection:
            until = documents.report_progress(
                connection, document.id, user_id=document.user_id, progress=progress, held_until=self.until, lease_s=LEASE_S
            )
            yield connection
        self._extended_to(until)

    def _extended_to(self, until: datetime) -> None:
        self.until, self._extended_s = until, time.monotonic()


def acquire(services: IngestServices, message: DocumentMessage) -> Lease | None:
    """Lease the document. Return None if it has failed, another worker holds the lease, or the user's share is in use.

    Raises NotFound if the document was deleted, after deleting its file, and Unavailable.
    """
    document, user_id = None, message.user_id
    try:
        with user_scope(services.engine, user_id) as connection:
            is_share_free = documents.lock_processed(connection, user_id=user_id) < services.max_per_user
            if is_share_free:
                document = documents.acquire_lease(connection, message.document_id, user_id=user_id, lease_s=LEASE_S)
            else:
                documents.set_waiting(connection, message.document_id, user_id=user_id)
    except NotFound:
        services.files.delete(message.file_key)
        raise
    if not is_share_free:
        logger.info("document_deferred", document_id=str(message.document_id))
    elif document is None or document.leased_until is None:
        logger.info("document_skipped", document_id=str(message.document_id))
    else:
        return Lease(services.engine, document, document.leased_until)
    return None


def queue_waiting(services: IngestServices, user_id: UUID) -> None:
    """Queue as many of the user's waiting documents as the user's share has free workers. Raises Unavailable."""
    with user_scope(services.engine, user_id) as connection:
        free = services.max_per_user - documents.lock_processed(connection, user_id=user_id)
        # Sent before the commit: if the queue is unavailable, the documents keep waiting.
        for document_id in documents.take_waiting(connection, user_id=user_id, limit=max(free, 0)):
            services.queue.send(document_id, user_id=user_id)


def schedule_takeover(queue: IngestQueue, document: Document, *, deadline: Deadline) -> None:
    """Queue a message that arrives after this worker's deadline and the end of its lease, in case it dies. Raises Unavailable."""
    delay_s = min(deadline.left_s + LEASE_S + _TAKEOVER_MARGIN_S, SQS_MAX_DELAY_S)
    queue.send(document.id, user_id=document.user_id, delay_s=delay_s)


def release(engine: Engine, lease: Lease, *, is_excused: bool) -> None:
    """End the lease, so that another worker can continue immediately. An excused attempt does not count as a failure.

    Has no effect if another worker has taken the document. Raises NotFound and Unavailable.
    """
    document = lease.document
    try:
        with user_scope(engine, document.user_id) as connection:
            documents.release_lease(connection, document.id, user_id=document.user_id, held_until=lease.until, is_excused=is_excused)
    except LeaseLost:
        log_lost(document.id)


def requeue(services: IngestServices, lease: Lease, *, delay_s: float) -> None:
    """Queue the document for another worker after `delay_s` seconds. Nobody else gets the lease before.

    A delay means that a model is busy, so the attempt does not count as a failure. Raises LeaseLost, NotFound and Unavailable.
    """
    user_id = lease.document.user_id
    with user_scope(services.engine, user_id) as connection:
        documents.release_lease(
            connection, lease.document.id, user_id=user_id, held_until=lease.until, after_s=delay_s, is_excused=delay_s > 0
        )
    services.queue.send(lease.document.id, user_id=user_id, delay_s=delay_s)


def release_until_uploaded(engine: Engine, lease: Lease) -> None:
    """Release a document whose file has not arrived. The attempt does not count. Raises LeaseLost, NotFound and Unavailable."""
    document = lease.document
    with user_scope(engine, document.user_id) as connection:
        documents.requeue(connection, document.id, user_id=document.user_id, held_until=lease.until)


def log_lost(document_id: UUID) -> None:
    """Log that another worker has taken the document over, or has finished it."""
    logger.warning("document_lease_lost", document_id=str(document_id))


def within_lease(embedder_for: EmbedderFor) -> EmbedderFor:
    """Limit each call of an embedding model to `CALL_TIMEOUT_S` seconds, less than the lease that is renewed before the call."""
    return lambda model: embedder_for(model.model_copy(update={"timeout_s": min(model.timeout_s, CALL_TIMEOUT_S)}))


class DatabaseShare:
    """Pauses between the large transactions of a document.

    After a transaction, the document leaves the database alone for as long as the transaction took. If the transaction was slower
    than others of its kind, somebody else needs the database: then the `documents` that a user may have in work together use half of
    its time, and each of them an equal part of that. The time between two transactions counts, such as that of an embedding.
    """

    def __init__(self, documents: int) -> None:
        self._documents = documents
        self._quickest_s: dict[str, float] = {}
        self._free_at_s = 0.0

    def wait(self) -> None:
        """Wait until the next transaction is due."""
        if (wait_s := self._free_at_s - time.monotonic()) > 0:
            time.sleep(wait_s)

    @contextmanager
    def transaction(self, kind: Literal["chunks", "vectors"], *, rows: int) -> Iterator[None]:
        """Wait until the next transaction is due, and measure it. `rows` is the number of rows that it stores."""
        self.wait()
        started_s = time.monotonic()
        yield
        ended_s = time.monotonic()
        took_s = ended_s - started_s
        quickest_s = self._quickest_s[kind] = min(took_s / rows, self._quickest_s.get(kind, took_s / rows))
        is_shared = took_s > quickest_s * rows * _SHARED_TIMES
        self._free_at_s = ended_s + min(took_s * (2 * self._documents - 1 if is_shared else 1), LONGEST_PAUSE_S)
