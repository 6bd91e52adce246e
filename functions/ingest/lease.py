"""Leases: one worker at a time processes a document, and another takes over soon if that worker dies."""

from functions.ingest.messages import DocumentMessage
from functions.ingest.services import IngestServices
from parley.db import documents
from parley.db.documents import Document
from parley.db.transactions import user_scope
from parley.deadline import Deadline
from parley.errors import NotFound
from parley.observability import logger

LEASE_S = 60.0
_TAKEOVER_MARGIN_S = 30.0
# Of SQS.
_SQS_MAX_DELAY_S = 900.0


def claim(services: IngestServices, message: DocumentMessage) -> Document | None:
    """Take the document, or return None if there is nothing to do: it has failed, or is in another worker's hands.

    A file whose document has gone goes as well. Raises NotFound and Unavailable.
    """
    try:
        with user_scope(services.engine, message.user_id) as connection:
            taken = documents.acquire_lease(connection, message.document_id, user_id=message.user_id, lease_s=LEASE_S)
    except NotFound:
        services.files.delete(message.file_key)
        raise
    if taken is None:
        logger.info("a document has failed, or another worker has it", document_id=str(message.document_id))
    return taken


def schedule_takeover(services: IngestServices, document: Document, *, deadline: Deadline) -> None:
    """Leave a message behind that comes when this worker, should it die, has surely lost its lease.

    So every other message that finds the document taken may go. Raises Unavailable.
    """
    delay_s = min(deadline.left_s + LEASE_S + _TAKEOVER_MARGIN_S, _SQS_MAX_DELAY_S)
    services.queue.send(document.id, user_id=document.user_id, delay_s=delay_s)


def release(services: IngestServices, document: Document) -> None:
    """Let another go on. Raises NotFound."""
    with user_scope(services.engine, document.user_id) as connection:
        documents.release_lease(connection, document.id, user_id=document.user_id)


def requeue(services: IngestServices, document: Document, *, delay_s: float = 0) -> None:
    """Have another go on, after `delay_s`; whoever is told of the document before finds it taken. Raises NotFound and Unavailable."""
    with user_scope(services.engine, document.user_id) as connection:
        documents.release_lease(connection, document.id, user_id=document.user_id, after_s=delay_s)
    services.queue.send(document.id, user_id=document.user_id, delay_s=delay_s)


def release_until_uploaded(services: IngestServices, document: Document) -> None:
    """Let it wait for its file. Raises NotFound."""
    with user_scope(services.engine, document.user_id) as connection:
        documents.requeue(connection, document.id, user_id=document.user_id)
