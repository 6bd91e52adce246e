"""From a file to searchable chunks: read, split, store, describe, embed.

Each step is safe to repeat: a worker that takes over from a dead one continues where that one stopped. The same file is
always split alike, so chunks that are stored already are skipped. If the document is deleted meanwhile, the work ends.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import batched, islice

from functions.ingest.chunk_context import describe_chunks, retry_delay_s
from functions.ingest.chunker import Chunk, Chunker
from functions.ingest.errors import AttemptsExhausted, DuplicateDocument, NotUploaded, Unreadable
from functions.ingest.lease import LEASE_S, claim, release, release_until_uploaded, requeue, schedule_takeover
from functions.ingest.messages import DocumentMessage
from functions.ingest.sandbox import read_blocks
from functions.ingest.services import IngestServices
from parley.aws.s3 import FileMissing
from parley.clock import utc_now
from parley.db import chunks, documents
from parley.db.chunks import NewChunk, UnembeddedChunk
from parley.db.documents import Document
from parley.db.transactions import user_scope
from parley.db.vectors import Vector
from parley.deadline import Deadline
from parley.errors import NotFound
from parley.llm.catalogue import NoModel
from parley.llm.errors import ContextTooLong, ProviderBusy, ProviderFailed
from parley.metering.limits import BillingSubject, BudgetExhausted
from parley.observability import logger

_STORE_BATCH = 64


# For a batch more, and for handing on what is left.
_STORE_BATCH_S = 30.0


# What is read and stored is half of the way; descriptions, where there are any, and vectors are the rest.
_STORED_PROGRESS = 0.5


_CHARACTERS_PER_CHUNK = 1000


def store_chunks(services: IngestServices, document: Document, path: str, *, sha256: bytes, deadline: Deadline) -> int | None:
    """Read and cut the file, store the chunks that are not there yet, and return how many there are; None if the time is up before.

    Raises Unreadable or a kind of it, Unavailable, and NotFound if the document goes meanwhile.
    """
    _check_not_duplicate(services, document, sha256)
    with user_scope(services.engine, document.user_id) as connection:
        stored = chunks.count(connection, document.id, user_id=document.user_id)
    made = Chunker().chunks_of(read_blocks(path, document.filename))
    count = sum(1 for _ in islice(made, stored))
    for batch in batched(_new_chunks(made, document), _STORE_BATCH, strict=False):
        count += len(batch)
        _add_chunks(services, document, batch, count)
        if deadline.left_s < _STORE_BATCH_S:
            return None
    with user_scope(services.engine, document.user_id) as connection:
        documents.set_chunk_count(connection, document.id, user_id=document.user_id, chunks=count)
    return count


def _check_not_duplicate(services: IngestServices, document: Document, sha256: bytes) -> None:
    """Note what the file is. Raises Duplicate if the user has another document of the same bytes."""
    with user_scope(services.engine, document.user_id) as connection:
        same = documents.set_content_hash(connection, document.id, sha256, user_id=document.user_id)
    if same:
        raise DuplicateDocument(same.title)


def _add_chunks(services: IngestServices, document: Document, batch: Sequence[NewChunk], count: int) -> None:
    expected = max(document.bytes / _CHARACTERS_PER_CHUNK, count + 1)
    with user_scope(services.engine, document.user_id) as connection:
        # First of all: it holds off a deletion and a change of the shelf, or finds that they were.
        documents.report_progress(
            connection, document.id, user_id=document.user_id, progress=_STORED_PROGRESS * count / expected, lease_s=LEASE_S
        )
        is_shared = documents.get(connection, document.id, user_id=document.user_id).is_shared
        chunks.add(connection, document.id, batch, user_id=document.user_id, is_shared=is_shared)


def _new_chunks(made: Iterable[Chunk], document: Document) -> Iterator[NewChunk]:
    for chunk in made:
        yield NewChunk(chunk.number, chunk.heading_path(document.title), chunk.text, chunk.page, chunk.start, chunk.tokens)


EMBED_BATCH = 64


_EMBED_BATCH_S = 30.0


_EMBEDDED_PROGRESS = 0.5


_BUSY_PAUSES_S = (1.0, 4.0, 15.0)


def embed_chunks(services: IngestServices, document: Document, *, count: int, deadline: Deadline) -> bool:
    """Give every chunk its vector; False if the time is up before. Without a model that makes vectors there is nothing to do.

    Raises NotFound if the document has gone, Unavailable, BudgetExhausted and ProviderFailed.
    """
    # Asked for anew each time: the catalogue may change in between.
    while (model := services.embedding.model_name()) is not None:
        with user_scope(services.engine, document.user_id) as connection:
            left = chunks.without_vector(connection, document.id, user_id=document.user_id, model=model, limit=EMBED_BATCH)
        if not left:
            break
        if deadline.left_s < _EMBED_BATCH_S:
            return False
        made = _embed_batch(services, document, [chunk.embedded_text for chunk in left], deadline)
        _store_vectors(
            services, document, left, made, progress=_EMBEDDED_PROGRESS + _EMBEDDED_PROGRESS * (left[-1].number + 1) / max(count, 1)
        )
    return True


def _embed_batch(services: IngestServices, document: Document, texts: Sequence[str], deadline: Deadline) -> list[Vector]:
    """Embed a batch; where the vendor is busy, ask again ever later, as long as there is time."""
    for pause_s in _BUSY_PAUSES_S:
        try:
            return services.embedding.vectors(texts, billing_subject=BillingSubject(document.user_id))
        except ProviderBusy as exc:
            wait_s = max(pause_s, exc.requested_wait_s or 0.0)
            if deadline.left_s < _EMBED_BATCH_S + wait_s or wait_s > LEASE_S / 2:
                raise
            time.sleep(wait_s)
    return services.embedding.vectors(texts, billing_subject=BillingSubject(document.user_id))


def _store_vectors(
    services: IngestServices, document: Document, left: Sequence[UnembeddedChunk], made: Sequence[Vector], *, progress: float
) -> None:
    vectors = {chunk.number: vector for chunk, vector in zip(left, made, strict=True)}
    with user_scope(services.engine, document.user_id) as connection:
        documents.report_progress(connection, document.id, user_id=document.user_id, progress=progress, lease_s=LEASE_S)
        chunks.put_vectors(connection, document.id, vectors, user_id=document.user_id)


# In a row, without one step further.
MAX_ATTEMPTS = 20


UPLOAD_LIFETIME = timedelta(hours=24)


# The longest delay of SQS.
_RETRY_DELAY_S = 900.0


NO_BUDGET = "The month's budget did not cover its vectors: for now it is found by its words only."


NO_MODEL = "The model that makes vectors did not answer: for now it is found by its words only."


NO_DESCRIPTIONS = "The month's budget or the model did not last to describe all of its pieces: those are found by their own words."


def ingest(services: IngestServices, message: DocumentMessage, *, deadline: Deadline) -> None:
    """Take a document as far as the time allows, at best until it is ready, or failed for a reason that its owner sees.

    One that is ready gets the vectors that it lacks. Raises NotFound if it has gone, and Unavailable.
    """
    document = claim(services, message)
    if document is None:
        return
    try:
        _continue(services, document, message, deadline)
    except FileMissing:
        _wait_for_file(services, document)
    except Unreadable as exc:
        _fail(services, document, exc)
    except NotFound:
        raise
    except Exception:
        release(services, document)
        raise


def _continue(services: IngestServices, document: Document, message: DocumentMessage, deadline: Deadline) -> None:
    count = document.chunks if document.status == "ready" else _read_and_store(services, document, message, deadline)
    if count is None:
        requeue(services, document)
        return
    try:
        is_described, wait_s = _describe_if_enabled(services, document, count, deadline)
        is_done = is_described and embed_chunks(services, document, count=count, deadline=deadline)
    except BudgetExhausted:
        # The sweep tries again each time: perhaps there is a new month by then.
        _finish(services, document, count, note=NO_BUDGET)
    except ProviderFailed as exc:
        logger.warning("a document goes without vectors", document_id=str(document.id), reason=str(exc))
        _finish(services, document, count, note=NO_MODEL)
        if document.attempts < MAX_ATTEMPTS:
            services.queue.send(document.id, user_id=document.user_id, delay_s=_RETRY_DELAY_S)
    else:
        _finish(services, document, count, note=None) if is_done else requeue(services, document, delay_s=wait_s)


def _read_and_store(services: IngestServices, document: Document, message: DocumentMessage, deadline: Deadline) -> int | None:
    """Return how many chunks the file makes, all stored; None if the time is up before. One that was read to its end is not read again."""
    if document.attempts > MAX_ATTEMPTS:
        raise AttemptsExhausted(f"{document.attempts} attempts")
    if document.chunks:
        schedule_takeover(services, document, deadline=deadline)
        return document.chunks
    with services.files.local_copy(message.file_key, size=document.bytes) as (path, sha256):
        schedule_takeover(services, document, deadline=deadline)
        return store_chunks(services, document, path, sha256=sha256, deadline=deadline)


def _describe_if_enabled(services: IngestServices, document: Document, count: int, deadline: Deadline) -> tuple[bool, float]:
    """Have the chunks described, where the deployment wants it; what cannot be had is done without.

    Returns False if the time is up or the model shall be asked again, and after how many seconds to go on.
    """
    try:
        return not services.describes_chunks or describe_chunks(services, document, count=count, deadline=deadline), 0.0
    except (BudgetExhausted, ContextTooLong, NoModel, ProviderFailed) as exc:
        if (wait_s := retry_delay_s(services, document, exc)) is not None:
            return False, wait_s
        logger.warning("a document goes without descriptions", document_id=str(document.id), reason=str(exc))
        return True, 0.0


def _wait_for_file(services: IngestServices, document: Document) -> None:
    """Leave a document whose file has not been sent yet to the message that will tell of it; a day later that is late."""
    if utc_now() - document.created_at > UPLOAD_LIFETIME:
        _fail(services, document, NotUploaded(str(document.id)))
    else:
        release_until_uploaded(services, document)


def _finish(services: IngestServices, document: Document, count: int, *, note: str | None) -> None:
    with user_scope(services.engine, document.user_id) as connection:
        chunks.remove_from(connection, document.id, count, user_id=document.user_id)
        has_vectors = note is None
        if services.describes_chunks and has_vectors and not chunks.are_all_described(connection, document.id, user_id=document.user_id):
            note = NO_DESCRIPTIONS
        documents.mark_ready(connection, document.id, user_id=document.user_id, chunks=count, note=note)
    logger.info("a document is ready", document_id=str(document.id), chunks=count, has_vectors=has_vectors)


def _fail(services: IngestServices, document: Document, reason: Unreadable) -> None:
    logger.info("a document cannot be read", document_id=str(document.id), problem=reason.code, reason=str(reason))
    with user_scope(services.engine, document.user_id) as connection:
        documents.mark_failed(connection, document.id, user_id=document.user_id, code=reason.code, reason=reason.public_message)
