"""The ingestion pipeline: turns an uploaded file into searchable chunks, in six steps.

1. Acquire the lease, so that only this worker processes the document.
2. Parse the file into blocks, in a sandbox, and split the blocks into chunks.
3. Store the chunks. From here on the file is not read again.
4. Describe each chunk's context with a model, if the deployment enables it.
5. Embed the chunks.
6. Mark the document as ready, with a note about missing vectors or descriptions, or as failed, with the reason.

Every step is safe to repeat: a file is always split in the same way, and each batch is stored as soon as it is done. A
worker that continues a document skips everything that is already stored. If the document is deleted meanwhile, the next
step raises NotFound; if another worker has taken it over, LeaseLost.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import batched, islice

from functions.ingest.chunk_context import describe_chunks, retry_delay_s
from functions.ingest.chunker import Chunk, Chunker
from functions.ingest.errors import AttemptsExhausted, DuplicateDocument, NotUploaded, Unreadable
from functions.ingest.lease import (
    LEASE_S,
    SQS_MAX_DELAY_S,
    ContinueLater,
    DatabaseShare,
    Lease,
    acquire,
    log_lost,
    queue_waiting,
    release,
    release_until_uploaded,
    requeue,
    schedule_takeover,
)
from functions.ingest.messages import DocumentMessage
from functions.ingest.sandbox import ParserStopped, read_blocks
from functions.ingest.services import IngestServices
from parley.aws.s3 import FileMissing
from parley.clock import utc_now
from parley.db import chunks, documents
from parley.db.chunks import NewChunk
from parley.db.documents import Document, LeaseLost
from parley.db.engine import Engine
from parley.db.transactions import user_scope
from parley.db.vectors import Vector
from parley.deadline import Deadline
from parley.errors import NotFound, Unavailable
from parley.ingest_queue import UPLOAD_FORM_LIFETIME_S
from parley.llm.catalogue import NoModel
from parley.llm.errors import ContextTooLong, ProviderBusy, ProviderFailed
from parley.metering.embeddings import MeteredEmbedder
from parley.metering.limits import BillingSubject, BudgetExhausted
from parley.observability import logger

# Failures in a row, without progress in between. Outages and busy models do not count.
MAX_FAILURES = 3
# One attempt every 15 minutes, for a ready document whose embedding model did not respond.
MAX_EMBEDDING_ATTEMPTS = 20
UPLOAD_LIFETIME = timedelta(hours=24)

NO_BUDGET = "The month's budget did not cover the embeddings: for now, only full text search finds this document."
NO_MODEL = "The embedding model did not respond: for now, only full text search finds this document."
NO_DESCRIPTIONS = "The month's budget or the model did not suffice to describe every chunk: some are found by their own text only."

_STORE_BATCH = 64
_EMBED_BATCH = 64
# Enough for one more batch, and for requeueing the document.
_BATCH_TIME_S = 30.0
# Enough to store the chunks that are already parsed, and to requeue the document.
_STORE_TIME_S = 15.0
# Storing is the first half of the progress; descriptions, if enabled, and embeddings are the second.
_STORED_PROGRESS = 0.5
# Used to estimate the number of chunks while the file is still being read.
_CHARACTERS_PER_CHUNK = 1000
_BUSY_PAUSES_S = (1.0, 4.0, 15.0)


def ingest(services: IngestServices, message: DocumentMessage, *, deadline: Deadline) -> None:
    """Process a document until it is ready or failed, or queue it again shortly before the deadline.

    A document that is already ready receives its missing embeddings. Raises NotFound if the document was deleted, and
    Unavailable.
    """
    try:
        lease = acquire(services, message)
        if lease is not None:
            _process_or_release(services, lease, message, deadline)
    except LeaseLost:
        log_lost(message.document_id)  # and not released: the lease is another worker's
    finally:
        # Also after a deletion or a duplicate message: no other message may be left that continues this user's documents.
        queue_waiting(services, message.user_id)


def _process_or_release(services: IngestServices, lease: Lease, message: DocumentMessage, deadline: Deadline) -> None:
    try:
        _process(services, lease, message, deadline)
    except FileMissing:
        _wait_for_file(services, lease)
    except Unreadable as exc:
        _fail(services.engine, lease, exc)
    except (LeaseLost, NotFound):
        raise
    except Exception as exc:
        release(services.engine, lease, is_excused=isinstance(exc, Unavailable))
        raise


def _process(services: IngestServices, lease: Lease, message: DocumentMessage, deadline: Deadline) -> None:
    document, share = lease.document, DatabaseShare(services.max_per_user)
    try:
        count = _read_and_store(services, lease, message, share, deadline)
        _describe(services, lease, count, deadline)
        note = _embed(services, lease, count, share, deadline)
    except ContinueLater as later:
        requeue(services, lease, delay_s=later.delay_s)
        return
    _finish(services, lease, count, note=note)
    if note == NO_MODEL and document.attempts < MAX_EMBEDDING_ATTEMPTS:
        services.queue.send(document.id, user_id=document.user_id, delay_s=SQS_MAX_DELAY_S)
    share.wait()  # otherwise, many small documents would be stored without a pause


def _read_and_store(services: IngestServices, lease: Lease, message: DocumentMessage, share: DatabaseShare, deadline: Deadline) -> int:
    """Store the file's chunks and return their number. A file that was once read to its end is not read again.

    Raises Unreadable, FileMissing, NotFound, LeaseLost, Unavailable, and ContinueLater near the deadline.
    """
    document = lease.document
    if document.status == "ready":
        return document.chunks
    if document.failures > MAX_FAILURES:
        raise AttemptsExhausted(f"{MAX_FAILURES} attempts")
    if document.chunks:
        schedule_takeover(services.queue, document, deadline=deadline)
        return document.chunks
    with services.files.local_copy(message.file_key, size=document.bytes) as (path, sha256):
        schedule_takeover(services.queue, document, deadline=deadline)
        _check_not_duplicate(services.engine, lease, sha256)
        return _store_chunks(services.engine, lease, path, share, deadline)


def _check_not_duplicate(engine: Engine, lease: Lease, sha256: bytes) -> None:
    """Store the file's hash. Raises DuplicateDocument if the user has another document with the same bytes, LeaseLost and NotFound."""
    document = lease.document
    with user_scope(engine, document.user_id) as connection:
        duplicate = documents.set_content_hash(connection, document.id, sha256, user_id=document.user_id, held_until=lease.until)
    if duplicate:
        raise DuplicateDocument(duplicate.title)


