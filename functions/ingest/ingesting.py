"""From a file to chunks that can be found: read, cut, stored and embedded.

Each step is repeated without harm, so that whoever takes over from a worker that died goes on where it ended. A document
that is deleted meanwhile ends the work.
"""

from datetime import timedelta

from functions.ingest.claiming import claim, hand_on, leave_word, put_back, release
from functions.ingest.describing import describe_all
from functions.ingest.desk import Desk
from functions.ingest.embedding import embed_all
from functions.ingest.errors import GivenUp, NeverCame, Unreadable
from functions.ingest.notices import Notice
from functions.ingest.postponing import pause_s
from functions.ingest.storing import store
from parley.aws.s3 import FileMissing
from parley.clock import utc_now
from parley.db import chunks, documents
from parley.db.documents import Document
from parley.db.transactions import user_scope
from parley.deadline import Deadline
from parley.errors import NotFound
from parley.llm.catalogue import NoModel
from parley.llm.errors import ContextTooLong, ProviderFailed
from parley.metering.limits import BudgetExhausted
from parley.observability import logger

# In a row, without one step further.
MOST_ATTEMPTS = 20
UPLOAD_LIFETIME = timedelta(hours=24)
# The longest delay of SQS.
_PAUSE_S = 900.0
NO_BUDGET = "The month's budget did not cover its vectors: for now it is found by its words only."
NO_MODEL = "The model that makes vectors did not answer: for now it is found by its words only."
NO_DESCRIPTIONS = "The month's budget or the model did not last to describe all of its pieces: those are found by their own words."


def ingest(services: Desk, notice: Notice, *, deadline: Deadline) -> None:
    """Take a document as far as the time allows, at best until it is ready, or failed for a reason that its owner sees.

    One that is ready gets the vectors that it lacks. Raises NotFound if it has gone, and Unavailable.
    """
    document = claim(services, notice)
    if document is None:
        return
    try:
        _take_further(services, document, notice, deadline)
    except FileMissing:
        _wait_for_file(services, document)
    except Unreadable as exc:
        _fail(services, document, exc)
    except NotFound:
        raise
    except Exception:
        release(services, document)
        raise


def _take_further(services: Desk, document: Document, notice: Notice, deadline: Deadline) -> None:
    count = document.chunks if document.status == "ready" else _read(services, document, notice, deadline)
    if count is None:
        hand_on(services, document)
        return
    try:
        is_described, wait_s = _describe(services, document, count, deadline)
        is_done = is_described and embed_all(services, document, count=count, deadline=deadline)
    except BudgetExhausted:
        # The sweep tries again each time: perhaps there is a new month by then.
        _finish(services, document, count, note=NO_BUDGET)
    except ProviderFailed as exc:
        logger.warning("a document goes without vectors", document_id=str(document.id), reason=str(exc))
        _finish(services, document, count, note=NO_MODEL)
        if document.attempts < MOST_ATTEMPTS:
            services.queue.send(document.id, user_id=document.user_id, delay_s=_PAUSE_S)
    else:
        _finish(services, document, count, note=None) if is_done else hand_on(services, document, delay_s=wait_s)


def _read(services: Desk, document: Document, notice: Notice, deadline: Deadline) -> int | None:
    """Return how many chunks the file makes, all stored; None if the time is up before. One that was read to its end is not read again."""
    if document.attempts > MOST_ATTEMPTS:
        raise GivenUp(f"{document.attempts} attempts")
    if document.chunks:
        leave_word(services, document, deadline=deadline)
        return document.chunks
    with services.files.fetched(notice.file_key, size=document.bytes) as (path, sha256):
        leave_word(services, document, deadline=deadline)
        return store(services, document, path, sha256=sha256, deadline=deadline)


def _describe(services: Desk, document: Document, count: int, deadline: Deadline) -> tuple[bool, float]:
    """Have the chunks described, where the deployment wants it; what cannot be had is done without.

    Returns False if the time is up or the model shall be asked again, and after how many seconds to go on.
    """
    try:
        return not services.describes or describe_all(services, document, count=count, deadline=deadline), 0.0
    except (BudgetExhausted, ContextTooLong, NoModel, ProviderFailed) as exc:
        if (wait_s := pause_s(services, document, exc)) is not None:
            return False, wait_s
        logger.warning("a document goes without descriptions", document_id=str(document.id), reason=str(exc))
        return True, 0.0


def _wait_for_file(services: Desk, document: Document) -> None:
    """Leave a document whose file has not been sent yet to the message that will tell of it; a day later that is late."""
    if utc_now() - document.created_at > UPLOAD_LIFETIME:
        _fail(services, document, NeverCame(str(document.id)))
    else:
        put_back(services, document)


def _finish(services: Desk, document: Document, count: int, *, note: str | None) -> None:
    with user_scope(services.engine, document.user_id) as connection:
        chunks.remove_from(connection, document.id, count, user_id=document.user_id)
        has_vectors = note is None
        if services.describes and has_vectors and not chunks.are_all_described(connection, document.id, user_id=document.user_id):
            note = NO_DESCRIPTIONS
        documents.mark_ready(connection, document.id, user_id=document.user_id, chunks=count, note=note)
    logger.info("a document is ready", document_id=str(document.id), chunks=count, has_vectors=has_vectors)


def _fail(services: Desk, document: Document, reason: Unreadable) -> None:
    logger.info("a document cannot be read", document_id=str(document.id), problem=reason.code, reason=str(reason))
    with user_scope(services.engine, document.user_id) as connection:
        documents.mark_failed(connection, document.id, user_id=document.user_id, code=reason.code, reason=reason.public_message)