def _store_chunks(engine: Engine, lease: Lease, path: str, share: DatabaseShare, deadline: Deadline) -> int:
    """Split the file, store the chunks that are not stored yet, and return the total number of chunks."""
    document = lease.document
    with user_scope(engine, document.user_id) as connection:
        stored = chunks.count(connection, document.id, user_id=document.user_id)
    parsing_deadline = Deadline(deadline.at_s - _STORE_TIME_S)
    all_chunks = _chunks_until(parsing_deadline, path, lease)
    count = sum(1 for _ in islice(all_chunks, stored))
    for batch in batched(_new_chunks(all_chunks, document), _STORE_BATCH, strict=False):
        count += len(batch)
        with share.transaction("chunks", rows=len(batch)):
            _add_chunks(lease, batch, count)
        if deadline.left_s < _BATCH_TIME_S:
            raise ContinueLater
    if parsing_deadline.left_s <= 0:
        raise ContinueLater
    with user_scope(engine, document.user_id) as connection:
        documents.set_chunk_count(connection, document.id, user_id=document.user_id, held_until=lease.until, chunks=count)
    return count


def _chunks_until(deadline: Deadline, path: str, lease: Lease) -> Iterator[Chunk]:
    """Yield the file's chunks. Stop at the deadline, even if the parser is slow or yields nothing."""
    lease.keep()
    try:
        for chunk in Chunker().chunks_of(read_blocks(path, lease.document.filename, deadline=deadline)):
            yield chunk
            lease.keep()
            if deadline.left_s <= 0:
                return
    except ParserStopped:
        return


def _new_chunks(source: Iterable[Chunk], document: Document) -> Iterator[NewChunk]:
    for chunk in source:
        yield NewChunk(chunk.number, chunk.heading_path(document.title), chunk.text, chunk.page, chunk.start, chunk.tokens)


def _add_chunks(lease: Lease, batch: Sequence[NewChunk], count: int) -> None:
    document = lease.document
    expected = max(document.bytes / _CHARACTERS_PER_CHUNK, count + 1)
    with lease.progress(_STORED_PROGRESS * count / expected) as connection:
        is_shared = documents.get(connection, document.id, user_id=document.user_id).is_shared
        chunks.add(connection, document.id, batch, user_id=document.user_id, is_shared=is_shared)


def _describe(services: IngestServices, lease: Lease, count: int, deadline: Deadline) -> None:
    """Describe the chunks if enabled. After a failure, raise ContinueLater to retry, or continue without the missing descriptions."""
    if not services.describes_chunks:
        return
    try:
        describe_chunks(services, lease, count=count, deadline=deadline)
    except (BudgetExhausted, ContextTooLong, NoModel, ProviderFailed) as exc:
        delay_s = retry_delay_s(services, lease.document, exc)
        if delay_s is not None:
            raise ContinueLater(delay_s) from exc
        logger.warning("chunk_descriptions_skipped", document_id=str(lease.document.id), reason=str(exc))


def _embed(services: IngestServices, lease: Lease, count: int, share: DatabaseShare, deadline: Deadline) -> str | None:
    """Embed the chunks. Return a note for the owner if the budget is exhausted or the model fails, else None.

    The sweep queues such a document again, because a new month brings a new budget and the model may have recovered.
    Raises NotFound, LeaseLost, Unavailable, and ContinueLater near the deadline.
    """
    try:
        _embed_chunks(services, lease, count, share, deadline)
    except BudgetExhausted:
        return NO_BUDGET
    except ProviderFailed as exc:
        logger.warning("document_embedding_failed", document_id=str(lease.document.id), reason=str(exc))
        return NO_MODEL
    return None


def _embed_chunks(services: IngestServices, lease: Lease, count: int, share: DatabaseShare, deadline: Deadline) -> None:
    document = lease.document
    # Read the model's name for each batch: the catalogue may change meanwhile.
    while (model := services.embedding.model_name()) is not None:
        with user_scope(services.engine, document.user_id) as connection:
            batch = chunks.without_vector(connection, document.id, user_id=document.user_id, model=model, limit=_EMBED_BATCH)
        if not batch:
            return
        if deadline.left_s < _BATCH_TIME_S:
            raise ContinueLater
        vectors = _embed_batch(services.embedding, lease, [chunk.embedded_text for chunk in batch], deadline)
        progress = _STORED_PROGRESS + (1 - _STORED_PROGRESS) * (batch[-1].number + 1) / max(count, 1)
        with share.transaction("vectors", rows=len(batch)):
            vectors_by_number = {chunk.number: vector for chunk, vector in zip(batch, vectors, strict=True)}
            with lease.progress(progress) as connection:
                chunks.put_vectors(connection, document.id, vectors_by_number, user_id=document.user_id)


def _embed_batch(embedding: MeteredEmbedder, lease: Lease, texts: Sequence[str], deadline: Deadline) -> list[Vector]:
    """Embed one batch. The lease is renewed before each call, because all calls of a batch may take longer than the lease.

    While the vendor is busy, retry after growing pauses, as long as the deadline and the lease allow.
    """
    billing_subject = BillingSubject(lease.document.user_id)
    for pause_s in _BUSY_PAUSES_S:
        try:
            return embedding.vectors(texts, billing_subject=billing_subject, before_call=lease.renew, deadline=deadline)
        except ProviderBusy as exc:
            wait_s = max(pause_s, exc.requested_wait_s or 0.0)
            if deadline.left_s < _BATCH_TIME_S + wait_s or wait_s > LEASE_S / 2:
                raise
            time.sleep(wait_s)
    return embedding.vectors(texts, billing_subject=billing_subject, before_call=lease.renew, deadline=deadline)


def _finish(services: IngestServices, lease: Lease, count: int, *, note: str | None) -> None:
    """Mark the document as ready, and delete the surplus chunks of an earlier parse that produced more."""
    document, has_vectors = lease.document, note is None
    with user_scope(services.engine, document.user_id) as connection:
        chunks.remove_from(connection, document.id, count, user_id=document.user_id)
        if services.describes_chunks and has_vectors and not chunks.are_all_described(connection, document.id, user_id=document.user_id):
            note = NO_DESCRIPTIONS
        documents.mark_ready(connection, document.id, user_id=document.user_id, held_until=lease.until, chunks=count, note=note)
    logger.info("document_ingested", document_id=str(document.id), chunks=count, has_vectors=has_vectors)


def _wait_for_file(services: IngestServices, lease: Lease) -> None:
    """Wait for the notification of the upload, or fail the document if it was created more than a day ago.

    While the file can still arrive, check for it every 15 minutes, in case the notification is lost.
    """
    document = lease.document
    age = utc_now() - document.created_at
    if age > UPLOAD_LIFETIME:
        _fail(services.engine, lease, NotUploaded(str(document.id)))
        return
    release_until_uploaded(services.engine, lease)
    if age < timedelta(seconds=UPLOAD_FORM_LIFETIME_S + SQS_MAX_DELAY_S):
        services.queue.send(document.id, user_id=document.user_id, delay_s=SQS_MAX_DELAY_S)


def _fail(engine: Engine, lease: Lease, reason: Unreadable) -> None:
    document, columns = lease.document, {"code": reason.code, "reason": reason.public_message}
    with user_scope(engine, document.user_id) as connection:
        documents.mark_failed(connection, document.id, user_id=document.user_id, held_until=lease.until, **columns)
    logger.info("document_rejected", document_id=str(document.id), problem=reason.code, reason=str(reason))
